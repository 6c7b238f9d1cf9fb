import { assetOf } from '../manifest/load.ts';
import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Asset, Manifest } from '../manifest/load.ts';
import { DOWNLOADS } from '../manifest/reserved-names.ts';
import { downloadPath, STAGING } from './asset-files.ts';

const SUFFIXES = ['', '.partial', '.partial-journal'] as const;

/** Below the data root, the downloads that assets could come from. */
export function listDownloads(asset: Asset): string[] {
  return asset.sources.map(source => downloadPath(asset, source));
}

/**
 * Removes what is left in `.downloads` of assets that are in place: partial files of mirrors that were left, zips kept
 * for others, and the same files of mirrors that are no longer in any manifest. Files that another asset may need stay.
 */
export async function removeLeftovers(
  manifest: Manifest,
  dataRoot: string,
  inPlace: readonly string[],
): Promise<void> {
  const done = new Set(inPlace);
  const others = Object.entries(manifest.assets).filter(([name]) => !done.has(name));
  const wanted = others.flatMap(([, asset]) => listDownloads(asset));
  const ours = inPlace.flatMap(name => {
    const asset = assetOf(manifest, name);
    // Parts are in a folder that they may share with others' parts.
    return asset.sources.flatMap(source =>
      source.get === 'parts-member' ? [] : [downloadPath(asset, source)],
    );
  });
  for (const path of ours.filter(path => !wanted.includes(path))) await removeDownload(join(dataRoot, path));
  const names = new Set(ours.map(path => basename(path)));
  for (const path of wanted) names.delete(basename(path));
  await removeOfUnknownMirrors(manifest, join(dataRoot, DOWNLOADS), names);
}

async function removeOfUnknownMirrors(
  manifest: Manifest,
  root: string,
  names: ReadonlySet<string>,
): Promise<void> {
  const folders = await readdir(root, { withFileTypes: true }).catch(() => []);
  for (const folder of folders) {
    if (!folder.isDirectory() || folder.name === STAGING || Object.hasOwn(manifest.mirrors, folder.name))
      continue;
    const path = join(root, folder.name);
    for (const file of await readdir(path, { recursive: true })) {
      const name = basename(file).replace(/\.partial(?:-journal)?$/, '');
      if (names.has(name)) await removeDownload(join(path, file.slice(0, -basename(file).length), name));
    }
  }
}

async function removeDownload(path: string): Promise<void> {
  for (const suffix of SUFFIXES) await rm(`${path}${suffix}`, { force: true });
}

/** Removes a folder and those in it, as far as they hold nothing but folders. */
export async function removeEmptyFolders(folder: string): Promise<boolean> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return false;
  let isEmpty = true;
  for (const entry of entries) {
    if (!entry.isDirectory() || !(await removeEmptyFolders(join(folder, entry.name)))) isEmpty = false;
  }
  if (isEmpty) await rm(folder, { recursive: true, force: true });
  return isEmpty;
}
