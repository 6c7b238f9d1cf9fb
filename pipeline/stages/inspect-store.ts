import { basename } from 'node:path';
import type { StageContext } from '../events.ts';
import { checkNotInput, checkOutput } from '../files/checks.ts';
import { StoreFile } from '../store/reader.ts';
import { loadAssets } from '../report/assets.ts';
import { drawContactSheet, type SheetImage } from '../report/contact-sheet.ts';
import { type Html, html } from '../report/html.ts';
import { endCards, renderCard, startCards } from '../report/cards.ts';
import { endPage, startPage } from '../report/page.ts';
import { showAll } from '../show-text.ts';
import { renderOverview, type StoreOverview } from '../report/store-overview.ts';
import { findRows } from '../inspection/choose-images.ts';
import { describeStore, namesOf } from '../inspection/describe-store.ts';
import { createPictureFinder } from '../inspection/find-pictures.ts';
import { type RankedImage, rankImages } from '../inspection/rank-images.ts';
import type { Vocabulary } from '../inspection/read-vocabulary.ts';
import { readCards } from '../inspection/read-cards.ts';
import { spreadRows, type StoreSurvey, surveyStore } from '../inspection/survey-store.ts';
import { writePage, writeWhole } from '../report/write-page.ts';

export interface InspectOptions {
  readonly store: string;
  /** Images to show; where none is named, the oddest. */
  readonly ids: readonly string[];
  readonly limit: number;
  /** Images to read for the numbers of the whole store; all where not given. */
  readonly sample?: number | undefined;
  /** Folder of the images themselves. */
  readonly images?: string | undefined;
  readonly vocabulary?: Vocabulary | undefined;
  /** HTML page, PNG sheet, or both. */
  readonly out?: string | undefined;
  readonly png?: string | undefined;
  readonly force: boolean;
  readonly threads?: number | undefined;
}

export interface ShownImage {
  readonly img_id: string;
  readonly row: number;
  readonly reasons: readonly string[];
}

export interface InspectResult {
  /** Whether no flaw was found in what was read. */
  readonly ok: boolean;
  readonly images: number;
  readonly surveyed: number;
  readonly flawed: number;
  readonly odd: number;
  readonly shown: readonly ShownImage[];
  /** Shown images whose picture was found. */
  readonly pictures: number;
  readonly page_bytes: number | undefined;
  /** Whether the sheet could be lettered: that takes a font of the machine. */
  readonly lettered: boolean | undefined;
}

const ORDERS = [
  ['odd', 'oddest first'],
  ['row', 'as in the store'],
  ['confidence', 'least confident first'],
  ['norm', 'largest norm first'],
] as const;

/** Makes a page, and a contact sheet, of what a store says of its images. */
export async function inspectStore(options: InspectOptions, context: StageContext): Promise<InspectResult> {
  const outputs = [options.out, options.png].filter(path => path !== undefined);
  const store = await StoreFile.open(options.store);
  try {
    for (const path of outputs) {
      await checkOutput(path, options.force);
      await checkNotInput(path, [options.store]);
    }
    const pictures = await createPictureFinder(options.images);
    const ids = await store.readImageIds();
    const named = options.ids.length > 0;
    const rows = named ? findRows(ids, options.ids, store.path) : undefined;
    const sampled =
      rows ?? (options.sample === undefined ? undefined : spreadRows(store.rows, options.sample));
    const survey = await surveyStore(store, { rows: sampled, threads: options.threads }, context);
    const ranked = rankImages(survey, ids, showAll);
    const chosen = named ? inOrder(ranked) : ranked.slice(0, options.limit);
    const overview = await describeStore(store, survey, ranked, options.vocabulary);
    const sheet: SheetImage[] = [];
    let found = 0;
    const progress = { event: 'progress', stage: 'inspect', input: store.path, unit: 'images' } as const;
    const cards = async function* (): AsyncGenerator<Html> {
      let place = 0;
      for await (const { jpeg, ...card } of readCards(store, chosen, pictures)) {
        context.signal.throwIfAborted();
        if (jpeg !== undefined) found++;
        if (options.png !== undefined) sheet.push({ data: card.data, jpeg });
        yield renderCard(card, place++);
        context.emit({ ...progress, done: place, total: chosen.length });
      }
    };
    const page = renderPage(store, overview, survey, chosen, options, cards());
    let pageBytes: number | undefined;
    if (options.out !== undefined) pageBytes = await writePage(options.out, page);
    else await drain(page);
    let lettered: boolean | undefined;
    if (options.png !== undefined) {
      const drawn = await drawContactSheet(sheet, {
        objectNames: namesOf(survey.objects, options.vocabulary?.objects),
        title: `${basename(store.path)}: ${sheet.length} of ${store.rows} images`,
      });
      await writeWhole(options.png, drawn.png);
      lettered = drawn.lettered;
    }
    return {
      ok: overview.flawed === 0,
      images: store.rows,
      surveyed: survey.rows.length,
      flawed: overview.flawed,
      odd: overview.odd,
      shown: chosen.map(({ row, reasons }) => ({ img_id: ids[row]!, row, reasons })),
      pictures: found,
      page_bytes: pageBytes,
      lettered,
    };
  } finally {
    await store.close();
  }
}

async function* renderPage(
  store: StoreFile,
  overview: StoreOverview,
  survey: StoreSurvey,
  chosen: readonly RankedImage[],
  options: InspectOptions,
  cards: AsyncGenerator<Html>,
): AsyncGenerator<Html> {
  const assets = await loadAssets();
  const detector = JSON.parse(store.metadata['detector']!) as { readonly name: string };
  const by = detector.name === 'unknown' ? 'what made them is not known' : `by ${showAll(detector.name)}`;
  const about = html`36-box features, ${by}`;
  const why =
    options.ids.length > 0
      ? 'those that were asked for'
      : chosen.length === store.rows
        ? 'all of them, worst and oddest first'
        : 'the worst and oddest first';
  yield startPage(assets, { title: basename(store.path), about });
  yield renderOverview(overview);
  const slider = {
    label: 'Object confidence at least',
    start: 0,
    disabled: overview.objectsConf === undefined,
  } as const;
  yield startCards({ kind: 'images', shown: chosen.length, all: store.rows, why, slider, orders: ORDERS });
  yield* cards;
  yield endCards();
  yield endPage(assets, {
    kind: 'images',
    objectNames: namesOf(survey.objects, options.vocabulary?.objects),
    attributeNames: namesOf(survey.attributes, options.vocabulary?.attributes),
    normScale: [survey.tallies.norm.quantile(0.02), survey.tallies.norm.quantile(0.98)],
  });
}

function inOrder(ranked: readonly RankedImage[]): RankedImage[] {
  return [...ranked].sort((a, b) => a.at - b.at);
}

/** The sheet needs the cards, also where there is no page. */
async function drain(pieces: AsyncIterable<unknown>): Promise<void> {
  const all = pieces[Symbol.asyncIterator]();
  while ((await all.next()).done !== true);
}
