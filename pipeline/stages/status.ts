import { dirname, join } from 'node:path';
import { assetOf } from '../manifest/load.ts';
import { targetPath } from '../fetch/asset-files.ts';
import { readLock } from '../fetch/data-lock.ts';
import { findFreeBytes } from '../fetch/disk-space.ts';
import { type AssetState, describeState, readTargetStates } from '../fetch/target-states.ts';
import { type DistantPartial, findDistantPartials } from '../files/partial-names.ts';
import type { Manifest } from '../manifest/load.ts';
import { selectAssets } from '../manifest/select.ts';

export interface AssetStatus {
  readonly name: string;
  readonly file: string;
  readonly state: AssetState;
  /** On disk, begun downloads included. */
  readonly bytes: number;
  /** The detector of a store that was extracted and not downloaded. */
  readonly extracted: string | null;
}

export interface DatasetStatus {
  readonly dataset: string;
  readonly assets: readonly AssetStatus[];
}

export interface DataStatus {
  readonly datasets: readonly DatasetStatus[];
  /** Each file once, though datasets share some. */
  readonly usedBytes: number;
  /** Temporary files that other machines are writing or have left. */
  readonly partials: readonly DistantPartial[];
  /** null where the file system does not say. */
  readonly freeBytes: number | null;
}

/** Which files of each dataset are downloaded, partial or missing, by sizes and headers only, so that it is quick. */
export async function readStatus(manifest: Manifest, dataRoot: string): Promise<DataStatus> {
  const lock = await readLock(dataRoot);
  const names = selectAssets(manifest, { datasets: Object.keys(manifest.datasets), splits: ['all'] });
  const states = await readTargetStates({ manifest, dataRoot }, names);
  const describe = (name: string): AssetStatus => {
    const state = states[name]!;
    const bytes = (state.sizeBytes ?? 0) + state.partialBytes;
    const file = targetPath(assetOf(manifest, name));
    return { name, file, state: describeState(state, lock[name]), bytes, extracted: state.extracted ?? null };
  };
  const datasets = Object.keys(manifest.datasets).map(dataset => ({
    dataset,
    assets: selectAssets(manifest, { datasets: [dataset], splits: ['all'] }).map(describe),
  }));
  const usedBytes = names.reduce((sum, name) => sum + describe(name).bytes, 0);
  const folders = new Set(names.map(name => dirname(join(dataRoot, targetPath(assetOf(manifest, name))))));
  const partials: DistantPartial[] = [];
  for (const folder of folders) partials.push(...(await findDistantPartials(folder)));
  return { datasets, usedBytes, partials, freeBytes: await findFreeBytes(dataRoot) };
}
