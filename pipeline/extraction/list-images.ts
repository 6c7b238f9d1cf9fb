import { lstat, opendir, realpath, stat } from 'node:fs/promises';
import { type Dirent, Stats } from 'node:fs';
import { dirname, extname, isAbsolute, join, relative, sep } from 'node:path';
import { imageKindOf } from '../detector/image/image-format.ts';
import { errorText, isErrno, LxmertDataError } from '../errors.ts';
import { compareFiles, ImageFile, type ListedImage, PathCutter, prefixOf } from './image-file.ts';
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
/** Entries of a folder that are read at once. */
const ENTRIES = 4096;
/** Files of a list that are looked up at once. */
const LOOKUPS = 64;

export type { ListedImage } from './image-file.ts';

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
  const { images, links } = found.isDirectory()
    ? await walkFolder(path, recursive, leave)
    : isZip
      ? takeImages(await listArchive(path), leave)
      : await readList(path, leave);
  if (images.length === 0) throw noImages(path, left, recursive);
  const isSorted = isZip || found.isDirectory();
  // Those of a list stay in its order.
  if (isSorted) for (const list of [images, links]) list.sort(compareFiles);
  checkIds(images, path);
  checkUnique(images, path, isSorted);
  if (!followLinks) await checkLinks(links, path, found.isDirectory());
  return { images, left_out: left };
}

interface Found {
  readonly images: ImageFile[];
  /** Those that are links. */
  readonly links: ImageFile[];
}

function takeImages(paths: readonly string[], leave: (reason: string) => void): Found {
  const found: Found = { images: [], links: [] };
  const cutter = new PathCutter();
  for (const path of paths) {
    const { prefix, name } = cutter.cut(path);
    if (isImageName(name, leave)) found.images.push(new ImageFile(prefix, name));
  }
  return found;
}

function isImageName(name: string, leave: (reason: string) => void): boolean {
  const ending = extname(name);
  if (name.startsWith('.')) leave('hidden');
  else if (!IMAGE_ENDINGS.has(ending.toLowerCase())) leave(`ending ${ending || 'none'}`);
  else return true;
  return false;
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
  folder: string,
  recursive: boolean,
  leave: (reason: string) => void,
): Promise<Found> {
  return await walk(folder, recursive, leave).catch((error: unknown) => {
    throw cannotList(folder, error);
  });
}

async function walk(folder: string, recursive: boolean, leave: (reason: string) => void): Promise<Found> {
  const found: Found = { images: [], links: [] };
  for await (const { entry, prefix } of entriesOf(folder, recursive)) {
    const isFile = entry.isFile();
    if (!isFile && (await isSpecial(prefix + entry.name))) leave('a FIFO, socket or device');
    else if (isImageName(entry.name, leave)) {
      const image = new ImageFile(prefix, entry.name);
      found.images.push(image);
      if (!isFile) found.links.push(image);
    }
  }
  return found;
}

/** What a folder has beside folders, as it comes: it may be millions. */
async function* entriesOf(
  root: string,
  recursive: boolean,
): AsyncGenerator<{ readonly entry: Dirent; readonly prefix: string }, void, undefined> {
  const folders = [root];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const prefix = prefixOf(folder);
    for await (const entry of await opendir(folder, { bufferSize: ENTRIES })) {
      if (!entry.isDirectory()) yield { entry, prefix };
      else if (recursive) folders.push(prefix + entry.name);
    }
  }
}

/** Whether a name is, or leads to, what is neither file nor folder. Dangling links are not: reading them gives the reason. */
async function isSpecial(path: string): Promise<boolean> {
  const target = await stat(path).catch(() => undefined);
  return target !== undefined && !target.isFile() && !target.isDirectory();
}

/** The images that a list names, in its order. Fails with ERR_INPUT where some are missing. */
async function readList(file: string, leave: (reason: string) => void): Promise<Found> {
  const folder = dirname(file);
  const found: Found = { images: [], links: [] };
  const absent: string[] = [];
  let count = 0;
  let isFirst = true;
  const check = (block: Buffer): void => {
    checkText(file, block, isFirst);
    isFirst = false;
  };
  const cutter = new PathCutter();
  let paths: string[] = [];
  const lookUp = async (): Promise<void> => {
    const stats = await Promise.all(paths.map(path => lstat(path).catch((error: unknown) => error)));
    for (const [i, path] of paths.entries()) {
      const facts = stats[i];
      count++;
      const isLink = facts instanceof Stats && facts.isSymbolicLink();
      const fault = isLink ? await stat(path).catch((error: unknown) => error) : facts;
      if (isErrno(fault, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG')) absent.push(path);
      const { prefix, name } = cutter.cut(path);
      if (!isImageName(name, leave)) continue;
      const image = new ImageFile(prefix, name);
      found.images.push(image);
      if (isLink) found.links.push(image);
    }
    paths = [];
  };
  for await (const line of readTextLines(file, check)) {
    const name = line.trim();
    if (name === '') continue;
    paths.push(join(isAbsolute(name) ? '' : folder, name));
    if (paths.length === LOOKUPS) await lookUp();
  }
  await lookUp();
  if (absent.length > 0) throw missingInList(file, absent, count);
  return found;
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

function missingInList(file: string, absent: readonly string[], count: number): LxmertDataError {
  const named = absent.slice(0, MAX_NAMED).map(path => JSON.stringify(showText(path, MAX_PATH_CHARS)));
  return new LxmertDataError('ERR_INPUT', {
    what: 'images that this list names do not exist',
    where: file,
    expected: `${count} files, by paths that are absolute or relative to the list`,
    got: `${absent.length} missing: ${named.join(', ')}${absent.length > MAX_NAMED ? ', …' : ''}`,
    hint: 'correct or remove these lines',
  });
}

/**
 * Fails with ERR_INPUT where images are links that lead out of the folder, or out of the folder that the link of a list
 * is in: whoever may write there could have any file of the user's read, and its folder shown to a container.
 */
async function checkLinks(links: readonly ImageFile[], where: string, isFolder: boolean): Promise<void> {
  const leading: string[] = [];
  const root = isFolder ? await realpath(where) : undefined;
  for (let begin = 0; begin < links.length; begin += LOOKUPS) {
    const part = links.slice(begin, begin + LOOKUPS);
    const targets = await Promise.all(part.map(async ({ path }) => await findTarget(path, root)));
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

/** Names that no row may have are refused here, and not after hours at the end. */
function checkIds(images: readonly ListedImage[], where: string): void {
  const faults: string[] = [];
  for (const { img_id: id } of images) {
    const fault = describeIdFault(id);
    if (fault !== undefined) faults.push(fault);
  }
  if (faults.length === 0) return;
  throw new LxmertDataError('ERR_INPUT', {
    what: `${faults.length} of the file names cannot be img_ids`,
    where,
    expected: ID_RULE,
    got: faults.slice(0, MAX_NAMED).join('; ') + (faults.length > MAX_NAMED ? '; …' : ''),
    hint: 'rename these files',
  });
}

function checkUnique(images: readonly ListedImage[], where: string, isSorted: boolean): void {
  const seen = new Set<string>();
  // Sorted by name, images of the same img_id are neighbours.
  const twice = images.filter(({ img_id: id }, index) =>
    isSorted ? id === images[index - 1]?.img_id : seen.size === seen.add(id).size,
  );
  if (twice.length === 0) return;
  // Looked for only now: the paths of millions of images would double what the list takes.
  const ids = new Set(twice.map(({ img_id: id }) => id));
  const paths = new Map<string, string>();
  for (const { img_id: id, path } of images) if (ids.has(id) && !paths.has(id)) paths.set(id, path);
  const clashes = twice.map(({ img_id: id, path }) => `${id}: ${paths.get(id) ?? ''} and ${path}`);
  throw new LxmertDataError('ERR_INPUT', {
    what: 'images would get the same img_id, which is the file name up to its first dot',
    where,
    got:
      clashes.slice(0, MAX_NAMED).join('; ') +
      (clashes.length > MAX_NAMED ? `; and ${clashes.length - MAX_NAMED} more` : ''),
    hint: 'rename files so that names differ before the first dot',
  });
}
