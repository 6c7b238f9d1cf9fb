import type { PipelineEvent, StageContext } from '../events.ts';
import { checkNotInput, checkOutput } from '../files/checks.ts';
import type { AgreementTotals, ImageAgreement } from '../inspection/agreement.ts';
import { namesOf } from '../inspection/describe-store.ts';
import { createPictureFinder } from '../inspection/find-pictures.ts';
import type { ImageCard, PairData, PairFindingKind } from '../inspection/findings.ts';
import type { Selection } from '../inspection/inspect-images.ts';
import { countDifferences, differencesOf, readPairCard } from '../inspection/pair-card.ts';
import { type PairOverview, PairTotals } from '../inspection/pair-totals.ts';
import { pictureSide } from '../inspection/read-cards.ts';
import { type RowPair, StorePair } from '../inspection/store-pair.ts';
import { spreadRows } from '../inspection/survey-store.ts';
import { renderPairPage } from '../report/pair-page.ts';
import { writePage } from '../report/write-page.ts';

export interface InspectPairOptions extends Omit<Selection, 'threads'> {
  readonly stores: readonly [string, string];
  /** Folder of the images themselves. */
  readonly images?: string | undefined;
  /** HTML page to write. */
  readonly out: string;
  readonly force: boolean;
}

export interface InspectPairResult {
  readonly ok: true;
  /** Images in both stores, in the first only, and in the second only. */
  readonly images: number;
  readonly only_in_first: number;
  readonly only_in_second: number;
  readonly totals: AgreementTotals;
  readonly page_bytes: number;
}

interface ComparedPair {
  readonly rows: RowPair;
  readonly agreement: ImageAgreement;
  readonly kinds: readonly PairFindingKind[];
}

/** Makes a page that shows two stores side by side: the same images, their boxes matched, a cosine for each box. */
export async function inspectPair(
  options: InspectPairOptions,
  context: StageContext,
): Promise<InspectPairResult> {
  const { stores, out, force, ids, vocabulary } = options;
  const pair = await StorePair.open(stores);
  try {
    await checkOutput(out, force);
    await checkNotInput(out, stores);
    const totals = new PairTotals();
    const compared = await comparePairs(pair, totals, options, context);
    const named = ids.length > 0;
    const chosen = named ? compared : leastSimilar(compared).slice(0, options.limit);
    const overview: PairOverview = {
      paths: stores,
      detectors: pair.detectors,
      common: pair.common.length,
      onlyFirst: pair.onlyFirst,
      onlySecond: pair.onlySecond,
      findings: countDifferences(compared.map(({ kinds }) => kinds)),
      ...totals.describe(),
    };
    const legend = {
      objectNames: namesOf(totals.objects, vocabulary?.objects),
      attributeNames: namesOf(totals.attributes, vocabulary?.attributes),
      normScale: [totals.norms.quantile(0.02), totals.norms.quantile(0.98)] as const,
    };
    const page = { overview, named, legend };
    const cards = readCards(pair, chosen, options.images, context);
    return {
      ok: true,
      images: pair.common.length,
      only_in_first: pair.onlyFirst,
      only_in_second: pair.onlySecond,
      totals: overview.totals,
      page_bytes: await writePage(out, renderPairPage(page, cards), { force }),
    };
  } finally {
    await pair.close();
  }
}

async function comparePairs(
  pair: StorePair,
  totals: PairTotals,
  { ids, sample }: Pick<Selection, 'ids' | 'sample'>,
  context: StageContext,
): Promise<readonly ComparedPair[]> {
  const { common } = pair;
  const wanted =
    ids.length > 0
      ? pair.findRows(ids)
      : spreadRows(common.length, sample ?? common.length).map(index => common[index]!);
  const compared: ComparedPair[] = [];
  for (const rows of wanted) {
    context.signal.throwIfAborted();
    const read = await pair.read(rows);
    const agreement = totals.add(read);
    compared.push({ rows, agreement, kinds: differencesOf(read.matched, agreement) });
    context.emit(progress('compare', pair, compared.length, wanted.length));
  }
  return compared;
}

/** Images with values that are not finite come first: nothing is less similar. */
function leastSimilar(compared: readonly ComparedPair[]): readonly ComparedPair[] {
  const rank = ({ agreement: { cosine_mean: cosine } }: ComparedPair): number =>
    Number.isNaN(cosine) ? -1 : cosine;
  return [...compared].sort((a, b) => rank(a) - rank(b));
}

async function* readCards(
  pair: StorePair,
  chosen: readonly ComparedPair[],
  images: string | undefined,
  context: StageContext,
): AsyncGenerator<ImageCard<PairData>> {
  const pictures = await createPictureFinder(images);
  const side = pictureSide(chosen.length * 2);
  let done = 0;
  for (const { rows, agreement } of chosen) {
    context.signal.throwIfAborted();
    yield await readPairCard(await pair.read(rows), { rows, agreement }, pictures, side);
    context.emit(progress('inspect', pair, ++done, chosen.length));
  }
}

function progress(stage: string, { paths }: StorePair, done: number, total: number): PipelineEvent {
  return { event: 'progress', stage, input: paths[0], unit: 'images', done, total };
}
