import { LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import { type DetectorName, EXTRACTOR_EXIT, type ExtractorEvent } from './contract.ts';
import type { ExtractorEnd, RunningExtractor, StartExtractor } from './process.ts';
import type { ListedImage } from './list-images.ts';
import { LotReader } from './batch-reader.ts';
import type { RowFolder } from './row-folder.ts';

/** Images handed out together: few, so that a slow device does not hold the end, and the same whatever the number of devices. */
const LOT_IMAGES = 8;
/** Lots an extractor has at a time, so that it can read ahead. */
const LOTS_AHEAD = 2;
/** An image during which extractors died this often is given up. */
const MAX_DEATHS_OF_IMAGE = 2;
/** Deaths in a row without one image done in between. */
const MAX_DEATHS_WITHOUT_PROGRESS = 3;

export interface RunExtractorsOptions {
  readonly images: readonly ListedImage[];
  readonly folder: RowFolder;
  /** One entry an extractor that runs at the same time. */
  readonly starts: readonly StartExtractor[];
  /** How the extractors see a path of this machine. */
  readonly seenAs?: ((path: string) => string) | undefined;
  /** Seconds without a sign of life after which an extractor is ended. */
  readonly stallSeconds: number;
  /** Called for each image that has its row or its reason, with the number of the entry of `starts` that did it. */
  readonly onDone: (worker: number) => void;
}

export interface RunExtractorsResult {
  readonly detector: DetectorName | undefined;
  readonly device: string | undefined;
  /** Reasons by img_id. */
  readonly failures: ReadonlyMap<string, string>;
}

interface OpenLot {
  readonly number: number;
  readonly waiting: Map<string, ListedImage>;
  readonly reader: LotReader;
}

/** Hands out images to extractors and takes their rows in, until every image has a sound row or a reason why not. */
export async function runExtractors(
  options: RunExtractorsOptions,
  context: StageContext,
): Promise<RunExtractorsResult> {
  // When one cannot go on the others are ended too, and waited for, so that nobody writes rows any more.
  const failed = new AbortController();
  const signal = AbortSignal.any([context.signal, failed.signal]);
  const run = new Run(options, { ...context, signal });
  const drives = options.starts.map(async (start, worker) => {
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
  #lots = 0;
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
    const lots: OpenLot[] = [];
    let work: Promise<void> = Promise.resolve();
    const state: { failure?: Error; heard: number; stalled: boolean } = { heard: Date.now(), stalled: false };
    const extractor = start(event => {
      state.heard = Date.now();
      // Events are taken in one after the other, each after the rows before it.
      work = work
        .then(async () => await this.#take(event, extractor, lots, worker))
        .catch((error: unknown) => {
          state.failure ??= error instanceof Error ? error : new Error(String(error));
          extractor.kill();
        });
    });
    const stop = (): void => extractor.kill();
    this.#context.signal.addEventListener('abort', stop, { once: true });
    const watch = setInterval(() => {
      if (lots.length === 0 || Date.now() - state.heard < this.#options.stallSeconds * 1000) return;
      state.stalled = true;
      extractor.kill();
    }, 200);
    try {
      const end = await extractor.ended;
      await work;
      if (state.failure !== undefined) throw state.failure;
      const suspect = lots[0]?.waiting.values().next().value;
      for (const lot of lots.reverse()) await this.#closeLot(lot);
      if (end.code === EXTRACTOR_EXIT.done && suspect === undefined) return undefined;
      const why = state.stalled ? `no sign of life for ${this.#options.stallSeconds} s` : describeEnd(end);
      if (suspect !== undefined && !this.#context.signal.aborted) this.#blame(suspect, why, worker);
      return { ...end, lastWords: state.stalled ? why : end.lastWords };
    } finally {
      clearInterval(watch);
      this.#context.signal.removeEventListener('abort', stop);
    }
  }

  async #take(
    event: ExtractorEvent,
    extractor: RunningExtractor,
    lots: OpenLot[],
    worker: number,
  ): Promise<void> {
    switch (event.event) {
      case 'ready':
        this.#checkDetector(event.detector);
        this.#device = event.device;
        await this.#options.folder.holdTo(event.detector);
        for (let ahead = 0; ahead < LOTS_AHEAD; ahead++) this.#sendLot(extractor, lots);
        break;
      case 'row':
      case 'failed': {
        const lot = lots.find(({ number }) => number === event.lot);
        if (lot?.waiting.has(event.img_id) !== true) break;
        if (event.event === 'failed') this.#fail(event.img_id, event.reason);
        else await this.#takeRow(lot, event.img_id);
        lot.waiting.delete(event.img_id);
        this.#deathsWithoutProgress = 0;
        this.#options.onDone(worker);
        break;
      }
      case 'lot': {
        const index = lots.findIndex(({ number }) => number === event.lot);
        if (index < 0) break;
        await this.#closeLot(lots[index]!);
        lots.splice(index, 1);
        this.#sendLot(extractor, lots);
        break;
      }
      case 'log':
        this.#context.emit({ event: 'note', message: `extractor: ${event.message}` });
    }
  }

  #sendLot(extractor: RunningExtractor, lots: OpenLot[]): void {
    const images = this.#queue.splice(0, LOT_IMAGES);
    if (images.length === 0) {
      if (lots.length === 0) extractor.finish();
      return;
    }
    const { folder, seenAs = (path: string) => path } = this.#options;
    const reader = new LotReader(folder, folder.newFile());
    const lot = {
      number: this.#lots++,
      waiting: new Map(images.map(image => [image.img_id, image])),
      reader,
    };
    lots.push(lot);
    extractor.send({
      lot: lot.number,
      rows: seenAs(reader.path),
      images: images.map(image => ({ img_id: image.img_id, path: seenAs(image.path) })),
    });
  }

  async #takeRow(lot: OpenLot, imgId: string): Promise<void> {
    const bad = await lot.reader.takeNew();
    if (this.#options.folder.rows.has(imgId)) return;
    const reason = bad.get(imgId) ?? [...bad.values()][0] ?? 'it is not in the file';
    this.#fail(imgId, `the extractor wrote a row that is not sound (${reason})`);
  }

  /** Takes in what a lot still has, and puts images without a row or a reason back to the front. */
  async #closeLot(lot: OpenLot): Promise<void> {
    await lot.reader.close();
    const { folder } = this.#options;
    await folder.addFile(lot.reader.name, lot.reader.offset).catch(() => undefined);
    const left = [...lot.waiting.values()].filter(
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
    this.#fail(
      image.img_id,
      `the extractor died ${deaths} times while it was at work on this image (${why})`,
    );
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
      this.#context.emit({ event: 'warning', message: `${what}; it is started again` });
      return;
    }
    const hint = 'rows that are done are kept; run the same command again when the cause is gone';
    throw new LxmertDataError('ERR_EXTRACTOR', {
      what,
      got: end.lastWords === '' ? undefined : end.lastWords,
      hint,
    });
  }
}

function describeEnd({ code, signal, why }: ExtractorEnd): string {
  if (why !== undefined) return why;
  return signal === null ? `exit code ${String(code)}` : `signal ${signal}`;
}
