import { join } from 'node:path';
import { describeDetector, isExtracted } from '../store/metadata.ts';
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
    const store = isStore ? await readStoreSource(path).catch(() => undefined) : undefined;
    let partialBytes = 0;
    for (const source of orderSources(manifest, asset, options.mirrors)) {
      const download = join(dataRoot, downloadPath(asset, source));
      partialBytes += (await sizeOf(partialDownloadPath(download))) ?? (await sizeOf(download)) ?? 0;
    }
    states[name] = {
      sizeBytes,
      contentSha256: isStore ? (store?.sha256 ?? 'unreadable') : undefined,
      extracted: store?.extracted,
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

export interface StoreOrigin extends Pick<LockEntry, 'size' | 'sha256'> {
  readonly rows: number;
  /** The detector of a store that was extracted and not downloaded. */
  readonly extracted?: string | undefined;
  readonly isUntrained: boolean;
}

/** Size and sha256 of the rows that a store was made from, and what computed them, as its header has it. */
export async function readStoreSource(path: string): Promise<StoreOrigin> {
  const store = await StoreFile.open(path);
  try {
    const { sources, detector } = store.provenance;
    return {
      size: sources[0]?.size ?? 0,
      sha256: sources[0]?.sha256 ?? '',
      rows: store.rows,
      extracted: isExtracted(detector) ? describeDetector(detector) : undefined,
      isUntrained: detector.weights === 'untrained',
    };
  } finally {
    await store.close();
  }
}
