import { digestFile } from '../files/digest.ts';
import { listSome } from '../show-text.ts';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errorText } from '../errors.ts';
import type { StageContext } from '../events.ts';
import type { Asset, Manifest } from '../manifest/load.ts';
import { MirrorFault } from '../net/mirror-fault.ts';
import { comparePartNames, wholeNameOf } from '../files/part-names.ts';
import { openFile } from '../inputs/open-file.ts';
import { openRandomAccess } from '../inputs/random-access.ts';
import { fileKindOf, KIND_BYTES } from '../inputs/file-kind.ts';
import { readZipDirectory } from '../inputs/zip-directory.ts';
import { describeLocation } from './asset-files.ts';
import { checkContent, sizeOf } from './check-content.ts';
import type { AssetFiles } from './place-asset.ts';
import { hasPublishedName, listPublishedNames, plainName } from './published-names.ts';

/** Files of the user that hold an asset, and how. */
export type Recognised = Pick<AssetFiles, 'get' | 'member' | 'split' | 'paths'>;

/** A file that has the name of an asset and cannot be one. */
export interface UnusableFile {
  readonly path: string;
  readonly reason: string;
}

export interface RecognisedFolder {
  readonly found: ReadonlyMap<string, Recognised>;
  readonly unusable: readonly UnusableFile[];
}

const MAX_DEPTH = 6;

/**
 * Finds out which assets the files of a folder hold: feature rows and zips by base name of the TSV (parts of a zip
 * joined without a copy), JSON by folder name or, where that is ambiguous, by its content. Nothing is changed.
 */
export async function recogniseFolder(
  folder: string,
  manifest: Manifest,
  context: StageContext,
): Promise<RecognisedFolder> {
  const paths = await listFiles(folder, 0);
  const found = await findAssets(paths, manifest, context);
  const used = new Set([...found.values()].flatMap(recognised => recognised.paths));
  const published = listPublishedNames(manifest);
  const suspects = paths.filter(path => !used.has(path) && hasPublishedName(path, published));
  const unusable = await Promise.all(suspects.map(explainUnusable));
  for (const { path, reason } of unusable)
    context.emit({ event: 'warning', message: `${path} has the name of a published file, but ${reason}` });
  const unused = paths.filter(path => !used.has(path) && !suspects.includes(path));
  if (unused.length > 0) {
    context.emit({ event: 'note', message: `not needed or not recognised: ${listSome(unused, 10)}` });
  }
  return { found, unusable };
}

async function findAssets(
  paths: readonly string[],
  manifest: Manifest,
  { emit }: Pick<StageContext, 'emit'>,
): Promise<ReadonlyMap<string, Recognised>> {
  const found = new Map<string, Recognised>();
  const add = (name: string, recognised: Recognised): void => {
    const other = found.get(name);
    if (other === undefined) found.set(name, recognised);
    else
      emit({
        event: 'note',
        message: `${name}: taken from ${other.paths[0]}, not from ${recognised.paths[0]}`,
      });
  };
  const features = new Map(
    Object.entries(manifest.assets)
      .filter(([, asset]) => asset.kind === 'features')
      .map(([name, asset]) => [`${basename(asset.target)}.tsv`, name]),
  );
  for (const path of paths.filter(isTsv)) {
    const name = features.get(plainName(path));
    if (name !== undefined) add(name, { get: 'file', paths: [path] });
  }
  for (const archive of groupArchives(paths)) {
    for (const member of await listMembers(archive)) {
      const name = features.get(member);
      const get = archive.length === 1 ? 'zip-member' : 'parts-member';
      if (name !== undefined) add(name, { get, member, paths: archive });
    }
  }
  // In the manifest's order, which is that of trust.
  for (const [published, name] of listWeightsNames(manifest)) {
    const path = paths.find(path => plainName(path) === published);
    if (path !== undefined) add(name, { get: 'weights', paths: [path] });
  }
  for (const path of paths.filter(path => !isTsv(path))) {
    const name = await recogniseOther(path, manifest);
    if (name !== undefined) add(name, { get: 'file', paths: [path] });
  }
  return found;
}

/** Assets that can be made of the detector's weights in some program's file, by the published name of that file. */
function listWeightsNames(manifest: Manifest): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(manifest.assets).flatMap(([name, { sources }]) =>
      sources.flatMap(source => (source.get === 'weights' ? [[source.name, name] as const] : [])),
    ),
  );
}

const isTsv = (path: string): boolean => path.toLowerCase().endsWith('.tsv');
const isArchive = (path: string): boolean =>
  path.toLowerCase().endsWith('.zip') || wholeNameOf(basename(path)) !== undefined;

/** Files below the folder; links to folders are not followed, so that nothing turns in circles. */
async function listFiles(folder: string, depth: number): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const paths: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && depth < MAX_DEPTH) paths.push(...(await listFiles(path, depth + 1)));
    else if (entry.isFile() || entry.isSymbolicLink()) paths.push(path);
  }
  return paths;
}

/** Whole zips, and the parts of cut ones in the order in which they were cut. */
function groupArchives(paths: readonly string[]): [string, ...string[]][] {
  const wholes = paths
    .filter(path => path.toLowerCase().endsWith('.zip'))
    .map((path): [string, ...string[]] => [path]);
  const parts = new Map<string, [string, ...string[]]>();
  for (const path of paths) {
    const whole = wholeNameOf(basename(path));
    if (whole === undefined) continue;
    const key = join(dirname(path), whole);
    const others = parts.get(key);
    if (others === undefined) parts.set(key, [path]);
    else others.push(path);
  }
  return [
    ...wholes,
    ...[...parts.values()].map(group => {
      group.sort((a, b) => comparePartNames(basename(a), basename(b)));
      return group;
    }),
  ];
}

/** Base names of the members of an archive; none where it cannot be read, which explainUnusable reports. */
async function listMembers(archive: readonly string[]): Promise<string[]> {
  try {
    const access = await openRandomAccess(archive);
    try {
      const { entries } = await readZipDirectory(access);
      return entries.map(entry => basename(entry.path));
    } finally {
      await access.close();
    }
  } catch {
    return [];
  }
}

/** Why a file with a published name is not used: what it is, or what is wrong with it. */
async function explainUnusable(path: string): Promise<UnusableFile> {
  try {
    const { file } = await openFile(path, 'a file');
    try {
      const head = Buffer.alloc(KIND_BYTES);
      const { bytesRead } = await file.read(head, 0, head.length, 0);
      const kind = bytesRead === 0 ? undefined : fileKindOf(head.subarray(0, bytesRead));
      const isZip = isArchive(path) && kind?.what === 'a zip archive';
      if (kind !== undefined && !isZip) return { path, reason: `it is ${kind.what}; ${kind.hint}` };
      if (bytesRead === 0) return { path, reason: 'it is empty; download it again' };
    } finally {
      await file.close();
    }
    if (!isArchive(path)) return { path, reason: 'its content is that of none of the published files' };
    const access = await openRandomAccess([path]);
    try {
      await readZipDirectory(access);
      return { path, reason: 'it has none of the published files inside' };
    } finally {
      await access.close();
    }
  } catch (error) {
    return { path, reason: errorText(error) };
  }
}

async function recogniseOther(path: string, manifest: Manifest): Promise<string | undefined> {
  return await (isArchive(path) ? recogniseArchive(path, manifest) : recognisePlain(path, manifest));
}

/** An official zip, by the name it has here or on its mirror; of several of one name, the one whose content fits. */
async function recogniseArchive(path: string, manifest: Manifest): Promise<string | undefined> {
  for (const [name, asset] of Object.entries(manifest.assets)) {
    if (asset.kind !== 'archive') continue;
    const names = [asset.target, ...asset.sources.map(describeLocation)].map(location => basename(location));
    if (!names.includes(plainName(path))) continue;
    const sizeBytes = await sizeOf(path);
    const size = asset.size ?? asset.estimate?.bytes;
    // GQA's and Visual Genome's zips have one name: the size says which it is.
    if (sizeBytes === undefined || (names.includes('images.zip') && !isNear(sizeBytes, size))) continue;
    return name;
  }
  return undefined;
}

function isNear(size: number, expected: number | undefined): boolean {
  return expected !== undefined && Math.abs(size - expected) <= expected / 50;
}

type Plain = Exclude<Asset, { kind: 'features' }>;

async function recognisePlain(path: string, manifest: Manifest): Promise<string | undefined> {
  const candidates = Object.entries(manifest.assets).filter(
    (entry): entry is [string, Plain] =>
      entry[1].kind !== 'features' && basename(entry[1].target) === plainName(path),
  );
  const folder = basename(dirname(path));
  const inFolder = candidates.filter(([, { target }]) => basename(dirname(target)) === folder);
  for (const [only, ...others] of [inFolder, candidates]) {
    if (only !== undefined && others.length === 0) return only[0];
  }
  // train.json is VQA's, GQA's or NLVR2's: the records decide.
  if (candidates.length === 0) return undefined;
  const digest = await digestFile(path);
  const fitting: string[] = [];
  for (const [name, asset] of candidates) {
    if (asset.kind === 'weights' || asset.kind === 'archive' || asset.kind === 'image') continue;
    try {
      await checkContent(path, asset, digest);
      fitting.push(name);
    } catch (error) {
      if (!(error instanceof MirrorFault)) throw error;
    }
  }
  return fitting.length === 1 ? fitting[0] : undefined;
}
