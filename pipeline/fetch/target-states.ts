import { join } from 'node:path';
import { StoreFile } from '../store/reader.ts';
import { assetOf, type Manifest, orderSources } from '../manifest/load.ts';
import { partialDownloadPath } from '../net/download-file.ts';
import { downloadPath, targetPath } from './asset-files.ts';
import { sizeOf } from './check-content.ts';
import type { LockEntry } from './data-lock.ts';
import { decideAction } from './plan-fetch.ts';
import type { TargetState } from './plan-fetch.ts';

export interface StateOptions {
  readonly manifest: Manifest;
  readonly dataRoot: string;
  readonly mirrors?: readonly string[] | undefined;
}

/** What is on the disk of assets: files in place and downloads begun. Reads headers of stores and nothing else. */
export async function readTargetStates(
  options: StateOptions,
  names: readonly string[],
): Promise<Record<string, TargetState>> {
  const { manifest, dataRoot } = options;
  const states: Record<string, TargetState> = {};
  for (const name of names) {
    const asset = assetOf(manifest, name);
    const path = join(dataRoot, targetPath(asset));
    const sizeBytes = await sizeOf(path);
    const isStore = asset.kind === 'features' && sizeBytes !== undefined;
    const contentSha256 = isStore ? (await readStoreSource(path).catch(() => undefined))?.sha256 : undefined;
    let partialBytes = 0;
    for (const source of orderSources(manifest, asset, options.mirrors)) {
      const download = join(dataRoot, downloadPath(asset, source));
      partialBytes += (await sizeOf(partialDownloadPath(download))) ?? (await sizeOf(download)) ?? 0;
    }
    states[name] = {
      sizeBytes,
      contentSha256: isStore ? (contentSha256 ?? 'unreadable') : undefined,
      partialBytes,
    };
  }
  return states;
}

/** How an asset is on the disk, for people. */
export type AssetState = 'present' | 'unlocked' | 'differs' | 'partial' | 'missing';

/** The decision that a fetch makes, as a state: what it would keep, check and lock, refuse, continue or fetch. */
export function describeState(state: TargetState, entry: LockEntry | undefined): AssetState {
  switch (decideAction(state, entry)) {
    case 'keep':
      return 'present';
    case 'adopt':
      return 'unlocked';
    case 'conflict':
      return 'differs';
    case 'fetch':
      return state.partialBytes > 0 ? 'partial' : 'missing';
  }
}

/** Size and sha256 of the TSV that a store was made from, as its header has them. */
export async function readStoreSource(
  path: string,
): Promise<Pick<LockEntry, 'size' | 'sha256'> & { rows: number }> {
  const store = await StoreFile.open(path);
  try {
    const [source] = store.provenance.sources;
    return { size: source?.size ?? 0, sha256: source?.sha256 ?? '', rows: store.rows };
  } finally {
    await store.close();
  }
}
