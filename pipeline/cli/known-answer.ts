import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import { startEmbeddedExtractor } from '../extraction/embedded/start.ts';
import { planExtraction } from '../extraction/plan-extraction.ts';
import { addVerdict } from '../fetch/data-lock.ts';
import { describeFailed } from '../fetch/fetch-failure.ts';
import type { AgreementTotals } from '../inspection/agreement.ts';
import { type DetectorVerdict, judgeDetector, type JudgedDetector } from '../inspection/judge-detector.ts';
import { findImageSet, type ImageSet } from '../manifest/image-sets.ts';
import type { Manifest } from '../manifest/load.ts';
import { listSome } from '../show-text.ts';
import { compareStores } from '../stages/compare-stores.ts';
import { convert } from '../stages/convert.ts';
import { extract, type ExtractResult } from '../stages/extract.ts';
import { fetchData } from '../stages/fetch.ts';
import { openStore } from '../store/feature-store.ts';
import { findTrainedWeights } from './inputs.ts';
import type { CommandContext } from './spec.ts';

const FOLDER = 'detector/known-answer';
const SPLIT = 'known-answer';

export interface KnownAnswerOptions {
  /** Weights in any form, or `untrained`. Default: what `fetch detector` made. */
  readonly weights?: string | undefined;
  /** A folder with images and a TSV of their published rows, instead of those that are fetched. */
  readonly from?: string | undefined;
  readonly manifest: Manifest;
}

/**
 * Computes images whose published rows are known with the weights at hand, compares, and says whether these weights are
 * the detector that LXMERT's features come from. The verdict goes into the lock file. False where they are not.
 */
export async function verifyDetector(options: KnownAnswerOptions, context: CommandContext): Promise<boolean> {
  const weights = options.weights ?? findTrainedWeights(context.data);
  const work = await mkdtemp(join(tmpdir(), 'lxmert-data-detector-'));
  try {
    const known = await findKnownRows(options, work, context);
    const split = findImageSet(options.manifest, 'custom');
    const computed = await compute({ ...known, split, weights, work }, context);
    const compared = await compareStores({ stores: [computed.store, known.store] }, context);
    const judged = judgeDetector(compared.totals);
    const { totals } = compared;
    await record(judged, totals.images, computed.detector, context);
    const ok = judged.verdict === 'published';
    context.emit({
      event: 'result',
      stage: 'verify',
      ok,
      verdict: judged.verdict,
      weights,
      detector: computed.detector,
      measures: judged.measures,
      totals,
      images: compared.images,
    });
    print(judged, { weights, totals }, context);
    return ok;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

interface KnownRows {
  readonly store: string;
  readonly images: string;
}

async function findKnownRows(
  { from, manifest }: KnownAnswerOptions,
  work: string,
  context: CommandContext,
): Promise<KnownRows> {
  if (from === undefined) {
    const result = await fetchData(
      {
        datasets: ['detector'],
        splits: [SPLIT],
        kinds: ['image', 'features'],
        dataRoot: context.data,
        manifest,
      },
      context,
    );
    if (!result.ok) throw notFetched(result.failed.flatMap(describeFailed));
    const folder = join(context.data, FOLDER);
    return { store: join(folder, 'known_answer_obj36.safetensors'), images: join(folder, 'images') };
  }
  const names = await readdir(from, { recursive: true });
  const files = names.filter(name => /\.tsv$/i.test(name)).map(name => join(from, name));
  if (files.length === 0) {
    throw new LxmertDataError('ERR_INPUT', {
      what: 'no TSV of published rows was found',
      where: from,
      expected: 'a folder with the rows of some images as published, and these images',
      hint: 'without --from they are fetched: ten images and their rows, 5 MB',
    });
  }
  const store = join(work, 'published.safetensors');
  // A few rows of a published file, under its name, are what is wanted here.
  await convert({ files, out: store, expectedRows: () => undefined }, context);
  return { store, images: from };
}

function notFetched(lines: readonly string[]): LxmertDataError {
  return new LxmertDataError('ERR_FETCH', {
    what: 'the ten images and their published rows could not be fetched',
    got: lines.slice(0, 3).join('\n'),
    hint: 'clone airsplay/py-bottom-up-attention elsewhere and give its folder demo/data with --from',
  });
}

interface ComputeOptions extends KnownRows {
  readonly split: ImageSet;
  readonly weights: string;
  readonly work: string;
}

async function compute(
  { store, images: folder, split, weights, work }: ComputeOptions,
  context: CommandContext,
): Promise<{ readonly store: string; readonly detector: ExtractResult['detector'] }> {
  const out = join(work, 'computed.safetensors');
  const published = await openStore(store);
  const wanted = new Set(await published.ids());
  await published.close();
  const plan = await planExtraction({ split, images: folder, data: context.data, out }, context);
  const images = plan.images.filter(({ img_id: id }) => wanted.has(id));
  if (images.length === 0) {
    throw new LxmertDataError('ERR_INPUT', {
      what: 'none of the images has a published row',
      where: folder,
      expected: `images such as ${[...wanted][0] ?? 'none'}.jpg`,
      got: listSome(plan.images.map(({ path }) => path)),
    });
  }
  const start = startEmbeddedExtractor({
    weights,
    cacheDirectory: join(context.data, 'detector', 'converted'),
  });
  const result = await extract({ plan: { ...plan, images }, extractors: { start: [start] } }, context);
  if (result.out === null) {
    throw new LxmertDataError('ERR_EXTRACTOR', {
      what: 'not every image could be computed',
      where: folder,
      got: result.missing.map(({ img_id: id, reason }) => `${id}: ${reason}`).join('; '),
    });
  }
  return { store: out, detector: result.detector };
}

async function record(
  { verdict }: JudgedDetector,
  images: number,
  detector: ExtractResult['detector'],
  context: CommandContext,
): Promise<void> {
  // What a formula made is known, and a handful of images proves nothing.
  if (verdict === 'undecided' || detector === undefined || !/^[0-9a-f]{64}$/.test(detector.weights)) return;
  const date = new Date().toISOString().slice(0, 10);
  await mkdir(context.data, { recursive: true });
  await addVerdict(context.data, detector.weights, { verdict, images, date });
}

const SENTENCES: Readonly<Record<DetectorVerdict, string>> = {
  published: "these weights are the detector of LXMERT's published features",
  different: "these weights are NOT the detector of LXMERT's published features",
  undecided: 'everything fits, but so few images prove nothing',
};

function print(
  judged: JudgedDetector,
  { weights, totals }: { readonly weights: string; readonly totals: AgreementTotals },
  context: CommandContext,
): void {
  const { verdict, measures } = judged;
  context.show(`${weights}: ${SENTENCES[verdict]}`);
  for (const { name, value, least } of measures) {
    context.show(`  ${name}: ${value.toFixed(4)}, at least ${least} expected${value >= least ? '' : '  <-'}`);
  }
  context.show(
    `  largest difference of a feature: ${totals.features_worst.toPrecision(2)}, over ${totals.images} images`,
  );
  const next = verdict === 'published' ? 'lxmert-data extract' : undefined;
  context.finish(`${weights}: ${verdict}`, { done: totals.images, next });
}
