import { errorText, LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import { type DetectorName, EXTRACTOR_EXIT, type ExtractorEvent } from './contract.ts';
import type { ExtractorEnd, RunningExtractor, StartExtractor } from './process.ts';
import type { ListedImage } from './list-images.ts';
import { BatchReader } from './batch-reader.ts';
import type { RowFolder } from './row-folder.ts';

/** Images of a batch: few, so that a slow device does not delay the end, and the same for any number of devices. */
const BATCH_IMAGES = 8;
/** Batches that an extractor has at a time, so that it can read ahead. */
const BATCHES_AHEAD = 2;
/** An image during which extractors died this often is given up. */
const MAX_DEATHS_OF_IMAGE = 2;
/** Deaths in a row without one image done in between. */
const MAX_DEATHS_WITHOUT_PROGRESS = 3;

/** Extractors that run at the same time. */
export interface Extractors {
  /** One entry for each extractor. */
  readonly start: readonly StartExtractor[];
  /** A path of this machine as the extractors see it; unchanged where not given. */
  readonly toContainerPath?: (path: string) => string;
}

export interface RunExtractorsOptions {
  readonly images: readonly ListedImage[];
  readonly folder: RowFolder;
  readonly extractors: Extractors;
  /** Seconds without a sign of life after which an extractor is ended. */
  readonly stallSeconds: number;
  /** Called for each image that has its row or its reason, with the index of the extractor that did it. */
  readonly onDone: (worker: number) => void;
}

export interface RunExtractorsResult {
  readonly detector: DetectorName | undefined;
  readonly device: string | undefined;
  /** Reasons by img_id. */
  readonly failures: ReadonlyMap<string, string>;
}

interface OpenBatch {
  readonly number: number;
  readonly waiting: Map<string, ListedImage>;
  readonly reader: BatchReader;
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
}

class Run {
  readonly #options: RunExtractorsOptions;
  readonly #context: StageContext;
  readonly #queue: ListedImage[];
  readonly #failures = new Map<string, string>();
  readonly #deaths = new Map<string, number>();
  #deathsWithoutProgress = 0;
  #batches = 0;
  #detector: DetectorName | undefined;
  #device: string | undefined;

  constructor(options: RunExtractorsOptions, context: StageContext) {
    this.#options = options;
    this.#context = context;
    this.#queue = [...options.images];
  }

  get result(): RunExtractorsResult {
    return { detector: this.#detector, device: this.#device, failures: this.#failures };
  }

  /** Keeps one extractor at work; starts it again when it dies. */
  async drive(start: StartExtractor, worker: number): Promise<void> {
    while (this.#queue.length > 0) {
      const { signal } = this.#context;
      signal.throwIfAborted();
      const end = await this.#runOne(start, worker);
      signal.throwIfAborted();
      if (end !== undefined) this.#noteDeath(end);
    }
  }

  /** Runs one extractor to its end; undefined where it ended as it should. */
  async #runOne(start: StartExtractor, worker: number): Promise<ExtractorEnd | undefined> {
    const batches: OpenBatch[] = [];
    let work: Promise<void> = Promise.resolve();
    const state: { failure?: Error; lastEvent: number; stalled: boolean } = {
      lastEvent: Date.now(),
      stalled: false,
    };
    const extractor = start(event => {
      state.lastEvent = Date.now();
      // Events are taken in one after the other, each after the rows before it.
      work = work
        .then(async () => await this.#take(event, extractor, batches, worker))
        .catch((error: unknown) => {
          state.failure ??= error instanceof Error ? error : new Error(errorText(error));
          extractor.kill();
        });
    });
    const stop = (): void => extractor.kill();
    this.#context.signal.addEventListener('abort', stop, { once: true });
    const watch = setInterval(() => {
      if (batches.length === 0 || Date.now() - state.lastEvent < this.#options.stallSeconds * 1000) return;
      state.stalled = true;
      extractor.kill();
    }, 200);
    try {
      const end = await extractor.ended;
      await work;
      if (state.failure !== undefined) throw state.failure;
      const suspect = batches[0]?.waiting.values().next().value;
      for (const batch of batches.reverse()) await this.#closeBatch(batch);
      if (end.code === EXTRACTOR_EXIT.done && suspect === undefined) return undefined;
      const why = state.stalled ? `no output for ${this.#options.stallSeconds} s` : describeEnd(end);
      if (suspect !== undefined && !this.#context.signal.aborted) this.#blame(suspect, why, worker);
      return { ...end, stderrTail: state.stalled ? why : end.stderrTail };
    } finally {
      clearInterval(watch);
      this.#context.signal.removeEventListener('abort', stop);
    }
  }

  async #take(
    event: ExtractorEvent,
    extractor: RunningExtractor,
    batches: OpenBatch[],
    worker: number,
  ): Promise<void> {
    switch (event.event) {
      case 'ready':
        this.#checkDetector(event.detector);
        this.#device = event.device;
        await this.#options.folder.holdTo(event.detector);
        for (let ahead = 0; ahead < BATCHES_AHEAD; ahead++) this.#sendBatch(extractor, batches);
        break;
      case 'row':
      case 'failed': {
        const batch = batches.find(({ number }) => number === event.lot);
        if (batch?.waiting.has(event.img_id) !== true) break;
        if (event.event === 'failed') this.#fail(event.img_id, event.reason);
        else await this.#takeRow(batch, event.img_id);
        batch.waiting.delete(event.img_id);
        this.#deathsWithoutProgress = 0;
        this.#options.onDone(worker);
        break;
      }
      case 'lot': {
        const index = batches.findIndex(({ number }) => number === event.lot);
        if (index < 0) break;
        await this.#closeBatch(batches[index]!);
        batches.splice(index, 1);
        this.#sendBatch(extractor, batches);
        break;
      }
      case 'log':
        this.#context.emit({ event: 'note', message: `extractor: ${event.message}` });
    }
  }

  #sendBatch(extractor: RunningExtractor, batches: OpenBatch[]): void {
    const images = this.#queue.splice(0, BATCH_IMAGES);
    if (images.length === 0) {
      if (batches.length === 0) extractor.finish();
      return;
    }
    const { folder, extractors } = this.#options;
    const toPath = extractors.toContainerPath ?? ((path: string) => path);
    const reader = new BatchReader(folder, folder.newFile());
    const batch = {
      number: this.#batches++,
      waiting: new Map(images.map(image => [image.img_id, image])),
      reader,
    };
    batches.push(batch);
    extractor.send({
      lot: batch.number,
      rows: toPath(reader.path),
      images: images.map(image => ({ img_id: image.img_id, path: toPath(image.path) })),
    });
  }

  async #takeRow(batch: OpenBatch, imgId: string): Promise<void> {
    const bad = await batch.reader.takeNew();
    if (this.#options.folder.rows.has(imgId)) return;
    const reason = bad.get(imgId) ?? [...bad.values()][0] ?? 'it is not in the file';
    this.#fail(imgId, `the extractor wrote an invalid row (${reason})`);
  }

  /** Takes in the rows that a batch still has, and puts images without a row or a reason back to the front. */
  async #closeBatch(batch: OpenBatch): Promise<void> {
    await batch.reader.close();
    const { folder } = this.#options;
    await folder.addFile(batch.reader.name, batch.reader.offset).catch(() => undefined);
    const left = [...batch.waiting.values()].filter(
      ({ img_id: id }) => !folder.rows.has(id) && !this.#failures.has(id),
    );
    this.#queue.unshift(...left);
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

  #blame(image: ListedImage, why: string, worker: number): void {
    const deaths = (this.#deaths.get(image.img_id) ?? 0) + 1;
    this.#deaths.set(image.img_id, deaths);
    if (deaths < MAX_DEATHS_OF_IMAGE) return;
    const at = this.#queue.indexOf(image);
    if (at < 0) return;
    this.#queue.splice(at, 1);
    this.#fail(image.img_id, `the extractor died ${deaths} times on this image (${why})`);
    this.#options.onDone(worker);
    this.#deathsWithoutProgress = 0;
  }

  #noteDeath(end: ExtractorEnd): void {
    const fatal =
      end.code === EXTRACTOR_EXIT.weights ||
      end.code === EXTRACTOR_EXIT.device ||
      end.code === EXTRACTOR_EXIT.usage;
    this.#deathsWithoutProgress++;
    const what = `the extractor ended early (${describeEnd(end)})`;
    if (!fatal && this.#deathsWithoutProgress < MAX_DEATHS_WITHOUT_PROGRESS) {
      this.#context.emit({ event: 'warning', message: `${what}; starting it again` });
      return;
    }
    const hint = 'finished rows are kept; fix the cause and run the same command again';
    throw new LxmertDataError('ERR_EXTRACTOR', {
      what,
      got: end.stderrTail === '' ? undefined : end.stderrTail,
      hint,
    });
  }
}

function describeEnd({ code, signal, why }: ExtractorEnd): string {
  if (why !== undefined) return why;
  return signal === null ? `exit code ${String(code)}` : `signal ${signal}`;
}
