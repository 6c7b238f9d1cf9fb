import { existsSync, statSync } from 'node:fs';
import { readdir, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../../errors.ts';
import { createOwn } from '../../files/open-checked.ts';
import { v } from '../../schema.ts';
import { readJsonFile, writeJsonFile } from './json-file.ts';
import { claimFile, freeUnitsFile, partialFolder, unitFile, unitName, unitOfFile } from './layout.ts';

/** An attempt that shows no life for this long may be dead, and others may do its unit. */
export const SILENCE_MS = 60_000;
/** How old the list of free units may be that helpers share. */
const HINT_MS = 30_000;

/** Part `index` (from 1) of `count` workers. */
export interface WorkerIndex {
  readonly index: number;
  readonly count: number;
}

export interface ScheduleOptions extends WorkerIndex {
  /** X.rows. */
  readonly folder: string;
  /** Units of the plan. */
  readonly units: number;
  /** Do nothing of other workers' units, even where nobody works on them. */
  readonly ownOnly?: boolean | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** From 0 to 1; chosen by tests alone. */
  readonly random?: () => number;
}

const hintSchema = v.object({ time: v.number(), free: v.array(v.number()) });

/** The units that are done, from their files: one listing of a folder. */
export async function listDoneUnits(folder: string): Promise<Set<number>> {
  const names = await readNames(join(folder, 'units'));
  const done = new Set<number>();
  for (const name of names) {
    const unit = unitOfFile(name);
    if (unit !== undefined) done.add(unit);
  }
  return done;
}

/**
 * Gives a worker its units: first its own, index, index + count, …, of which each is looked up by its name, so that no
 * worker lists more than its slice; then units that are open and that nobody works on; at last those of its own that it left to
 * a helper and that are not done. Two workers may get the same unit;
 * that costs time and nothing else.
 */
export class Schedule {
  readonly #options: ScheduleOptions;
  #next: number;
  readonly #tried = new Set<number>();
  readonly #leftToHelpers: number[] = [];

  constructor(options: ScheduleOptions) {
    this.#options = options;
    this.#next = options.index - 1;
  }

  /** The next unit to do; undefined where all are done or in the hands of workers that show life. */
  async next(): Promise<number | undefined> {
    const { folder, units, count, ownOnly } = this.#options;
    while (this.#next < units) {
      const unit = this.#next;
      this.#next += count;
      if (isDone(folder, unit)) continue;
      if (ownOnly === true || !(await this.#isWithHelper(unit))) return unit;
      this.#leftToHelpers.push(unit);
    }
    return ownOnly === true ? undefined : ((await this.#nextOfOthers()) ?? this.#nextLeft());
  }

  /** Own units that a helper has not finished: it may have died, and a worker does not end before its own units are done. */
  #nextLeft(): number | undefined {
    for (let unit = this.#leftToHelpers.shift(); unit !== undefined; unit = this.#leftToHelpers.shift())
      if (!isDone(this.#options.folder, unit)) return unit;
    return undefined;
  }

  /** Whether a helper is at work on a unit. */
  async #isWithHelper(unit: number): Promise<boolean> {
    const { folder, now } = this.#options;
    if (!existsSync(claimFile(folder, unit))) return false;
    // It has just been claimed, and the attempt may not have a file yet; later, the attempt alone shows life.
    if (this.#isClaimed(unit)) return true;
    return await isHeld(folder, (await groupAttempts(folder)).get(unit) ?? [], now());
  }

  async #nextOfOthers(): Promise<number | undefined> {
    const { folder, random = Math.random } = this.#options;
    const free = await this.#listFree();
    // Each worker begins elsewhere every time, so that helpers do not meet.
    const begin = Math.floor(random() * free.length);
    for (let step = 0; step < free.length; step++) {
      const unit = free[(begin + step) % free.length]!;
      // Once each, so that a unit that can never be finished does not keep a worker for ever.
      if (this.#tried.has(unit)) continue;
      this.#tried.add(unit);
      if (this.#isClaimed(unit) || isDone(folder, unit)) continue;
      if (await this.#claim(unit)) return unit;
    }
    return undefined;
  }

  /** Units that are open and that nobody works on, from the list that helpers share or from the folders. */
  async #listFree(): Promise<readonly number[]> {
    const { folder, units, now } = this.#options;
    const path = freeUnitsFile(folder);
    // Only a hint: whatever is wrong with it, the folders are listed.
    const hint = await readJsonFile(path, hintSchema).catch(() => undefined);
    const age = now() - (hint?.time ?? -Infinity);
    if (hint !== undefined && age >= 0 && age < HINT_MS) return hint.free;
    const done = await listDoneUnits(folder);
    if (done.size >= units) return [];
    const held = await listHeldUnits(folder, now());
    const free: number[] = [];
    for (let unit = 0; unit < units; unit++) if (!done.has(unit) && !held.has(unit)) free.push(unit);
    await writeJsonFile(path, { time: now(), free });
    return free;
  }

  /** Most are claimed when many help; looked up without a thread, and without an error for each. */
  #isClaimed(unit: number): boolean {
    const { folder, now } = this.#options;
    const found = statSync(claimFile(folder, unit), { throwIfNoEntry: false });
    return found !== undefined && now() - found.mtimeMs < SILENCE_MS;
  }

  /** Whether this worker is the first of those that would help with a unit. */
  async #claim(unit: number): Promise<boolean> {
    const { folder, now } = this.#options;
    const path = claimFile(folder, unit);
    try {
      await (await createOwn(path)).close();
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
      const found = await stat(path).catch(() => undefined);
      if (found !== undefined && now() - found.mtimeMs < SILENCE_MS) return false;
    }
    await utimes(path, now() / 1000, now() / 1000).catch(() => undefined);
    return true;
  }
}

/** Units that somebody is at work on. */
export async function listHeldUnits(folder: string, now: number): Promise<ReadonlySet<number>> {
  const held = new Set<number>();
  for (const [unit, names] of await groupAttempts(folder)) {
    if (await isHeld(folder, names, now)) held.add(unit);
  }
  return held;
}

async function isHeld(folder: string, names: readonly string[], now: number): Promise<boolean> {
  const silences = await Promise.all(names.map(async name => await silenceOf(folder, name, now)));
  return silences.some(silence => silence < SILENCE_MS);
}

/** Files of attempts, dead or alive, by their unit. */
async function groupAttempts(folder: string): Promise<ReadonlyMap<number, readonly string[]>> {
  const attempts = new Map<number, string[]>();
  for (const name of await readNames(partialFolder(folder))) {
    const [, digits] = /^unit-(\d+)\..*\.tsv$/.exec(name) ?? [];
    if (digits === undefined) continue;
    const names = attempts.get(Number(digits));
    if (names === undefined) attempts.set(Number(digits), [name]);
    else names.push(name);
  }
  return attempts;
}

/** For how long an attempt has shown no life, in milliseconds. */
async function silenceOf(folder: string, name: string, now: number): Promise<number> {
  const found = await stat(join(partialFolder(folder), name)).catch(() => undefined);
  return found === undefined ? Infinity : now - found.mtimeMs;
}

/** Names in a folder; none where it was removed, as publication does. */
async function readNames(folder: string): Promise<readonly string[]> {
  return await readdir(folder).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  });
}

/** Looked up without a thread, and without an error for each unit that is open. */
function isDone(folder: string, unit: number): boolean {
  return existsSync(unitFile(folder, unit));
}

/** Units as people read them: `unit-000003, unit-000007, …`. */
export function nameUnits(units: readonly number[], most = 5): string {
  return units.slice(0, most).map(unitName).join(', ') + (units.length > most ? ', …' : '');
}
