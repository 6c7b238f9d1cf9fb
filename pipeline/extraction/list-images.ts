import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, extname, isAbsolute, join, relative, sep } from 'node:path';
import { imageKindOf } from '../detector/image/image-format.ts';
import { errorText, isErrno, LxmertDataError } from '../errors.ts';
import { isArchive, listArchive } from './image-archives.ts';
import { describeIdFault, ID_RULE } from '../rows/image-id.ts';
import { showText } from '../problem.ts';
import { readTextLines } from '../files/text-lines.ts';

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
  '.jfif',
  '.jp2',
  '.ppm',
  '.pgm',
]);
const MAX_NAMED = 5;
/** What looks like a path may be anything: a list may be another kind of file. */
const MAX_PATH_CHARS = 200;
/** Files of a list that are looked up at once. */
const LOOKUPS = 64;

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

/**
 * Lists the images of a folder, those inside a zip, or those that a text file names one a line (relative to it). FIFOs, sockets and devices
 * are left out.
 *
 * @throws LxmertDataError ERR_INPUT where there are none, where files that a list names are missing, where two would
 *   get the same img_id, and, unless links are to be followed, where images are links out of their folder; ERR_USAGE
 *   where `path` is an image itself.
 */
export async function listImages(path: string, recursive: boolean, followLinks = false): Promise<ImageList> {
  const found = await stat(path).catch((error: unknown) => {
    throw cannotList(path, error);
  });
  const left: Record<string, number> = {};
  const leave = (reason: string): void => void (left[reason] = (left[reason] ?? 0) + 1);
  const isZip = !found.isDirectory() && (await isArchive(path));
  const paths = isZip
    ? (await listArchive(path)).sort(byName)
    : found.isDirectory()
      ? await walkFolder(path, recursive, leave)
      : await readList(path);
  const images: ListedImage[] = [];
  for (const file of paths) {
    const name = basename(file);
    if (name.startsWith('.')) leave('hidden');
    else if (!IMAGE_ENDINGS.has(extname(name).toLowerCase())) leave(`ending ${extname(name) || 'none'}`);
    else images.push({ img_id: name.split('.')[0]!, path: file });
  }
  if (images.length === 0) throw noImages(path, left, recursive);
  checkIds(images, path);
  checkUnique(images, path);
  if (!followLinks && !isZip) await checkLinks(images, path, found.isDirectory());
  return { images, left_out: left };
}

function noImages(path: string, left: Readonly<Record<string, number>>, recursive: boolean): LxmertDataError {
  const others = Object.entries(left).map(([reason, count]) => `${count} with ${reason}`);
  return new LxmertDataError('ERR_INPUT', {
    what: 'no images were found',
    where: path,
    expected: `files that end in ${[...IMAGE_ENDINGS].slice(0, 4).join(', ')}, …`,
    got: others.length === 0 ? 'an empty folder' : others.join(', '),
    hint: recursive ? undefined : 'sub-folders are not searched for this split',
  });
}

function cannotList(path: string, error: unknown): LxmertDataError {
  const isMissing = isErrno(error, 'ENOENT', 'ENOTDIR');
  return new LxmertDataError('ERR_INPUT', {
    what: isMissing ? 'the folder of images does not exist' : 'the folder of images cannot be read',
    where: path,
    got: isMissing ? undefined : errorText(error),
    cause: error,
  });
}

async function walkFolder(
  path: string,
  recursive: boolean,
  leave: (reason: string) => void,
): Promise<string[]> {
  return await walk(path, recursive, leave).catch((error: unknown) => {
    throw cannotList(path, error);
  });
}

async function walk(folder: string, recursive: boolean, leave: (reason: string) => void): Promise<string[]> {
  const files: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true, recursive })) {
    if (entry.isDirectory()) continue;
    const path = join(entry.parentPath, entry.name);
    // A dangling link stays in the list: reading it gives the reason.
    const target = entry.isSymbolicLink() ? await stat(path).catch(() => undefined) : entry;
    const isSpecial = target !== undefined && !target.isFile() && !target.isDirectory();
    // Some file systems do not give the kind with the name.
    if (isSpecial && !(await stat(path)).isFile()) leave('a FIFO, socket or device');
    else files.push(path);
  }
  // By name first, then by folder: the order does not depend on how images are spread over folders.
  return files.sort(byName);
}

async function readList(file: string): Promise<string[]> {
  const folder = dirname(file);
  const paths: string[] = [];
  let isFirst = true;
  const check = (block: Buffer): void => {
    checkText(file, block, isFirst);
    isFirst = false;
  };
  for await (const line of readTextLines(file, check)) {
    const name = line.trim();
    if (name !== '') paths.push(join(isAbsolute(name) ? '' : folder, name));
  }
  await checkListed(file, paths);
  return paths;
}

function checkText(file: string, bytes: Buffer, isFirst: boolean): void {
  const kind = imageKindOf(bytes);
  // In the middle of a list the same bytes may be part of a name.
  const isImage = kind.format !== undefined;
  if (!(isFirst && isImage) && !bytes.includes(0)) return;
  throw new LxmertDataError('ERR_USAGE', {
    what: isImage
      ? 'this is an image, not a folder of images or a list of them'
      : 'this is not a list of images',
    where: file,
    expected: 'a folder, or a text file with the path of one image a line',
    got: isImage ? `a ${kind.format} file` : kind.what,
    hint: isImage
      ? 'give the folder that holds it, or a text file that names it'
      : 'give a folder of images, or a text file that names them',
  });
}

/** Fails with ERR_INPUT where files that a list names are missing. */
async function checkListed(file: string, paths: readonly string[]): Promise<void> {
  const absent: string[] = [];
  for (let begin = 0; begin < paths.length; begin += LOOKUPS) {
    const part = paths.slice(begin, begin + LOOKUPS);
    const found = await Promise.all(part.map(path => stat(path).catch((error: unknown) => error)));
    absent.push(...part.filter((_, i) => isErrno(found[i], 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG')));
  }
  if (absent.length === 0) return;
  const named = absent.slice(0, MAX_NAMED).map(path => JSON.stringify(showText(path, MAX_PATH_CHARS)));
  throw new LxmertDataError('ERR_INPUT', {
    what: 'images that this list names do not exist',
    where: file,
    expected: `${paths.length} files, by paths that are absolute or relative to the list`,
    got: `${absent.length} missing: ${named.join(', ')}${absent.length > MAX_NAMED ? ', …' : ''}`,
    hint: 'correct or remove these lines',
  });
}

/**
 * Fails with ERR_INPUT where images are links that lead out of the folder, or out of the folder that the link of a list
 * is in: whoever may write there could have any file of the user's read, and its folder shown to a container.
 */
async function checkLinks(images: readonly ListedImage[], where: string, isFolder: boolean): Promise<void> {
  const leading: string[] = [];
  const root = isFolder ? await realpath(where) : undefined;
  for (let begin = 0; begin < images.length; begin += LOOKUPS) {
    const part = images.slice(begin, begin + LOOKUPS);
    const targets = await Promise.all(part.map(async image => await findTarget(image.path, root)));
    leading.push(...targets.filter(target => target !== undefined));
  }
  if (leading.length === 0) return;
  const more = leading.length > MAX_NAMED ? `; and ${leading.length - MAX_NAMED} more` : '';
  throw new LxmertDataError('ERR_INPUT', {
    what: 'images are links that lead out of their folder',
    where,
    expected: 'files, or links to files in the same folder',
    got: leading.slice(0, MAX_NAMED).join('; ') + more,
    hint: 'where you made these links, or trust who did, add --follow-links; else remove them',
  });
}

/** `LINK -> TARGET` of a link that leads out of `root`, by default the folder that it is in; undefined for all others. */
async function findTarget(path: string, root: string | undefined): Promise<string | undefined> {
  if (!(await lstat(path).catch(() => undefined))?.isSymbolicLink()) return undefined;
  // Where it leads nowhere, reading it gives the reason.
  const target = await realpath(path).catch(() => undefined);
  if (target === undefined) return undefined;
  const way = relative(root ?? (await realpath(dirname(path))), target);
  const isInside = way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
  return isInside ? undefined : `${JSON.stringify(path)} -> ${JSON.stringify(target)}`;
}

function byName(a: string, b: string): number {
  return compareText(basename(a), basename(b)) || compareText(a, b);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Names that no row may have are refused here, and not after hours at the end. */
function checkIds(images: readonly ListedImage[], where: string): void {
  const faults = images.flatMap(({ img_id: id }) => {
    const fault = describeIdFault(id);
    return fault === undefined ? [] : [fault];
  });
  if (faults.length === 0) return;
  throw new LxmertDataError('ERR_INPUT', {
    what: `${faults.length} of the file names cannot be img_ids`,
    where,
    expected: ID_RULE,
    got: faults.slice(0, MAX_NAMED).join('; ') + (faults.length > MAX_NAMED ? '; …' : ''),
    hint: 'rename these files',
  });
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
