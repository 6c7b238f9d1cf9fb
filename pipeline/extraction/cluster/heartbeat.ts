import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { v } from '../../schema.ts';
import { readJsonFile, writeJsonFile } from './json-file.ts';

const INTERVAL_MS = 10_000;

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const heartbeatSchema = v.object({
  worker: v.string(),
  host: v.string(),
  job: v.nullable(v.string()),
  pid: count,
  index: count,
  workers: count,
  state: v.picklist(['working', 'done', 'interrupted', 'failed']),
  unit: v.nullable(count),
  /** Images of the unit that have a row or a reason. */
  unit_done: count,
  /** Images that this process computed, and what it computes in a second. */
  done: count,
  rate: v.number(),
  device: v.nullable(v.string()),
  /** Milliseconds since 1970. */
  started: v.number(),
  time: v.number(),
});

/** What a worker says of itself. */
export type Heartbeat = v.InferOutput<typeof heartbeatSchema>;

/** Writes a worker's signs of life, at most every 10 seconds. */
export class HeartbeatFile {
  readonly #path: string;
  #last = -Infinity;
  #writing: Promise<void> = Promise.resolve();

  /** `name` is that of the job and index, so that a worker that comes back replaces its file. */
  constructor(folder: string, name: string) {
    this.#path = join(folder, 'workers', `${name}.json`);
  }

  /** Writes where the last time is long enough ago, or `now` is set. A full disk does not end the work here. */
  async write(beat: Heartbeat, now = false): Promise<void> {
    if (!now && beat.time - this.#last < INTERVAL_MS) return;
    this.#last = beat.time;
    this.#writing = this.#writing
      .then(async () => await writeJsonFile(this.#path, beat))
      .catch(() => undefined);
    await this.#writing;
  }
}

/** What all workers said last; files that are damaged are left out. */
export async function readHeartbeats(folder: string): Promise<readonly Heartbeat[]> {
  const names = (await readdir(join(folder, 'workers'))).filter(name => name.endsWith('.json')).sort();
  const beats: Heartbeat[] = [];
  for (const name of names) {
    const beat = await readJsonFile(join(folder, 'workers', name), heartbeatSchema).catch(() => undefined);
    if (beat !== undefined) beats.push(beat);
  }
  return beats;
}
