import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { LxmertDataError } from '../../errors.ts';
import { moveAtomically } from '../../files/atomic.ts';
import {
  failedFile,
  freeUnitsFile,
  openPlanFolder,
  partialFolder,
  unitFile,
  unitName,
  unitOfFailures,
} from './layout.ts';
import type { ClusterPlan } from './plan.ts';
import { readPublished } from './publish.ts';

/**
 * Opens the units of a plan that have images without a row, so that workers try these images again; rows that are there
 * are taken over by the next attempt. Returns the units. Fails (ERR_INPUT) where all images were published.
 */
export async function reopenFailedUnits({ folder }: ClusterPlan): Promise<readonly number[]> {
  if ((await readPublished(folder)) !== undefined) {
    throw new LxmertDataError('ERR_INPUT', {
      what: 'every image of this plan has its row, and all were published',
      where: folder,
      hint: 'nothing is left to be tried again',
    });
  }
  await openPlanFolder(folder);
  const names = await readdir(join(folder, 'units'));
  const units = names.flatMap(name => unitOfFailures(name) ?? []).sort((a, b) => a - b);
  for (const unit of units) {
    // Without its rows a unit is open, and its failures count no more.
    const rows = unitFile(folder, unit);
    const partial = join(partialFolder(folder), `${unitName(unit)}.retry.tsv`);
    if (existsSync(rows)) await moveAtomically(rows, partial, { force: true });
    await rm(failedFile(folder, unit), { force: true });
  }
  await rm(freeUnitsFile(folder), { force: true });
  return units;
}
