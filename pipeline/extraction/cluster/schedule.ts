import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../../errors.ts';
import { v } from '../../schema.ts';
import { readJsonFile, writeJsonFile } from './json-file.ts';
import { partialFolder, unitFile, unitName, unitOfFile } from './layout.ts';

/** An attempt that shows no life for this long may be dead, and others may do its unit. */
export const SILENCE_MS = 60_000;
/** How old the list of open units may be that helpers share. */
const HINT_MS = 10_000;

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
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

const hintSchema = v.object({ time: v.number(), open: v.array(v.number()) });

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
 * worker lists more than its slice; then units that are open and that nobody works on. Two workers may get the same unit;
 * that costs time and nothing else.
 */
export class Schedule {
  readonly #options: ScheduleOptions;
  /** Own units that were in somebody else's hands when their turn came. */
  #next: number;
  readonly #tried = new Set<number>();

  constructor(options: ScheduleOptions) {
    this.#options = options;
    this.#next = options.index - 1;
  }

  /** The next unit to do; undefined where all are done or in the hands of workers that show life. */
  async next(): Promise<number | undefined> {
    const { folder, units, count } = this.#options;
    while (this.#next < units) {
      const unit = this.#next;
      this.#next += count;
      if (!(await isDone(folder, unit))) return unit;
    }
    return await this.#nextOfOthers();
  }

  async #nextOfOthers(): Promise<number | undefined> {
    const { folder, index, count } = this.#options;
    const open = await this.#listOpen();
    if (open.length === 0) return undefined;
    const held = await this.#listHeld();
    // Each worker begins elsewhere, so that helpers do not meet.
    const begin = Math.floor(((index - 1) * open.length) / count);
    for (let step = 0; step < open.length; step++) {
      const unit = open[(begin + step) % open.length]!;
      if (held.has(unit) || this.#tried.has(unit)) continue;
      if (await isDone(folder, unit)) continue;
      // Once each, so that a unit that can never be finished does not keep a worker for ever.
      this.#tried.add(unit);
      return unit;
    }
    return undefined;
  }

  /** Open units, from the list that helpers share or from the folder. */
  async #listOpen(): Promise<readonly number[]> {
    const { folder, units, now } = this.#options;
    const path = join(folder, 'open-units.json');
    // Only a hint: whatever is wrong with it, the folder of units is listed.
    const hint = await readJsonFile(path, hintSchema).catch(() => undefined);
    const age = now() - (hint?.time ?? -Infinity);
    if (hint !== undefined && age >= 0 && age < HINT_MS) return hint.open;
    const done = await listDoneUnits(folder);
    const open: number[] = [];
    for (let unit = 0; unit < units; unit++) if (!done.has(unit)) open.push(unit);
    await writeJsonFile(path, { time: now(), open });
    return open;
  }

  /** Units with an attempt that shows life. */
  async #listHeld(): Promise<ReadonlySet<number>> {
    const { folder, now } = this.#options;
    const held = new Set<number>();
    for (const { unit, silentMs } of await listAttempts(folder, now())) {
      if (silentMs < SILENCE_MS) held.add(unit);
    }
    return held;
  }
}

/** Attempts that are under way or dead, and for how long each showed no life. */
export async function listAttempts(
  folder: string,
  now: number,
): Promise<readonly { readonly unit: number; readonly silentMs: number }[]> {
  const names = (await readNames(partialFolder(folder))).filter(name => name.endsWith('.tsv'));
  const attempts = names.map(async name => {
    const unit = Number(/^unit-(\d+)\./.exec(name)?.[1]);
    const found = await stat(join(partialFolder(folder), name)).catch(() => undefined);
    return { unit, silentMs: found === undefined ? Infinity : now - found.mtimeMs };
  });
  return (await Promise.all(attempts)).filter(({ unit }) => !Number.isNaN(unit));
}

/** Names in a folder; none where it was removed, as publication does. */
async function readNames(folder: string): Promise<readonly string[]> {
  return await readdir(folder).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  });
}

async function isDone(folder: string, unit: number): Promise<boolean> {
  return (await stat(unitFile(folder, unit)).catch(() => undefined)) !== undefined;
}

/** Units as people read them: `unit-000003, unit-000007, …`. */
export function nameUnits(units: readonly number[], most = 5): string {
  return units.slice(0, most).map(unitName).join(', ') + (units.length > most ? ', …' : '');
}
