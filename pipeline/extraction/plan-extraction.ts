import { listSome } from '../show-text.ts';
import { statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import { checkOutput } from '../files/checks.ts';
import { readPinnedIds } from '../inputs/pinned-ids.ts';
import { OBJ36, typicalRowBytes } from '../rows/row-shape.ts';
import type { KnownAnswer } from '../store/metadata.ts';
import { storeBytesFor } from '../store/layout.ts';
import { type ListedImage, listImages } from './list-images.ts';
import type { ImageSet } from '../manifest/image-sets.ts';
import { makeFolder } from '../files/make-folder.ts';

export interface ExtractionRequest {
  readonly split: ImageSet;
  /** Folder or zip of images, or a text file that names them. */
  readonly images: string;
  /** Root of the data. */
  readonly data: string;
  /** .safetensors or .tsv; default: what LXMERT opens for this split, below the data root. */
  readonly out?: string | undefined;
  /** Only the first so many images. */
  readonly limit?: number | undefined;
  /** Take images that are links out of their folder too. */
  readonly followLinks?: boolean | undefined;
  /** Replace an existing output. */
  readonly force?: boolean | undefined;
  /** What is known of detectors, by the sha256 of their weights; stamped into the store. */
  readonly verdicts?: Readonly<Record<string, { readonly verdict: KnownAnswer }>> | undefined;
}

/** What an extraction is to do, decided and checked before anything starts. */
export interface ExtractPlan {
  readonly out: string;
  /** Where rows are kept until the output is published. */
  readonly rowFolder: string;
  /** In the order of the output. */
  readonly images: readonly ListedImage[];
  readonly force: boolean;
  readonly verdicts?: ExtractionRequest['verdicts'];
}

/** Bytes on disk for rows that are still to be extracted, and for those that only need to be published. */
export function extractionBytes(left: number, done: number): number {
  return left * typicalRowBytes(OBJ36) + storeBytesFor(left + done, 'f32');
}

/**
 * Lists the images of a split in the order of its output and checks the output.
 * Fails with ERR_INPUT where images or lists are missing, ERR_OUTPUT_EXISTS, ERR_IO.
 */
export async function planExtraction(
  request: ExtractionRequest,
  { emit }: Pick<StageContext, 'emit'>,
): Promise<ExtractPlan> {
  const { split, data, limit, force = false, verdicts } = request;
  const out = outputOf(request);
  const all = await listSet(request, emit);
  const ordered = await orderImages(all, split, data, emit);
  await makeFolder(dirname(out));
  await checkOutput(out, force);
  return {
    out,
    rowFolder: rowFolderOf(out),
    images: ordered.slice(0, limit),
    force,
    verdicts,
  };
}

/** The images of a set in its own folders below a root such as LXMERT's README describes, else in the folder itself. */
async function listSet(
  { images: root, split, followLinks }: ExtractionRequest,
  emit: StageContext['emit'],
): Promise<readonly ListedImage[]> {
  const below = findOwn(split.folders, root);
  const folders = below.length === 0 ? [root] : below;
  if (below.length > 0) emit({ event: 'note', message: `images are taken from ${below.join(' and ')}` });
  const images: ListedImage[] = [];
  for (const folder of folders) {
    const listed = await listImages(folder, split.recursive, followLinks);
    for (const [reason, count] of Object.entries(listed.left_out)) {
      const message = `${count} files in ${folder} are not images (${reason}) and are left out`;
      emit({ event: 'warning', message });
    }
    for (const image of listed.images) images.push(image);
  }
  return folders.length === 1 ? images : mergeByName(images, root);
}

/** Folders of a set below a root; where there are none, the zips that `fetch images` leaves there under these names. */
function findOwn(names: readonly string[], root: string): readonly string[] {
  const folders = names.map(name => join(root, name)).filter(path => isFolder(path));
  if (folders.length > 0) return folders;
  return names.map(name => join(root, `${name}.zip`)).filter(path => isFile(path));
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Images of several folders in the order of their names. Fails with ERR_INPUT where two have the same img_id. */
function mergeByName(images: readonly ListedImage[], where: string): readonly ListedImage[] {
  const sorted = [...images].sort((a, b) => (basename(a.path) < basename(b.path) ? -1 : 1));
  const twice = sorted.find(({ img_id: id }, index) => sorted[index + 1]?.img_id === id);
  if (twice === undefined) return sorted;
  throw new LxmertDataError('ERR_INPUT', {
    what: 'two folders have an image of the same img_id',
    where,
    got: twice.img_id,
    hint: 'keep one of the two',
  });
}

/** The file that an extraction makes. */
export function outputOf({ out, data, split }: ExtractionRequest): string {
  return out ?? join(data, `${split.target}.safetensors`);
}

/** Where the rows of an output are kept until it is published. */
export function rowFolderOf(out: string): string {
  return `${out.replace(/\.(safetensors|tsv)$/, '')}.rows`;
}

/** Puts the images that LXMERT takes by their index first, then all others by name. */
async function orderImages(
  images: readonly ListedImage[],
  split: ImageSet,
  data: string,
  emit: StageContext['emit'],
): Promise<readonly ListedImage[]> {
  if (split.only !== undefined) {
    const list = join(data, split.only);
    if (await isMissing(list)) {
      throw new LxmertDataError('ERR_INPUT', {
        what: `${split.dataset}/${split.split} needs the list of its images`,
        where: list,
        hint: `fetch ${split.only} first`,
      });
    }
    return await takeListed(images, list);
  }
  if (split.first === undefined) return images;
  const list = join(data, split.first);
  if (await isMissing(list)) {
    const message = `${list} does not exist, so minival's images do not come first; LXMERT takes the first 5,000 rows of this file as minival`;
    emit({ event: 'warning', message });
    return images;
  }
  const leading = await takeListed(images, list);
  const ids = new Set(leading.map(({ img_id: id }) => id));
  return [...leading, ...images.filter(({ img_id: id }) => !ids.has(id))];
}

async function isMissing(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) === undefined;
}

/** The images that `list` names, in its order. Fails with ERR_INPUT where some are not in the folder. */
async function takeListed(images: readonly ListedImage[], list: string): Promise<readonly ListedImage[]> {
  const byId = new Map(images.map(image => [image.img_id, image]));
  const { ids } = await readPinnedIds(list);
  const found = ids.flatMap(id => byId.get(id) ?? []);
  if (found.length === ids.length) return found;
  const absent = ids.filter(id => !byId.has(id));
  throw new LxmertDataError('ERR_INPUT', {
    what: 'images that this list names are not in the folder',
    where: list,
    expected: `${ids.length} images`,
    got: `${absent.length} missing: ${listSome(absent)}`,
    hint: 'give the folder that holds all of them',
  });
}
