import { basename } from 'node:path';
import type { StageContext } from '../events.ts';
import type { DetectorName } from '../extraction/contract.ts';
import { ExtractionSteps } from '../extraction/extraction-steps.ts';
import type { ListedImage } from '../extraction/list-images.ts';
import { type ExtractPlan, extractionBytes } from '../extraction/plan-extraction.ts';
import { publishRows } from '../extraction/publish-rows.ts';
import { RowFolder } from '../extraction/row-folder.ts';
import { type Extractors, runExtractors, type RunExtractorsOptions } from '../extraction/run-extractors.ts';
import { checkFreeSpace } from '../files/checks.ts';

export interface ExtractOptions {
  readonly plan: ExtractPlan;
  /** Extractors, made ready before rows of an earlier run are looked at: those of a killed run may still be writing. */
  readonly extractors: Extractors;
  /** Seconds without a sign of life after which an extractor is ended; 600 where not given. */
  readonly stallSeconds?: number | undefined;
  /** Publish what there is even if images have no row. */
  readonly skipBad?: boolean | undefined;
  /** Keep the rows of the extraction after the store is made. */
  readonly keepRows?: boolean | undefined;
}

export interface ExtractResult {
  /** Every image has its row. */
  readonly ok: boolean;
  readonly out: string | null;
  readonly wanted: number;
  readonly rows: number;
  /** Rows made by an earlier run. */
  readonly resumed: number;
  readonly detector: DetectorName | undefined;
  readonly device: string | undefined;
  /** Images without a row, and why. */
  readonly missing: readonly { readonly img_id: string; readonly path: string; readonly reason: string }[];
}

const DEFAULT_STALL_SECONDS = 600;

/**
 * Extracts the features of a plan's images and publishes them; rows of an earlier run are not computed again.
 * Images that cannot be done are in `missing`; fails with ERR_EXTRACTOR where the extractors themselves cannot go on.
 */
export async function extract(options: ExtractOptions, context: StageContext): Promise<ExtractResult> {
  const { plan, extractors, stallSeconds = DEFAULT_STALL_SECONDS } = options;
  const [skipBad, keepRows] = [options.skipBad === true, options.keepRows === true];
  const note = (message: string): void => context.emit({ event: 'note', message });
  const wanted = new Set(plan.images.map(({ img_id: id }) => id));
  const folder = await RowFolder.open(plan.rowFolder, wanted, note).catch(async (error: unknown) => {
    await closeExtractors(extractors);
    throw error;
  });
  let isRun = false;
  try {
    const left = plan.images.filter(({ img_id: id }) => !folder.rows.has(id));
    const total = plan.images.length;
    const resumed = total - left.length;
    if (resumed > 0) note(`${resumed} of ${total} images are already done`);
    await checkFreeSpace(plan.out, extractionBytes(left.length, resumed));
    const track = trackProgress({ plan, resumed, workers: extractors.start.length }, context);
    isRun = true;
    const run = await runExtractors({ images: left, folder, extractors, stallSeconds, ...track }, context);
    const missing = findMissing(plan.images, folder, run.failures);
    const detector = run.detector ?? (await folder.readDetector());
    const rows = total - missing.length;
    const isComplete = missing.length === 0;
    const published =
      rows > 0 && (isComplete || skipBad) && (await publishRows(plan, folder, detector, context));
    const ok = published && isComplete;
    // Where images are missing the rows stay, so that the next run tries only those.
    if (ok && !keepRows) await folder.remove();
    else await folder.sync();
    const out = published ? plan.out : null;
    return { ok, out, wanted: total, rows, resumed, detector, device: run.device, missing };
  } finally {
    if (!isRun) await closeExtractors(extractors);
    await folder.close();
  }
}

/** Ends what was made ready for a run that does not begin; without this the process would not end. */
async function closeExtractors({ close, archives }: Extractors): Promise<void> {
  await close?.();
  await archives?.close();
}

function findMissing(
  images: readonly ListedImage[],
  folder: RowFolder,
  failures: ReadonlyMap<string, string>,
): ExtractResult['missing'] {
  return images
    .filter(({ img_id: id }) => !folder.rows.has(id))
    .map(({ img_id, path }) => ({ img_id, path, reason: failures.get(img_id) ?? 'no row' }));
}

/** Reports progress: images, and what the extractors are doing between them. */
function trackProgress(
  { plan, resumed, workers }: { plan: ExtractPlan; resumed: number; workers: number },
  { emit }: StageContext,
): Required<Pick<RunExtractorsOptions, 'onDone' | 'onStep'>> {
  const doneBy = new Array<number>(workers).fill(0);
  const steps = new ExtractionSteps();
  const began = Date.now();
  const report = (): void => {
    const seconds = (Date.now() - began) / 1000;
    const rates = doneBy.map(count => (count / seconds).toPrecision(2));
    const speeds = workers > 1 && seconds > 1 ? `workers ${rates.join(' + ')} images/s` : undefined;
    const detail = [steps.describe(), speeds].filter(part => part !== undefined).join('; ');
    emit({
      event: 'progress',
      stage: 'extract',
      input: basename(plan.out),
      done: doneBy.reduce((sum, count) => sum + count, resumed),
      total: plan.images.length,
      unit: 'images',
      ...(detail === '' ? {} : { detail }),
    });
  };
  report();
  return {
    onDone(worker, imgId) {
      doneBy[worker] = (doneBy[worker] ?? 0) + 1;
      steps.forget(imgId);
      report();
    },
    onStep(worker, step) {
      if (typeof step === 'boolean') steps.setReady(worker, step);
      else steps.take(worker, step);
      report();
    },
  };
}
