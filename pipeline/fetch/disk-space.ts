import { dirname, resolve } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import { readFreeBytes } from '../files/checks.ts';
import { formatBytes } from '../files/format-bytes.ts';
import type { FetchPlan } from './plan-fetch.ts';

/** Bytes free on the disk of a folder, which need not exist yet; null where the file system does not say. */
export async function findFreeBytes(path: string): Promise<number | null> {
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    const free = await readFreeBytes(folder).catch(() => null);
    if (free !== null || folder === dirname(folder)) return free ?? null;
  }
}

/**
 * Whether to download the next file while one is converted: only where the disk has room for both, as far as is known.
 * Throws ERR_NO_SPACE where it has no room even for one after the other.
 */
export function decideOverlap(plan: FetchPlan, freeBytes: number | null, dataRoot: string): boolean {
  if (freeBytes === null || plan.overlappedPeakBytes <= freeBytes) return true;
  if (plan.diskPeakBytes <= freeBytes) return false;
  throw new LxmertDataError('ERR_NO_SPACE', {
    what: 'not enough disk space for this fetch',
    where: dataRoot,
    expected: `about ${formatBytes(plan.diskPeakBytes)} at its peak`,
    got: `${formatBytes(freeBytes)} free`,
    hint: 'fetch fewer splits with --split, or choose another disk with --data',
  });
}
