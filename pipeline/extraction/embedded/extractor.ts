import '../../detector/no-telemetry.ts';
import { LxmertDataError } from '../../errors.ts';
import { BOXES } from '../../rows/row-shape.ts';
import { WorkerPool } from '../../workers/pool.ts';
import { openWeights } from '../../detector/model/open-weights.ts';
import { convertModel } from '../../detector/model/convert-model.ts';
import { DeviceGuard } from '../../detector/device-guard.ts';
import type { HeadOutput } from '../../detector/session.ts';
import type { DeviceRequest } from './device-worker.ts';
import { FORMULA_WEIGHTS } from '../../detector/model/formula-weights.ts';
import type { ChosenBoxes, ImageRequest, PreparedImage } from './image-worker.ts';
import { imageFault } from '../image-checker.ts';
import { PixelBudget } from '../pixel-budget.ts';
import { mapInOrder } from './map-in-order.ts';
import type { ProposalScores } from '../../detector/regions/propose-regions.ts';
import type { Answer } from '../../workers/answers.ts';
import { ask } from '../../workers/answers.ts';

/** Regions that the original detector looks at. */
const REGIONS = 300;
/** One being decoded, one whose proposals are being made, one in the head. */
const IN_FLIGHT = 3;

export interface EmbeddedExtractorOptions {
  /** Path of the detector's weights in any known form, or `untrained` for weights made by a formula. */
  readonly weights: string;
  /** Folder for the converted model (200 MB a detector); made where missing. */
  readonly cacheDirectory: string;
  /** Threads of the network on a CPU; by default the cores. */
  readonly threads?: number | undefined;
  /** Regions that go through the network's head together: more need more memory. */
  readonly batch?: number | undefined;
  /** Regions looked at, 36 to 300. Fewer than 300, the default, are faster and give other boxes than Caffe. */
  readonly rois?: number | undefined;
  /** Told how many tensors of the model are converted, of how many, where that must be done first. */
  readonly onConverted?: ((done: number, total: number) => void) | undefined;
}

/** Names how rows were made. Rows of different detectors do not mix. */
export interface EmbeddedDetector {
  readonly name: 'bottom-up-attention (embedded)';
  /** sha256 of the file of weights, or `untrained`. */
  readonly weights: string;
  readonly rois: number;
}

export interface ExtractorImage {
  readonly imgId: string;
  readonly path: string;
}

/** One image's row, in the published columns' names. */
export interface BoxRow extends ChosenBoxes {
  readonly img_id: string;
  readonly img_h: number;
  readonly img_w: number;
}

export type ExtractorResult =
  | { readonly type: 'row'; readonly path: string; readonly row: BoxRow }
  | { readonly type: 'failure'; readonly imgId: string; readonly path: string; readonly reason: string };

/** What became of an image so far, and how long its last step took (waiting included). */
export interface ExtractorEvent {
  readonly event: 'prepared' | 'proposed' | 'classified' | 'chosen';
  readonly imgId: string;
  readonly elapsedMs: number;
}

export interface EmbeddedExtractor {
  readonly detector: EmbeddedDetector;
  /**
   * One result an image, in the order of `images`. Images are decoded, looked at and chosen from at the same time, each
   * in a thread of its own, and are taken from `images` only as far ahead as that needs.
   */
  extract(
    images: AsyncIterable<ExtractorImage> | Iterable<ExtractorImage>,
    emit?: (event: ExtractorEvent) => void,
  ): AsyncGenerator<ExtractorResult, void, undefined>;
  /** Stops within a second or so, also in the middle of an image. */
  close(): Promise<void>;
}

/**
 * The detector of the published features, without Caffe: same network, same weights, same choice of boxes.
 *
 * @throws LxmertDataError ERR_INPUT for weights and ERR_DEVICE for a device that cannot be used, ERR_USAGE for options out of range.
 */
export async function createEmbeddedExtractor(options: EmbeddedExtractorOptions): Promise<EmbeddedExtractor> {
  const rois = checkCount('rois', options.rois ?? REGIONS, BOXES, REGIONS);
  if (options.batch !== undefined) checkCount('batch', options.batch, 1, REGIONS);
  if (options.threads !== undefined) checkCount('threads', options.threads, 1, 1024);
  const weights = options.weights === 'untrained' ? FORMULA_WEIGHTS : await openWeights(options.weights);
  const model = await convertModel(weights, options.cacheDirectory, options.onConverted).finally(() =>
    weights.close(),
  );
  const guard = new DeviceGuard();
  const devicePool = new WorkerPool<DeviceRequest, Answer>(import.meta.url, './device-worker', 1);
  try {
    const { backbone, head } = model;
    const { threads, batch } = options;
    await ask<DeviceRequest, undefined>(devicePool, {
      type: 'open',
      options: { backbone, head, threads, batch },
      guard: guard.state,
    });
    const imagePool = new WorkerPool<ImageRequest, Answer>(import.meta.url, './image-worker', 1);
    const detector = { name: 'bottom-up-attention (embedded)', weights: weights.id, rois } as const;
    return new Extractor({ detector, devicePool, imagePool, guard });
  } catch (error) {
    await devicePool.close();
    guard.release();
    throw error;
  }
}

interface ExtractorParts {
  readonly detector: EmbeddedDetector;
  readonly devicePool: WorkerPool<DeviceRequest, Answer>;
  readonly imagePool: WorkerPool<ImageRequest, Answer>;
  readonly guard: DeviceGuard;
}

class Extractor implements EmbeddedExtractor {
  readonly detector: EmbeddedDetector;
  readonly #devicePool: WorkerPool<DeviceRequest, Answer>;
  readonly #imagePool: WorkerPool<ImageRequest, Answer>;
  readonly #guard: DeviceGuard;
  readonly #budget = new PixelBudget();
  readonly #running = new Set<Promise<ExtractorResult>>();
  #images = 0;
  #closed: Promise<void> | undefined;

  constructor({ detector, devicePool, imagePool, guard }: ExtractorParts) {
    this.detector = detector;
    this.#devicePool = devicePool;
    this.#imagePool = imagePool;
    this.#guard = guard;
  }

  async *extract(
    images: AsyncIterable<ExtractorImage> | Iterable<ExtractorImage>,
    emit: (event: ExtractorEvent) => void = () => undefined,
  ): AsyncGenerator<ExtractorResult, void, undefined> {
    yield* mapInOrder(images, IN_FLIGHT, async image => {
      const result = this.#extractImage(image, emit);
      this.#running.add(result);
      try {
        return await result;
      } finally {
        this.#running.delete(result);
      }
    });
  }

  async close(): Promise<void> {
    this.#closed ??= this.#close();
    await this.#closed;
  }

  async #close(): Promise<void> {
    this.#guard.stop();
    await Promise.allSettled(this.#running);
    // A device whose thread has failed has nothing left to release; that failure was reported where it happened.
    await ask<DeviceRequest, unknown>(this.#devicePool, { type: 'close' }).catch(() => undefined);
    await Promise.all([this.#devicePool.close(), this.#imagePool.close()]);
    this.#guard.release();
  }

  async #extractImage(
    { imgId, path }: ExtractorImage,
    emit: (event: ExtractorEvent) => void,
  ): Promise<ExtractorResult> {
    try {
      const row = await this.#detect(imgId, path, emit);
      return { type: 'row', path, row };
    } catch (error) {
      return { type: 'failure', imgId, path, reason: imageFault(error) };
    }
  }

  async #detect(imgId: string, path: string, emit: (event: ExtractorEvent) => void): Promise<BoxRow> {
    const image = this.#images++;
    let last = performance.now();
    const report = (event: ExtractorEvent['event']): void => {
      const now = performance.now();
      emit({ event, imgId, elapsedMs: now - last });
      last = now;
    };
    const pixels = await this.#onImage<number>({ type: 'measure', path });
    const prepared = await this.#budget.run(
      pixels,
      async () => await this.#onImage<PreparedImage>({ type: 'prepare', path }),
    );
    report('prepared');
    const { data, ...size } = prepared.input;
    const scores = await this.#onDevice<ProposalScores>({
      type: 'backbone',
      image,
      input: { ...size, data },
    });
    const rois = await this.#onImage<Float32Array>({
      type: 'propose',
      scores,
      input: size,
      limit: this.detector.rois,
    }).catch(async (error: unknown) => {
      await this.#onDevice({ type: 'drop', image });
      throw error;
    });
    report('proposed');
    const head = await this.#onDevice<HeadOutput>({ type: 'head', image, rois });
    report('classified');
    const chosen = await this.#onImage<ChosenBoxes>({ type: 'choose', rois, scale: size.scale, head });
    report('chosen');
    return { img_id: imgId, img_h: prepared.height, img_w: prepared.width, ...chosen };
  }

  async #onDevice<Result>(request: DeviceRequest): Promise<Result> {
    this.#guard.checkRunning();
    return ask(this.#devicePool, request);
  }

  async #onImage<Result>(request: ImageRequest): Promise<Result> {
    this.#guard.checkRunning();
    return ask(this.#imagePool, request);
  }
}

function checkCount(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new LxmertDataError('ERR_USAGE', {
    what: `--${name} is out of range`,
    expected: `a whole number from ${least} to ${most}`,
    got: String(value),
  });
}
