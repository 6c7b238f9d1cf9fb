import { type ErrorParts, errorText, LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import type { DetectorName, ExtractorEvent, ExtractorStep } from './contract.ts';
import { Deaths } from './deaths.ts';
import type { ExchangeFolder } from './exchange-folder.ts';
import { ExtractorLog } from './extractor-log.ts';
import type { ImageArchives } from './image-archives.ts';
import { ImageQueue } from './image-queue.ts';
import type { ListedImage } from './list-images.ts';
import { describeEnd, type ExtractorEnd, type RunningExtractor, type StartExtractor } from './process.ts';
import type { RowBatch } from './row-batch.ts';

/** Batches that an extractor has at a time, so that it can read ahead. */
const BATCHES_AHEAD = 2;
const WATCH_MS = 200;
/** How often the folder that extractors write to is measured. */
const MEASURE_MS = 1000;

/** Extractors that run at the same time. */
export interface Extractors {
  /** One entry for each extractor. */
  readonly start: readonly StartExtractor[];
  /** A path of this machine as the extractors see it; unchanged where not given. */
  readonly toContainerPath?: (path: string) => string;
  /** Images inside archives, which become files while extractors have them. */
  readonly archives?: ImageArchives | undefined;
  /** Why no extractor is to be given this image; undefined where it may be. */
  readonly checkImage?: (path: string) => Promise<string | undefined>;
  /** Ends what the host does for the extractors. */
  readonly close?: () => Promise<void>;
}

/** Where the rows of a run are kept. */
export interface RowTarget {
  /** Rows that are there, by img_id. */
  readonly rows: ReadonlyMap<string, unknown>;
  readonly exchange: Pick<ExchangeFolder, 'checkSize'>;
  /** Fails where the existing rows come from another detector. */
  holdTo(detector: DetectorName): Promise<void>;
  /** A file for the rows of these images, which an extractor can write to. */
  openBatch(imgIds: readonly string[]): Promise<RowBatch>;
}

/** The extractors cannot go on. */
export class ExtractorFailure extends LxmertDataError {
  /** Of the last one that ended. */
  readonly exitCode: number | null;

  constructor(exitCode: number | null, parts: ErrorParts) {
    super('ERR_EXTRACTOR', parts);
    this.exitCode = exitCode;
  }
}

export interface RunExtractorsOptions {
  readonly images: readonly ListedImage[];
  readonly folder: RowTarget;
  readonly extractors: Extractors;
  /** Seconds without a sign of life after which an extractor is ended. */
  readonly stallSeconds: number;
  /** Called for each image that has its row or its reason, with the index of the extractor that did it. */
  readonly onDone: (worker: number, imgId: string) => void;
  /** Called with what an extractor is doing: `false` when it was started, `true` when it is ready. */
  readonly onStep?: ((worker: number, step: ExtractorStep | boolean) => void) | undefined;
}

export interface RunExtractorsResult {
  readonly detector: DetectorName | undefined;
  readonly device: string | undefined;
  /** Reasons by img_id. */
  readonly failures: ReadonlyMap<string, string>;
}

interface OpenBatch {
  readonly number: number;
  readonly images: readonly ListedImage[];
  readonly waiting: Map<string, ListedImage>;
  readonly rows: RowBatch;
}

/** One extractor from its start to its end. */
interface Life {
  readonly worker: number;
  readonly extractor: RunningExtractor;
  readonly batches: OpenBatch[];
  readonly log: ExtractorLog;
  /** When it last did something. */
  lastEvent: number;
  isReady: boolean;
  isStalled: boolean;
  failure: Error | undefined;
}

/** Hands out images to extractors and takes in their rows, until every image has a valid row or a reason why not. */
export async function runExtractors(
  options: RunExtractorsOptions,
  context: StageContext,
): Promise<RunExtractorsResult> {
  // When one cannot go on the others are ended too, and waited for, so that nobody writes rows any more.
  const failed = new AbortController();
  const signal = AbortSignal.any([context.signal, failed.signal]);
  const run = new Run(options, { ...context, signal });
  const measure = setInterval(() => {
    options.folder.exchange.checkSize().catch((error: unknown) => failed.abort(error));
  }, MEASURE_MS);
  try {
    const drives = options.extractors.start.map(async (start, worker) => {
      try {
        await run.drive(start, worker);
      } catch (error) {
        failed.abort(error);
        throw error;
      }
    });
    await Promise.allSettled(drives);
    signal.throwIfAborted();
    return run.result;
  } finally {
    clearInterval(measure);
    await options.extractors.close?.();
    await options.extractors.archives?.close();
  }
}

class Run {
  readonly #options: RunExtractorsOptions;
  readonly #context: StageContext;
  readonly #queue: ImageQueue;
  readonly #failures = new Map<string, string>();
  readonly #deaths: Deaths;
  #batches = 0;
  #detector: DetectorName | undefined;
  #device: string | undefined;

  constructor(options: RunExtractorsOptions, context: StageContext) {
    const workers = options.extractors.start.length;
    this.#options = options;
    this.#context = context;
    this.#queue = new ImageQueue(options.images, workers * BATCHES_AHEAD);
    this.#deaths = new Deaths(workers, options.folder.rows.size > 0);
  }

  get result(): RunExtractorsResult {
    return { detector: this.#detector, device: this.#device, failures: this.#failures };
  }

  /** Keeps one extractor at work; starts it again when it dies. */
  async drive(start: StartExtractor, worker: number): Promise<void> {
    while (this.#queue.size > 0) {
      const { signal } = this.#context;
      signal.throwIfAborted();
      await this.#runOne(start, worker);
      signal.throwIfAborted();
    }
  }

  /** Runs one extractor to its end. Fails where none can go on. */
  async #runOne(start: StartExtractor, worker: number): Promise<void> {
    const life: Life = {
      worker,
      extractor: start(async event => await this.#takeOrKill(event, life)),
      batches: [],
      log: new ExtractorLog(this.#context.emit),
      lastEvent: Date.now(),
      isReady: false,
      isStalled: false,
      failure: undefined,
    };
    this.#options.onStep?.(worker, false);
    const stop = (): void => life.extractor.kill();
    const { signal } = this.#context;
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    const watch = setInterval(() => this.#endStalled(life), WATCH_MS);
    try {
      const end = await life.extractor.ended;
      if (life.failure !== undefined) throw life.failure;
      const suspect = life.batches[0]?.waiting.values().next().value;
      // Backwards, so that images get back to the front in their order.
      for (const batch of life.batches.reverse()) await this.#closeBatch(batch);
      if (signal.aborted || (end.code === 0 && suspect === undefined)) return;
      const why = `no output for ${this.#options.stallSeconds} s; --stall allows for more`;
      this.#noteDeath(life.isStalled ? { ...end, why, isFromOutside: false } : end, life, suspect);
    } finally {
      clearInterval(watch);
      signal.removeEventListener('abort', stop);
      await Promise.allSettled(life.batches.map(async ({ rows }) => await rows.close()));
    }
  }

  #endStalled(life: Life): void {
    if (life.batches.length === 0) return;
    if (Date.now() - life.lastEvent < this.#options.stallSeconds * 1000) return;
    life.isStalled = true;
    life.extractor.kill();
  }

  async #takeOrKill(event: ExtractorEvent, life: Life): Promise<void> {
    if (life.failure !== undefined) return;
    try {
      await this.#take(event, life);
    } catch (error) {
      life.failure = error instanceof Error ? error : new Error(errorText(error));
      life.extractor.kill();
    }
  }

  async #take(event: ExtractorEvent, life: Life): Promise<void> {
    if (event.event === 'log') {
      // One that only talks is not at work.
      if (life.log.take(event.message)) life.lastEvent = Date.now();
      return;
    }
    if (event.event === 'progress') {
      this.#noteStep(event, life);
      return;
    }
    if (event.event === 'ready') {
      if (!life.isReady) await this.#begin(event, life);
      return;
    }
    const batch = life.batches.find(({ number }) => number === event.lot);
    if (batch === undefined) return;
    if (event.event === 'lot') {
      await this.#closeBatch(batch);
      life.batches.splice(life.batches.indexOf(batch), 1);
      await this.#sendBatch(life);
    } else {
      if (!batch.waiting.has(event.img_id)) return;
      if (event.event === 'failed') this.#fail(event.img_id, event.reason);
      else await this.#takeRow(batch, event.img_id);
      batch.waiting.delete(event.img_id);
      this.#options.onDone(life.worker, event.img_id);
    }
    life.lastEvent = Date.now();
  }

  async #begin({ detector, device }: Extract<ExtractorEvent, { event: 'ready' }>, life: Life): Promise<void> {
    life.isReady = true;
    this.#options.onStep?.(life.worker, true);
    this.#deaths.noteReady();
    this.#checkDetector(detector);
    this.#device = device;
    await this.#options.folder.holdTo(detector);
    for (let ahead = 0; ahead < BATCHES_AHEAD; ahead++) await this.#sendBatch(life);
    life.lastEvent = Date.now();
  }

  /** No sign of life: an extractor that only reports steps does not get on. */
  #noteStep(event: ExtractorStep, { worker, batches }: Life): void {
    const { img_id: id } = event;
    if (id === undefined || batches.some(({ waiting }) => waiting.has(id)))
      this.#options.onStep?.(worker, event);
  }

  async #sendBatch({ batches, extractor, worker }: Life): Promise<void> {
    const images = await this.#takeImages(worker);
    if (images.length === 0) {
      if (batches.length === 0) extractor.finish();
      return;
    }
    const { folder, extractors } = this.#options;
    const toPath = extractors.toContainerPath ?? ((path: string) => path);
    const fileOf = (path: string): string => extractors.archives?.fileOf(path) ?? path;
    const waiting = new Map(images.map(image => [image.img_id, image]));
    const rows = await folder.openBatch([...waiting.keys()]);
    const batch = { number: this.#batches++, waiting, rows, images };
    batches.push(batch);
    extractor.send({
      lot: batch.number,
      rows: toPath(rows.path),
      images: images.map(image => ({ img_id: image.img_id, path: toPath(fileOf(image.path)) })),
    });
  }

  /** The next images that an extractor may be given. */
  async #takeImages(worker: number): Promise<readonly ListedImage[]> {
    for (;;) {
      const images = this.#queue.takeBatch();
      if (images.length === 0) return images;
      const reasons = await Promise.all(images.map(async ({ path }) => await this.#makeReady(path)));
      const good = images.filter((_, index) => reasons[index] === undefined);
      for (const [index, { img_id: id }] of images.entries()) {
        if (reasons[index] === undefined) continue;
        this.#fail(id, reasons[index]);
        this.#options.onDone(worker, id);
      }
      if (good.length > 0) return good;
    }
  }

  /** Has an image on the disk, and looked at; says why no extractor is to be given it. */
  async #makeReady(path: string): Promise<string | undefined> {
    const { archives, checkImage } = this.#options.extractors;
    const reason = await archives?.unpack(path);
    return reason ?? (await checkImage?.(archives?.fileOf(path) ?? path));
  }

  async #takeRow(batch: OpenBatch, imgId: string): Promise<void> {
    const bad = await this.#takeRows(batch);
    if (this.#options.folder.rows.has(imgId)) return;
    const reason = bad.get(imgId) ?? [...bad.values()][0] ?? 'it is not in the file';
    this.#fail(imgId, `the extractor wrote an invalid row (${reason})`);
  }

  /** Takes in the rows that a batch has; returns why rows are invalid. */
  async #takeRows({ rows }: OpenBatch): Promise<ReadonlyMap<string | null, string>> {
    const before = this.#options.folder.rows.size;
    const { bad, notAsked } = await rows.takeNew();
    if (this.#options.folder.rows.size > before) this.#deaths.noteRow();
    for (const id of notAsked) {
      const message = `the extractor wrote a row for ${JSON.stringify(id)}, which is not in its batch; it is refused`;
      this.#context.emit({ event: 'warning', message });
    }
    return bad;
  }

  /** Takes in the rows that a batch still has, and puts images without a row or a reason back to the front. */
  async #closeBatch(batch: OpenBatch): Promise<void> {
    const { folder, extractors } = this.#options;
    await this.#takeRows(batch).finally(() => batch.rows.close());
    for (const { path } of batch.images) await extractors.archives?.remove(path);
    const left = [...batch.waiting.values()].filter(
      ({ img_id: id }) => !folder.rows.has(id) && !this.#failures.has(id),
    );
    this.#queue.putBack(left);
  }

  #checkDetector(detector: DetectorName): void {
    this.#detector ??= detector;
    if (JSON.stringify(this.#detector) === JSON.stringify(detector)) return;
    throw new LxmertDataError('ERR_INTERNAL', {
      what: 'extractors of one run use different detectors',
      expected: JSON.stringify(this.#detector),
      got: JSON.stringify(detector),
    });
  }

  #fail(imgId: string, reason: string): void {
    this.#failures.set(imgId, reason);
    this.#context.emit({ event: 'warning', message: `${imgId}: ${reason}` });
  }

  #noteDeath(end: ExtractorEnd, life: Life, suspect: ListedImage | undefined): void {
    const isOver = this.#deaths.count(end, !life.isReady);
    if (isOver) throw this.#cannotGoOn(end);
    const why = describeEnd(end);
    const again = this.#queue.size > 0 ? '; starting it again' : '';
    const deaths = suspect === undefined ? undefined : this.#deaths.blame(suspect.img_id, end);
    if (suspect !== undefined && deaths !== undefined && this.#queue.remove(suspect)) {
      this.#fail(suspect.img_id, `the extractor died ${deaths} times on this image (${why})`);
      this.#options.onDone(life.worker, suspect.img_id);
    } else this.#context.emit({ event: 'warning', message: `the extractor ended early (${why})${again}` });
  }

  #cannotGoOn(end: ExtractorEnd): LxmertDataError {
    const deaths = this.#deaths.inARow;
    const times = end.isFinal === true || deaths < 2 ? '' : `, ${deaths} times without a row in between`;
    return new ExtractorFailure(end.code, {
      what: `the extractor ended early (${describeEnd(end)})${times}`,
      got: end.stderrTail === '' ? undefined : end.stderrTail,
      hint: 'finished rows are kept; fix the cause and run the same command again',
    });
  }
}
