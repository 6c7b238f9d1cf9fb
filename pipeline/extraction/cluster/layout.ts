import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openPrivateFolder, type PrivateFolder } from '../private-folder.ts';

/*
 * The folder X.rows of a planned extraction, which all hosts share:
 *
 *   plan.json, images.txt, images.idx   what is to be done; never changed
 *   units/unit-000123.tsv               rows of a finished unit, in the order of the plan
 *   units/unit-000123.failed.json       images of it that have no row, and why
 *   partial/unit-000123.ATTEMPT.tsv     rows of a unit that is being computed
 *   partial/unit-000123.claim           a helper has begun this unit
 *   free-units.json                     units that nobody works on, as a helper found them some seconds ago
 *   workers/JOB_INDEX.json              signs of life, for the status
 *   publisher                           who publishes at the moment
 *   published.json                      what was published
 *   jobs.json, job.sbatch, logs/        what was submitted
 */

const UNIT_DIGITS = 6;
const UNIT_FILE = /^unit-(\d{6,})\.tsv$/;
const ATTEMPT_FILE = /^unit-(\d{6,})\..*\.tsv$/;
const FAILED_FILE = /^unit-(\d{6,})\.failed\.json$/;

export function unitName(unit: number): string {
  return `unit-${String(unit).padStart(UNIT_DIGITS, '0')}`;
}

export function unitFile(folder: string, unit: number): string {
  return join(folder, 'units', `${unitName(unit)}.tsv`);
}

export function failedFile(folder: string, unit: number): string {
  return join(folder, 'units', `${unitName(unit)}.failed.json`);
}

/** The number of the unit whose rows a file of `units/` has; undefined for all other names. */
export function unitOfFile(name: string): number | undefined {
  const [, digits] = UNIT_FILE.exec(name) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** The number of the unit that a file of `partial/` has rows of; undefined for all other names. */
export function unitOfAttempt(name: string): number | undefined {
  const [, digits] = ATTEMPT_FILE.exec(name) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** The number of the unit whose failures a file of `units/` has; undefined for all other names. */
export function unitOfFailures(name: string): number | undefined {
  const [, digits] = FAILED_FILE.exec(name) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

export function partialFolder(folder: string): string {
  return join(folder, 'partial');
}

/** Marks a unit that a helper has begun, for other helpers. */
export function claimFile(folder: string, unit: number): string {
  return join(partialFolder(folder), `${unitName(unit)}.claim`);
}

/** Units that nobody works on, as a helper found them. */
export function freeUnitsFile(folder: string): string {
  return join(folder, 'free-units.json');
}

/** Makes the folder and those in it, or takes those that exist. Fails (ERR_IO) where others can write to it. */
export async function openPlanFolder(folder: string): Promise<PrivateFolder> {
  const own = await openPrivateFolder(folder);
  for (const name of ['units', 'partial', 'workers', 'logs'])
    await mkdir(join(folder, name), { recursive: true, mode: 0o700 });
  return own;
}
