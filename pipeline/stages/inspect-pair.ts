import { basename } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import { checkNotInput, checkOutput } from '../files.ts';
import { StoreFile } from '../format/store/store-reader.ts';
import { loadAssets } from '../report/assets.ts';
import { type Html, html } from '../report/html.ts';
import { type Card, endCards, renderCard, startCards } from '../report/cards.ts';
import { formatLikeness, type PairOverview, renderPairOverview } from '../report/pair-overview.ts';
import { endPage, startPage } from '../report/page.ts';
import { showAll } from '../report/show-text.ts';
import type { Distribution } from '../report/store-overview.ts';
import { findRows } from './choose-images.ts';
import { namesOf } from './describe-store.ts';
import { createPictureFinder, type PictureFinder } from './find-pictures.ts';
import type { InspectOptions } from './inspect-store.ts';
import { matchRows, type MatchedRows } from './match-boxes.ts';
import { dataUri, pictureSide, readBoxes, type StoredBoxes } from './read-cards.ts';
import { floatColumn } from './summarise-row.ts';
import { spreadRows } from './survey-store.ts';
import { ValueTally } from './value-tally.ts';
import { writePage } from './write-page.ts';

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

const BARS = 32;
const ORDERS = [
  ['odd', 'least alike first'],
  ['row', 'as in A'],
] as const;

interface Pair {
  readonly rows: readonly [number, number];
  readonly cosine: number;
  readonly worst: number;
  readonly iou: number;
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
  readonly #cosines: number[] = [];
  readonly #ious: number[] = [];
  readonly #norms = new ValueTally();
  readonly #objects = new Uint32Array(1600);
  readonly #attributes = new Uint32Array(400);
  readonly #agreeing = { objects: 0, attributes: 0, places: 0 };

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
    const named = ids.length > 0;
    const wanted = named
      ? findRows(first!, ids, this.#options.stores[0]).map(
          (row, index) => [row, findRows(second!, [ids[index]!], this.#options.stores[1])[0]!] as const,
        )
      : spreadRows(common.length, sample ?? common.length).map(at => common[at]!);
    const pairs: Pair[] = [];
    for (const rows of wanted) {
      pairs.push(await this.#compare(rows));
      this.#tell('compare', pairs.length, wanted.length);
    }
    const alike = [...pairs].sort((a, b) => a.cosine - b.cosine);
    const chosen = named ? pairs : alike.slice(0, limit);
    const overview = this.#describe(pairs, common.length, first!.length, second!.length);
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
    const [a, b, { partner, ious, cosines }] = await this.#read(rows);
    this.#cosines.push(...cosines);
    this.#ious.push(...ious);
    for (const { boxes } of [a, b]) {
      for (const norm of boxes.norms) this.#norms.add(norm ?? NaN);
      for (const id of boxes.objects ?? []) this.#objects[id]! += 1;
      for (const id of boxes.attrs ?? []) this.#attributes[id]! += 1;
    }
    for (const [box, other] of partner.entries()) {
      if (box === other) this.#agreeing.places++;
      if (a.boxes.objects !== undefined && a.boxes.objects[box] === b.boxes.objects?.[other])
        this.#agreeing.objects++;
      if (a.boxes.attrs !== undefined && a.boxes.attrs[box] === b.boxes.attrs?.[other])
        this.#agreeing.attributes++;
    }
    return { rows, cosine: mean(cosines), worst: Math.min(...cosines), iou: mean(ious) };
  }

  #describe(pairs: readonly Pair[], common: number, first: number, second: number): PairOverview {
    const boxes = pairs.length * 36;
    const hasClasses = this.#stores.every(store => store.shape.name === 'obj36');
    return {
      paths: this.#options.stores,
      detectors: this.#stores.map(detectorOf) as unknown as readonly [string, string],
      common,
      compared: pairs.length,
      onlyFirst: first - common,
      onlySecond: second - common,
      cosine: describeBelowOne(this.#cosines),
      iou: describeBelowOne(this.#ious),
      cosineMean: mean(pairs.map(pair => pair.cosine)),
      cosineWorst: pairs.reduce((least, pair) => Math.min(least, pair.worst), Infinity),
      iouMean: mean(pairs.map(pair => pair.iou)),
      sameObject: hasClasses ? this.#agreeing.objects / boxes : null,
      sameAttribute: hasClasses ? this.#agreeing.attributes / boxes : null,
      samePlace: this.#agreeing.places / boxes,
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
      objectNames: namesOf(this.#objects, vocabulary?.objects),
      attributeNames: namesOf(this.#attributes, vocabulary?.attributes),
      normScale: [this.#norms.quantile(0.02), this.#norms.quantile(0.98)],
    });
  }

  async #card(pair: Pair, pictures: PictureFinder, side: number): Promise<Card> {
    const [a, b, { partner, ious, cosines }] = await this.#read(pair.rows);
    const found = await pictures.find(a.id, a.width, a.height, side);
    const picture = typeof found === 'string' ? null : dataUri(found.bytes);
    const short = (values: readonly number[]): number[] => values.map(value => Number(value.toPrecision(5)));
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

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function detectorOf(store: StoreFile): string {
  const { name, weights } = JSON.parse(store.metadata['detector']!) as { name: string; weights: string };
  return `${name}, weights ${weights}`;
}

/** 32 bars that end at 1 and begin where the values do: at 0, 1/2, 3/4, and so on. */
function describeBelowOne(values: readonly number[]): Distribution {
  const sorted = Float64Array.from(values.filter(Number.isFinite)).sort();
  const quantile = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? NaN;
  const least = quantile(0.005);
  const span = [10, 8, 6, 4, 3, 2, 1].map(octaves => 2 ** -octaves).find(part => least >= 1 - part) ?? 1;
  const edges = Array.from({ length: BARS + 1 }, (_, index) => 1 - span + (span * index) / BARS);
  const counts = new Array<number>(BARS).fill(0);
  for (const value of sorted) {
    const bar = Math.floor(((value - edges[0]!) / span) * BARS);
    counts[Math.min(BARS - 1, Math.max(0, bar))]! += 1;
  }
  return { edges, counts, low: quantile(0.1), median: quantile(0.5), high: quantile(0.9) };
}
