import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { LxmertDataError } from '../../errors.ts';
import type { StageContext } from '../../events.ts';
import type { DetectorName } from '../contract.ts';
import { exchangeFolderOf, ExchangeFolder } from '../exchange-folder.ts';
import { ImageArchives, unpackedFolder } from '../image-archives.ts';
import { type Extractors, runExtractors } from '../run-extractors.ts';
import { type Heartbeat, HeartbeatFile } from './heartbeat.ts';
import { keepRunning, type KeptExtractors } from './keep-running.ts';
import { openPlanFolder } from './layout.ts';
import type { ClusterPlan } from './plan.ts';
import { readPublished } from './publish.ts';
import { Schedule, type WorkerIndex } from './schedule.ts';
import { UnitRows } from './unit-rows.ts';

const TOUCH_MS = 5000;

export interface WorkerOptions extends WorkerIndex {
  readonly plan: ClusterPlan;
  /** Makes extractors ready that write to `exchange` in this folder, for images below `root`. */
  readonly prepare: (work: { readonly rowFolder: string; readonly root: string }) => Promise<Extractors>;
  /** Where the images are on this host; the plan's folder where not given. */
  readonly root?: string | undefined;
  /** Keep what extractors exchange in the plan's folder: an engine on another machine sees no temporary folder of this one. */
  readonly exchangeInPlan: boolean;
  readonly stallSeconds: number;
  /** Only the units of this worker, without help for others. */
  readonly ownOnly?: boolean | undefined;
  /** Name of the job in its engine; a worker that comes back has the same. */
  readonly job?: string | undefined;
}

export interface WorkerResult {
  /** Units that this worker finished. */
  readonly units: number;
  /** Images that it computed. */
  readonly images: number;
  readonly failed: number;
  readonly detector: DetectorName | undefined;
}

/** Does a worker's units of a plan, then helps with those of others, until none is open that nobody works on. */
export async function runWorker(options: WorkerOptions, context: StageContext): Promise<WorkerResult> {
  const { folder } = options.plan;
  if ((await readPublished(folder)) !== undefined)
    return { units: 0, images: 0, failed: 0, detector: undefined };
  await openPlanFolder(folder);
  const exchangeRoot = await makeExchangeRoot(options);
  const worker = new Worker(options, context, exchangeRoot);
  try {
    return await worker.run();
  } finally {
    await worker.close();
    await rm(exchangeRoot, { recursive: true, force: true });
  }
}

async function makeExchangeRoot({ plan, exchangeInPlan }: WorkerOptions): Promise<string> {
  const parent = exchangeInPlan ? join(plan.folder, 'attempts') : tmpdir();
  await mkdir(parent, { recursive: true, mode: 0o700 });
  return await mkdtemp(join(parent, 'lxmert-data-exchange-'));
}

class Worker {
  readonly #options: WorkerOptions;
  readonly #context: StageContext;
  readonly #exchangeRoot: string;
  readonly #exchange: ExchangeFolder;
  readonly #attempt: string;
  readonly #file: HeartbeatFile;
  readonly #beat: { -readonly [Key in keyof Heartbeat]: Heartbeat[Key] };
  #kept: KeptExtractors | undefined;
  #detector: DetectorName | undefined;
  #failed = 0;
  #units = 0;

  constructor(options: WorkerOptions, context: StageContext, exchangeRoot: string) {
    this.#options = options;
    this.#context = context;
    this.#exchangeRoot = exchangeRoot;
    this.#exchange = new ExchangeFolder(exchangeFolderOf(exchangeRoot));
    const { index, count, job } = options;
    const host = plainName(hostname());
    const name = `${plainName(job ?? host)}_${index}`;
    // Process numbers come again, in containers mostly the same one.
    this.#attempt = `${host}-${plainName(job ?? 'none')}_${index}-${process.pid}-${randomBytes(4).toString('hex')}`;
    this.#file = new HeartbeatFile(options.plan.folder, name);
    const now = Date.now();
    this.#beat = {
      worker: name,
      host: hostname(),
      job: job ?? null,
      pid: process.pid,
      index,
      workers: count,
      state: 'working',
      unit: null,
      unit_done: 0,
      done: 0,
      rate: 0,
      device: null,
      started: now,
      time: now,
    };
  }

  async run(): Promise<WorkerResult> {
    const { plan, index, count, ownOnly } = this.#options;
    const { folder, units } = plan;
    const schedule = new Schedule({ folder, units, index, count, ownOnly, now: Date.now });
    try {
      for (let unit = await schedule.next(); unit !== undefined; unit = await schedule.next()) {
        this.#context.signal.throwIfAborted();
        // Its rows are gone then, and nothing is left to do.
        if ((await readPublished(plan.folder)) !== undefined) break;
        await this.#doUnit(unit).catch(async (error: unknown) => {
          // Others finished the unit and published everything in the meantime.
          if (this.#context.signal.aborted || (await readPublished(plan.folder)) === undefined) throw error;
        });
      }
      await this.#report({ state: 'done', unit: null });
    } catch (error) {
      await this.#report({ state: this.#context.signal.aborted ? 'interrupted' : 'failed', unit: null });
      throw error;
    }
    return { units: this.#units, images: this.#beat.done, failed: this.#failed, detector: this.#detector };
  }

  async close(): Promise<void> {
    await this.#kept?.close();
  }

  async #doUnit(unit: number): Promise<void> {
    const { plan, root } = this.#options;
    const images = await plan.readUnit(unit, root);
    const attempt = { folder: plan.folder, unit, images, attempt: this.#attempt, exchange: this.#exchange };
    const rows = await UnitRows.open(attempt);
    const touch = setInterval(() => {
      void rows.touch(Date.now());
      void this.#file.write({ ...this.#beat, time: Date.now() });
    }, TOUCH_MS);
    let isPublished = false;
    try {
      await this.#report({ unit, unit_done: rows.rows.size });
      const failures = await this.#compute(rows, images);
      await rows.publish(failures);
      isPublished = true;
      this.#units++;
      this.#failed += failures.size;
    } finally {
      clearInterval(touch);
      if (!isPublished) await rows.close();
    }
  }

  async #compute(
    rows: UnitRows,
    images: Awaited<ReturnType<ClusterPlan['readUnit']>>,
  ): Promise<ReadonlyMap<string, string>> {
    const left = images.filter(({ img_id: id }) => !rows.rows.has(id));
    if (left.length === 0) return new Map();
    const { stallSeconds } = this.#options;
    // Of this unit alone; the run closes them.
    const archives = await ImageArchives.open(left, this.#exchangeRoot, true);
    const kept = await this.#prepare(archives !== undefined).catch(async (error: unknown) => {
      await archives?.close();
      throw error;
    });
    const extractors = { ...kept.extractors, archives };
    const onDone = (): void => this.#count();
    const run = await runExtractors(
      { images: left, folder: rows, extractors, stallSeconds, onDone },
      this.#context,
    );
    this.#detector ??= run.detector;
    this.#beat.device = run.device ?? this.#beat.device;
    return run.failures;
  }

  /** Extractors start with the first unit that needs any. */
  async #prepare(inArchives: boolean): Promise<KeptExtractors> {
    if (this.#kept !== undefined) return this.#kept;
    const { plan, root = plan.file.root, prepare } = this.#options;
    await this.#exchange.empty();
    const images = inArchives ? unpackedFolder(this.#exchangeRoot) : root;
    const inner = await prepare({ rowFolder: this.#exchangeRoot, root: images });
    this.#kept = keepRunning(inner);
    return this.#kept;
  }

  #count(): void {
    const { plan } = this.#options;
    const beat = this.#beat;
    beat.done++;
    beat.unit_done++;
    beat.time = Date.now();
    beat.rate = (beat.done * 1000) / Math.max(1, beat.time - beat.started);
    const input = `unit ${beat.unit ?? 0} of ${plan.units}`;
    const total = plan.imagesOf(beat.unit ?? 0);
    this.#context.emit({
      event: 'progress',
      stage: 'extract',
      input,
      done: beat.unit_done,
      total,
      unit: 'images',
    });
    void this.#file.write({ ...beat });
  }

  async #report(change: Partial<Heartbeat>): Promise<void> {
    Object.assign(this.#beat, change, { time: Date.now() });
    await this.#file.write({ ...this.#beat }, true);
  }
}

/** Part of a file name, whatever the engine calls its jobs. */
function plainName(text: string): string {
  const name = text.replace(/[^A-Za-z0-9-]/g, '-').slice(0, 40);
  if (name !== '') return name;
  throw new LxmertDataError('ERR_INTERNAL', { what: 'a worker without a name', got: JSON.stringify(text) });
}
