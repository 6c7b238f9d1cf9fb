import { dirname, join, resolve } from 'node:path';
import { statfs } from 'node:fs/promises';
import { downloadPath, targetPath } from '../fetch/asset-files.ts';
import { sizeOf } from '../fetch/check-content.ts';
import { readLock } from '../fetch/data-lock.ts';
import { selectAssets } from '../manifest/select.ts';
import { readTargetStates } from '../fetch/target-states.ts';
import type { Manifest } from '../manifest/load.ts';
import { partialDownloadPath } from '../net/download-file.ts';

export interface AssetStatus {
  readonly name: string;
  readonly file: string;
  readonly state: 'present' | 'unlocked' | 'differs' | 'partial' | 'missing';
  /** On disk, begun downloads included. */
  readonly bytes: number;
}

export interface DatasetStatus {
  readonly dataset: string;
  readonly assets: readonly AssetStatus[];
}

export interface DataStatus {
  readonly datasets: readonly DatasetStatus[];
  /** Each file once, though data sets share some. */
  readonly usedBytes: number;
  readonly freeBytes: number;
}

/** What is there, begun and missing: sizes and headers only, so that it takes no time. */
export async function readStatus(manifest: Manifest, dataRoot: string): Promise<DataStatus> {
  const lock = await readLock(dataRoot);
  const names = selectAssets(manifest, { datasets: Object.keys(manifest.datasets), splits: ['all'] });
  const states = await readTargetStates({ manifest, dataRoot }, names);
  const known = new Map<string, AssetStatus>();
  for (const name of names) {
    const asset = manifest.assets[name]!;
    const { sizeBytes, contentSha256 } = states[name]!;
    const entry = lock[name];
    let bytes = sizeBytes ?? 0;
    let begun = 0;
    for (const source of asset.sources) {
      const path = join(dataRoot, downloadPath(asset, source));
      begun += (await sizeOf(partialDownloadPath(path))) ?? (await sizeOf(path)) ?? 0;
    }
    bytes += begun;
    const isLocked = entry !== undefined && (contentSha256 ?? entry.sha256) === entry.sha256;
    const agrees = isLocked && (contentSha256 !== undefined || sizeBytes === entry.size);
    const there = entry === undefined ? 'unlocked' : agrees ? 'present' : 'differs';
    const state = sizeBytes !== undefined ? there : begun > 0 ? 'partial' : 'missing';
    known.set(name, { name, file: targetPath(asset), state, bytes });
  }
  const datasets = Object.keys(manifest.datasets).map(dataset => ({
    dataset,
    assets: selectAssets(manifest, { datasets: [dataset], splits: ['all'] }).map(name => known.get(name)!),
  }));
  const disk = await statOfDisk(dataRoot);
  return {
    datasets,
    usedBytes: [...known.values()].reduce((sum, { bytes }) => sum + bytes, 0),
    freeBytes: disk === undefined ? 0 : disk.bavail * disk.bsize,
  };
}

/** The disk that a folder lies on, or would lie on. */
async function statOfDisk(
  folder: string,
): Promise<{ readonly bavail: number; readonly bsize: number } | undefined> {
  for (let path = resolve(folder); ; path = dirname(path)) {
    const disk = await statfs(path).catch(() => undefined);
    if (disk !== undefined || dirname(path) === path) return disk;
  }
}
