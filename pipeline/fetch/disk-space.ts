import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import { formatBytes } from '../files/format-bytes.ts';
import type { FetchPlan } from './plan-fetch.ts';

/** Free on the disk of a folder, which need not exist yet. */
export async function readFreeBytes(path: string): Promise<number> {
  for (let folder = path; ; folder = dirname(folder)) {
    const found = await statfs(folder).catch(() => undefined);
    if (found !== undefined) return found.bavail * found.bsize;
    if (folder === dirname(folder)) return 0;
  }
}

/**
 * Whether the next file is to be downloaded while one is converted: only where the disk has room for both. Throws
 * ERR_NO_SPACE where it has not even room for one after the other.
 */
export function decideOverlap(plan: FetchPlan, freeBytes: number, dataRoot: string): boolean {
  if (plan.overlappedPeakBytes <= freeBytes) return true;
  if (plan.diskPeakBytes <= freeBytes) return false;
  throw new LxmertDataError('ERR_NO_SPACE', {
    what: 'not enough disk space for this fetch',
    where: dataRoot,
    expected: `about ${formatBytes(plan.diskPeakBytes)} at its peak`,
    got: `${formatBytes(freeBytes)} free`,
    hint: 'fetch fewer splits with --split, or choose another disk with --data',
  });
}
