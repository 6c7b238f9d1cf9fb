import { basename } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import { checkNotInput, checkOutput } from '../files/checks.ts';
import { StoreFile } from '../store/reader.ts';
import { loadAssets } from '../report/assets.ts';
import { type Html, html } from '../report/html.ts';
import { type Card, endCards, renderCard, startCards } from '../report/cards.ts';
import { formatLikeness, type PairOverview, renderPairOverview } from '../report/pair-overview.ts';
import { endPage, startPage } from '../report/page.ts';
import { showAll } from '../show-text.ts';
import { findRows } from '../inspection/choose-images.ts';
import { namesOf } from '../inspection/describe-store.ts';
import { createPictureFinder, type PictureFinder } from '../inspection/find-pictures.ts';
import type { InspectOptions } from './inspect-store.ts';
import { matchRows, type MatchedRows } from '../inspection/match-boxes.ts';
import { dataUri, pictureSide, readBoxes, type StoredBoxes } from '../inspection/read-cards.ts';
import { floatColumn } from '../inspection/summarise-row.ts';
import { spreadRows } from '../inspection/survey-store.ts';
import { PairTotals, type PairLikeness } from '../inspection/pair-totals.ts';
import { writePage } from '../report/write-page.ts';

export interface InspectPairOptions extends Omit<InspectOptions, 'store'> {
  readonly stores: readonly [string, string];
}

export interface InspectPairResult {
  readonly ok: true;
  readonly images: number;
  readonly compared: number;
  readonly cosine_mean: number;
  readonly cosine_worst: number;
  readonly iou_mean: number;
  readonly page_bytes: number;
  readonly lettered: undefined;
  /** For people. */
  readonly agreement: readonly string[];
}

const ORDERS = [
  ['odd', 'least alike first'],
  ['row', 'as in A'],
] as const;

interface Pair extends PairLikeness {
  readonly rows: readonly [number, number];
}

/** Makes a page that shows two stores side by side: the same images, their boxes matched, a cosine a box. */
export async function inspectPair(
  options: InspectPairOptions,
  context: StageContext,
): Promise<InspectPairResult> {
  const { out } = options;
  if (out === undefined || options.png !== undefined)
    throw new LxmertDataError('ERR_USAGE', {
      what: 'a contact sheet is of one store',
      hint: 'leave out --png, or name one store',
    });
  const stores: StoreFile[] = [];
  try {
    for (const path of options.stores) stores.push(await StoreFile.open(path));
    await checkOutput(out, options.force);
    await checkNotInput(out, options.stores);
    return await new PairInspection(
      stores as unknown as readonly [StoreFile, StoreFile],
      options,
      context,
    ).run(out);
  } finally {
    await Promise.all(stores.map(async store => await store.close()));
  }
}

class PairInspection {
  readonly #stores: readonly [StoreFile, StoreFile];
  readonly #options: InspectPairOptions;
  readonly #context: StageContext;
  readonly #totals = new PairTotals();

  constructor(stores: readonly [StoreFile, StoreFile], options: InspectPairOptions, context: StageContext) {
    this.#stores = stores;
    this.#options = options;
    this.#context = context;
  }

  async run(out: string): Promise<InspectPairResult> {
    const [first, second] = await Promise.all(this.#stores.map(async store => await store.readImageIds()));
    const rowsOfSecond = new Map(second!.map((id, row) => [id, row]));
    const common = first!.flatMap((id, row) =>
      rowsOfSecond.has(id) ? [[row, rowsOfSecond.get(id)!] as const] : [],
    );
    const { ids, sample, limit } = this.#options;
    if (common.length === 0) {
      throw new LxmertDataError('ERR_INPUT', {
        what: 'the stores have no image in common',
        where: this.#options.stores.join(' and '),
        got: `${showAll(first![0]!)}, … and ${showAll(second![0]!)}, …`,
      });
    }
    const named = [...new Set(ids)];
    const wanted =
      named.length > 0
        ? findRows(first!, named, this.#options.stores[0]).map(
            (row, index) => [row, findRows(second!, [named[index]!], this.#options.stores[1])[0]!] as const,
          )
        : spreadRows(common.length, sample ?? common.length).map(at => common[at]!);
    const pairs: Pair[] = [];
    for (const rows of wanted) {
      pairs.push(await this.#compare(rows));
      this.#tell('compare', pairs.length, wanted.length);
    }
    // Values that are no numbers come first: nothing is less alike.
    const rank = ({ cosine }: Pair): number => (Number.isNaN(cosine) ? -1 : cosine);
    const alike = [...pairs].sort((a, b) => rank(a) - rank(b));
    const chosen = named.length > 0 ? pairs : alike.slice(0, limit);
    const overview = this.#describe(pairs.length, common.length, first!.length, second!.length);
    const pictures = await createPictureFinder(this.#options.images);
    const bytes = await writePage(out, this.#render(overview, chosen, pictures));
    return {
      ok: true,
      images: common.length,
      compared: pairs.length,
      cosine_mean: overview.cosineMean,
      cosine_worst: overview.cosineWorst,
      iou_mean: overview.iouMean,
      page_bytes: bytes,
      lettered: undefined,
      agreement: [
        `${common.length} images in both, ${overview.onlyFirst} only in the first, ${overview.onlySecond} only in the second; ${pairs.length} compared`,
        `cosine of features: mean ${formatLikeness(overview.cosineMean)}, worst ${formatLikeness(overview.cosineWorst)}; overlap of boxes (IoU): mean ${formatLikeness(overview.iouMean)}`,
      ],
    };
  }

  async #read(rows: readonly [number, number]): Promise<readonly [StoredBoxes, StoredBoxes, MatchedRows]> {
    this.#context.signal.throwIfAborted();
    const [a, b] = await Promise.all([
      readBoxes(this.#stores[0], rows[0]),
      readBoxes(this.#stores[1], rows[1]),
    ]);
    const withFeatures = ({ record, features }: StoredBoxes): Parameters<typeof matchRows>[0] => ({
      boxes: floatColumn(record, 'boxes'),
      features,
    });
    return [a, b, matchRows(withFeatures(a), withFeatures(b))];
  }

  async #compare(rows: readonly [number, number]): Promise<Pair> {
    return { rows, ...this.#totals.add(...(await this.#read(rows))) };
  }

  #describe(compared: number, common: number, first: number, second: number): PairOverview {
    const hasClasses = this.#stores.every(store => store.shape.name === 'obj36');
    return {
      ...this.#totals.describe(compared, hasClasses),
      paths: this.#options.stores,
      detectors: this.#stores.map(detectorOf) as unknown as readonly [string, string],
      common,
      onlyFirst: first - common,
      onlySecond: second - common,
    };
  }

  async *#render(
    overview: PairOverview,
    chosen: readonly Pair[],
    pictures: PictureFinder,
  ): AsyncGenerator<Html> {
    const assets = await loadAssets();
    const { vocabulary, ids, stores } = this.#options;
    const [a, b] = stores.map(path => basename(path)) as [string, string];
    const why = ids.length > 0 ? 'those that were asked for' : 'the least alike first';
    yield startPage(assets, { title: `${a} and ${b}`, about: html`Two stores side by side, box by box` });
    yield renderPairOverview(overview);
    const slider = { label: 'Cosine at most', start: 1 } as const;
    const all = overview.common;
    yield startCards({ kind: 'pairs', shown: chosen.length, all, why, slider, orders: ORDERS });
    let place = 0;
    for (const pair of chosen) {
      yield renderCard(await this.#card(pair, pictures, pictureSide(chosen.length * 2)), place++);
      this.#tell('inspect', place, chosen.length);
    }
    yield endCards();
    yield endPage(assets, {
      kind: 'pairs',
      objectNames: namesOf(this.#totals.objects, vocabulary?.objects),
      attributeNames: namesOf(this.#totals.attributes, vocabulary?.attributes),
      normScale: [this.#totals.norms.quantile(0.02), this.#totals.norms.quantile(0.98)],
    });
  }

  async #card(pair: Pair, pictures: PictureFinder, side: number): Promise<Card> {
    const [a, b, { partner, ious, cosines }] = await this.#read(pair.rows);
    const found = await pictures.find(a.id, a.width, a.height, side);
    const picture = typeof found === 'string' ? null : dataUri(found.bytes);
    const short = (values: readonly number[]): number[] => values.map(value => Number(value.toPrecision(8)));
    const differs =
      a.width === b.width && a.height === b.height
        ? undefined
        : `B says that the image is ${b.width} × ${b.height}: overlaps mean nothing`;
    const data = {
      ...{ id: showAll(a.id), width: a.width, height: a.height, picture, partner },
      ...{
        first: a.boxes,
        second: b.boxes,
        secondSize: [b.width, b.height] as const,
        ious: short(ious),
        cosines: short(cosines),
      },
    };
    const chips = [
      `rows ${pair.rows[0]} and ${pair.rows[1]}`,
      `mean cosine ${formatLikeness(pair.cosine)}`,
      `worst ${formatLikeness(pair.worst)}`,
      `mean IoU ${formatLikeness(pair.iou)}`,
    ].map(text => ({ text }));
    return {
      data,
      row: pair.rows[0],
      chips,
      note: differs ?? (typeof found === 'string' ? undefined : found.note),
    };
  }

  #tell(stage: string, done: number, total: number): void {
    this.#context.emit({
      event: 'progress',
      stage,
      input: this.#options.stores[0],
      unit: 'images',
      done,
      total,
    });
  }
}

function detectorOf(store: StoreFile): string {
  const { name, weights } = JSON.parse(store.metadata['detector']!) as { name: string; weights: string };
  return `${name}, weights ${weights}`;
}
