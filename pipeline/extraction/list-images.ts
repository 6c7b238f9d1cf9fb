import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { LxmertDataError } from '../errors.ts';

/** Endings taken for images; the content decides when they are read. */
const IMAGE_ENDINGS = new Set([
  '.jpg',
  '.jpeg',
  '.png',
  '.webp',
  '.gif',
  '.bmp',
  '.tif',
  '.tiff',
  '.jpe',
  '.jp2',
  '.ppm',
  '.pgm',
]);
const MAX_NAMED = 5;

export interface ListedImage {
  /** File name up to its first dot, as the published extraction has it. */
  readonly img_id: string;
  readonly path: string;
}

export interface ImageList {
  /** Sorted by name, so that the list is the same on every machine. */
  readonly images: readonly ListedImage[];
  /** Files that were not taken, and why, counted. */
  readonly left_out: Readonly<Record<string, number>>;
}

/** Lists the images of a folder, or those that a text file names one a line (relative to it). Fails where two would get the same img_id. */
export async function listImages(path: string, recursive: boolean): Promise<ImageList> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new LxmertDataError('ERR_INPUT', {
      what: 'the folder of images does not exist',
      where: path,
      cause,
    });
  });
  const paths = found.isDirectory() ? await walk(path, recursive) : await readList(path);
  const left: Record<string, number> = {};
  const leave = (reason: string): void => void (left[reason] = (left[reason] ?? 0) + 1);
  const images: ListedImage[] = [];
  for (const file of paths) {
    const name = basename(file);
    if (name.startsWith('.')) leave('hidden');
    else if (!IMAGE_ENDINGS.has(extname(name).toLowerCase())) leave(`ending ${extname(name) || 'none'}`);
    else images.push({ img_id: name.split('.')[0]!, path: file });
  }
  if (images.length === 0) {
    const others = Object.entries(left).map(([reason, count]) => `${count} with ${reason}`);
    throw new LxmertDataError('ERR_INPUT', {
      what: 'no images were found',
      where: path,
      expected: `files that end in ${[...IMAGE_ENDINGS].slice(0, 4).join(', ')}, …`,
      got: others.length === 0 ? 'an empty folder' : others.join(', '),
      hint: recursive ? undefined : 'sub-folders are not searched for this split',
    });
  }
  checkUnique(images, path);
  return { images, left_out: left };
}

async function walk(folder: string, recursive: boolean): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive });
  const files = entries
    .filter(entry => !entry.isDirectory())
    .map(entry => join(entry.parentPath, entry.name));
  // By name first, then by folder: the order does not depend on how images are spread over folders.
  return files.sort((a, b) => compareText(basename(a), basename(b)) || compareText(a, b));
}

async function readList(file: string): Promise<string[]> {
  const lines = (await readFile(file, 'utf8')).split(/\r?\n/).map(line => line.trim());
  return lines.filter(line => line !== '').map(line => join(line.startsWith('/') ? '' : dirname(file), line));
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function checkUnique(images: readonly ListedImage[], where: string): void {
  const seen = new Map<string, string>();
  const clashes: string[] = [];
  for (const { img_id: id, path } of images) {
    const first = seen.get(id);
    if (first === undefined) seen.set(id, path);
    else clashes.push(`${id}: ${first} and ${path}`);
  }
  if (clashes.length === 0) return;
  throw new LxmertDataError('ERR_INPUT', {
    what: 'images would get the same img_id, which is the file name up to its first dot',
    where,
    got:
      clashes.slice(0, MAX_NAMED).join('; ') +
      (clashes.length > MAX_NAMED ? `; and ${clashes.length - MAX_NAMED} more` : ''),
    hint: 'rename files so that names differ before the first dot',
  });
}
