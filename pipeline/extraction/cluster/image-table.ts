import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { LxmertDataError } from '../../errors.ts';
import { createPartial } from '../../files/atomic.ts';
import { openOwn } from '../../files/open-checked.ts';
import type { ListedImage } from '../list-images.ts';

/** An offset of images.idx: 16 digits and a line end. */
const OFFSET_BYTES = 17;
const BLOCK_CHARS = 1 << 20;

/** images.txt, one `img_id<TAB>path` a line, and images.idx with the byte offset at which each unit begins, and the end. */
export class ImageTable {
  readonly units: number;
  readonly #folder: string;
  readonly #images: number;
  readonly #unitImages: number;

  constructor(folder: string, images: number, unitImages: number) {
    this.#folder = folder;
    this.units = Math.ceil(images / unitImages);
    this.#images = images;
    this.#unitImages = unitImages;
  }

  /** The images of a unit, with their paths as they were written. Reads no more than these lines. */
  async readUnit(unit: number): Promise<readonly ListedImage[]> {
    const [begin, end] = await this.#readOffsets(unit);
    const path = join(this.#folder, 'images.txt');
    const text = await readSpan(path, begin, end);
    const lines = text.split('\n').slice(0, -1);
    const images = lines.map(line => {
      const [id = '', ...rest] = line.split('\t');
      return { img_id: id, path: rest.join('\t') };
    });
    const wanted = Math.min(this.#unitImages, this.#images - unit * this.#unitImages);
    if (images.length === wanted && images.every(({ img_id, path }) => img_id !== '' && path !== ''))
      return images;
    throw damaged(path, `${wanted} images in unit ${unit}`, `${images.length}`);
  }

  async #readOffsets(unit: number): Promise<[begin: number, end: number]> {
    const path = join(this.#folder, 'images.idx');
    const text = await readSpan(path, unit * OFFSET_BYTES, (unit + 2) * OFFSET_BYTES);
    const [begin, end] = text.split('\n').map(Number);
    if (/^(\d{16}\n){2}$/.test(text) && begin! < end!) return [begin!, end!];
    throw damaged(path, `two offsets of unit ${unit}`, JSON.stringify(text));
  }
}

async function readSpan(path: string, begin: number, end: number): Promise<string> {
  const file = await openOwn(path);
  try {
    const bytes = Buffer.alloc(end - begin);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, begin);
    return bytes.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

function damaged(where: string, expected: string, got: string): LxmertDataError {
  return new LxmertDataError('ERR_INPUT', {
    what: 'the list of a planned extraction is damaged',
    where,
    expected,
    got,
    hint: 'restore it, or plan anew in another folder',
  });
}

export interface TableContent {
  readonly images: readonly ListedImage[];
  /** The path of an image as the list is to have it. */
  readonly pathOf: (path: string) => string;
  readonly unitImages: number;
  /** Only compute the hash: a table is there already. */
  readonly keep: boolean;
}

/** Writes images.txt and images.idx, block by block, and returns the sha256 of images.txt. */
export async function writeImageTable(
  folder: string,
  { images, pathOf, unitImages, keep }: TableContent,
): Promise<string> {
  const hash = createHash('sha256');
  const offsets: string[] = [];
  const list = await createPartial(join(folder, 'images.txt'), 'list', { force: true });
  const index = await createPartial(join(folder, 'images.idx'), 'index', { force: true });
  try {
    let offset = 0;
    let block = '';
    const flush = async (): Promise<void> => {
      const bytes = Buffer.from(block);
      hash.update(bytes);
      if (!keep) await list.handle.writeFile(bytes);
      offset += bytes.length;
      block = '';
    };
    for (const [position, { img_id: id, path: given }] of images.entries()) {
      const path = pathOf(given);
      if (/[\t\n\r]/.test(path)) throw cannotList(path);
      // At the start of a unit its offset must be known.
      if (position % unitImages === 0) {
        await flush();
        offsets.push(formatOffset(offset));
      } else if (block.length > BLOCK_CHARS) await flush();
      block += `${id}\t${path}\n`;
    }
    await flush();
    offsets.push(formatOffset(offset));
    if (!keep) {
      await index.handle.writeFile(offsets.join(''));
      await list.publish();
      await index.publish();
    }
    return hash.digest('hex');
  } finally {
    await list.discard();
    await index.discard();
  }
}

function formatOffset(offset: number): string {
  return `${String(offset).padStart(OFFSET_BYTES - 1, '0')}\n`;
}

function cannotList(path: string): LxmertDataError {
  return new LxmertDataError('ERR_INPUT', {
    what: 'this path cannot stand in a list, one a line',
    where: JSON.stringify(path),
    expected: 'names without tabs and line ends',
    hint: 'rename the file or folder',
  });
}
