import { existsSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '../../errors.ts';
import { createOwn, readOwnSync } from '../../files/open-checked.ts';
import { v } from '../../schema.ts';
import { writeJsonFile } from './json-file.ts';
import {
  claimFile,
  freeUnitsFile,
  partialFolder,
  unitFile,
  unitName,
  unitOfAttempt,
  unitOfFile,
} from './layout.ts';

/*
 * Files are looked up without the thread pool, which costs several times the processor time of the look-up itself, and
 * without an error for each that is not there. A worker computes nothing while it chooses.
 */

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

const MAX_HINT_BYTES = 16 << 20;

/** A character for each unit, `1` where it is free: a helper reads no more of thousands than it looks at. */
const hintSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({ time: v.number(), count: v.number(), free: v.string() }),
);

/** The units that are done, from their files: one listing of a folder. */
export function listDoneUnits(folder: string): Set<number> {
  const names = readNames(join(folder, 'units'));
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
      if (ownOnly === true || !this.#isWithHelper(unit)) return unit;
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
  #isWithHelper(unit: number): boolean {
    const { folder, now } = this.#options;
    if (!existsSync(claimFile(folder, unit))) return false;
    // It has just been claimed, and the attempt may not have a file yet; later, the attempt alone shows life.
    if (this.#isClaimed(unit)) return true;
    return listHeldUnits(folder, now(), unit).has(unit);
  }

  async #nextOfOthers(): Promise<number | undefined> {
    const { folder, random = Math.random } = this.#options;
    const { free, count } = await this.#listFree();
    // Each worker begins elsewhere every time, so that helpers do not meet.
    for (const unit of freeFrom(free, Math.floor(random() * count))) {
      // Once each, so that a unit that can never be finished does not keep a worker for ever.
      if (this.#tried.has(unit)) continue;
      this.#tried.add(unit);
      if (this.#isClaimed(unit) || isDone(folder, unit)) continue;
      if (await this.#claim(unit)) return unit;
    }
    return undefined;
  }

  /** Units that are open and that nobody works on, from the list that helpers share or from the folders. */
  async #listFree(): Promise<{ readonly free: string; readonly count: number }> {
    const { folder, units, now } = this.#options;
    const path = freeUnitsFile(folder);
    // Only a hint: whatever is wrong with it, the folders are listed.
    const hint = v.safeParse(hintSchema, readOwnSync(path, MAX_HINT_BYTES)?.toString('latin1'));
    const age = hint.success ? now() - hint.output.time : -1;
    const fits = hint.success && hint.output.free.length === units && hint.output.count <= units;
    if (fits && age >= 0 && age < HINT_MS) return hint.output;
    const done = listDoneUnits(folder);
    if (done.size >= units) return { free: '', count: 0 };
    const held = listHeldUnits(folder, now());
    const marks = Array.from({ length: units }, (_, unit) => (done.has(unit) || held.has(unit) ? '0' : '1'));
    const free = marks.join('');
    const hinted = { time: now(), count: marks.filter(mark => mark === '1').length, free };
    await writeJsonFile(path, hinted);
    return hinted;
  }

  /** Most are claimed when many help. */
  #isClaimed(unit: number): boolean {
    return isFresh(claimFile(this.#options.folder, unit), this.#options.now());
  }

  /** Whether this worker is the first of those that would help with a unit. */
  async #claim(unit: number): Promise<boolean> {
    const { folder, now } = this.#options;
    const path = claimFile(folder, unit);
    try {
      await (await createOwn(path)).close();
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
      if (this.#isClaimed(unit)) return false;
    }
    const seconds = now() / 1000;
    try {
      utimesSync(path, seconds, seconds);
    } catch {
      // Whoever finished the unit has removed it.
    }
    return true;
  }
}

/** Free units after the first `skipped`, then those. */
function* freeFrom(free: string, skipped: number): Generator<number, void, undefined> {
  let begin = free.indexOf('1');
  for (let step = 0; step < skipped; step++) begin = free.indexOf('1', begin + 1);
  if (begin < 0) return;
  for (let unit = begin; unit >= 0; unit = free.indexOf('1', unit + 1)) yield unit;
  for (let unit = free.indexOf('1'); unit < begin; unit = free.indexOf('1', unit + 1)) yield unit;
}

/** Units that somebody is at work on, of all units or of one. */
export function listHeldUnits(folder: string, now: number, only?: number): ReadonlySet<number> {
  const held = new Set<number>();
  for (const name of readNames(partialFolder(folder))) {
    const unit = unitOfAttempt(name);
    if (unit === undefined || (only !== undefined && unit !== only) || held.has(unit)) continue;
    if (isFresh(join(partialFolder(folder), name), now)) held.add(unit);
  }
  return held;
}

/** Whether an attempt or a claim has shown life; not where it is gone. */
function isFresh(path: string, now: number): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found !== undefined && now - found.mtimeMs < SILENCE_MS;
}

/** Removes the mark of a helper, which most units never had. */
export function removeClaim(folder: string, unit: number): void {
  const path = claimFile(folder, unit);
  if (existsSync(path)) rmSync(path, { force: true });
}

/** Names in a folder; none where it was removed, as publication does. */
function readNames(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

function isDone(folder: string, unit: number): boolean {
  return existsSync(unitFile(folder, unit));
}

/** Units as people read them: `unit-000003, unit-000007, …`. */
export function nameUnits(units: readonly number[], most = 5): string {
  return units.slice(0, most).map(unitName).join(', ') + (units.length > most ? ', …' : '');
}
