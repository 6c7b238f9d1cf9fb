import { join } from 'node:path';
import { v } from '../../schema.ts';
import { type Heartbeat, readHeartbeats } from './heartbeat.ts';
import { readJsonFile, writeJsonFile } from './json-file.ts';
import type { ClusterPlan } from './plan.ts';
import { readFailures, readPublished } from './publish.ts';
import { listDoneUnits, listHeldUnits, SILENCE_MS } from './schedule.ts';

const jobsSchema = v.array(
  v.object({
    engine: v.literal('slurm'),
    id: v.pipe(v.string(), v.regex(/^\d+$/)),
    publish: v.nullable(v.pipe(v.string(), v.regex(/^\d+$/))),
    time: v.number(),
  }),
);

/** Jobs that were submitted for a plan. */
export type SubmittedJob = v.InferOutput<typeof jobsSchema>[number];

export interface ClusterStatus {
  readonly done: number;
  readonly total: number;
  /** Images that have no row, and will not get one by themselves. */
  readonly failed: number;
  readonly units_done: number;
  readonly units: number;
  /** Images a second of all workers that show life. */
  readonly rate: number;
  /** Null where nobody works. */
  readonly seconds_left: number | null;
  readonly published: boolean;
  readonly workers: readonly WorkerStatus[];
  /** Units that are open and that nobody works on. */
  readonly units_without_worker: number;
}

export interface WorkerStatus {
  readonly worker: string;
  readonly host: string;
  readonly state: Heartbeat['state'] | 'silent';
  readonly unit: number | null;
  readonly done: number;
  readonly rate: number;
  readonly device: string | null;
  readonly silent_seconds: number;
}

/** How far a plan is, from its files alone. */
export async function readStatus(plan: ClusterPlan, now: number): Promise<ClusterStatus> {
  const { folder, units } = plan;
  const total = plan.file.images;
  const beats = await readHeartbeats(folder);
  const workers = beats.map(beat => describeWorker(beat, now));
  const published = await readPublished(folder);
  if (published !== undefined) {
    const all = { done: published.rows, total, failed: total - published.rows, units_done: units, units };
    return { ...all, rate: 0, seconds_left: 0, published: true, workers, units_without_worker: 0 };
  }
  const doneUnits = listDoneUnits(folder);
  const held = new Set([...listHeldUnits(folder, now)].filter(unit => !doneUnits.has(unit)));
  const failed = (await readFailures(folder)).length;
  const finished = [...doneUnits].reduce((sum, unit) => sum + plan.imagesOf(unit), 0);
  const atWork = new Map<number, number>();
  for (const { state, unit, unit_done: done } of beats)
    if (state === 'working' && unit !== null && held.has(unit))
      atWork.set(unit, Math.max(atWork.get(unit) ?? 0, done));
  const done = finished + [...atWork.values()].reduce((sum, images) => sum + images, 0);
  const rate = workers.reduce((sum, worker) => sum + (worker.state === 'working' ? worker.rate : 0), 0);
  return {
    done,
    total,
    failed,
    units_done: doneUnits.size,
    units,
    rate,
    seconds_left: done === total ? 0 : rate > 0 ? Math.ceil((total - done) / rate) : null,
    published: false,
    workers,
    units_without_worker: units - doneUnits.size - held.size,
  };
}

function describeWorker(beat: Heartbeat, now: number): WorkerStatus {
  const { worker, host, unit, done, rate, device } = beat;
  const silentMs = Math.max(0, now - beat.time);
  const isSilent = beat.state === 'working' && silentMs >= SILENCE_MS;
  const state = isSilent ? 'silent' : beat.state;
  return { worker, host, state, unit, done, rate, device, silent_seconds: Math.round(silentMs / 1000) };
}

export async function readJobs(folder: string): Promise<readonly SubmittedJob[]> {
  return (await readJsonFile(join(folder, 'jobs.json'), jobsSchema)) ?? [];
}

export async function addJob(folder: string, job: SubmittedJob): Promise<void> {
  await writeJsonFile(join(folder, 'jobs.json'), [...(await readJobs(folder)), job]);
}
