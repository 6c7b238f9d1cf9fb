import { basename } from 'node:path';
import type { ImageCard } from '../inspection/findings.ts';
import type { StoreInspection } from '../inspection/inspect-images.ts';
import { showAll } from '../show-text.ts';
import { loadAssets } from './assets.ts';
import { endCards, renderCard, startCards } from './cards.ts';
import { type Html, html } from './html.ts';
import { endPage, startPage } from './page.ts';
import { renderOverview } from './store-overview.ts';

const ORDERS = [
  ['rank', 'worst first'],
  ['row', 'as in the store'],
  ['confidence', 'least confident first'],
  ['norm', 'largest norm first'],
] as const;

/** The page of one store, piece by piece; cards are rendered as they are read. */
export async function* renderStorePage(
  inspection: StoreInspection,
  cards: AsyncIterable<ImageCard> | Iterable<ImageCard>,
): AsyncGenerator<Html> {
  const { path, overview, survey, chosen, names } = inspection;
  const assets = await loadAssets();
  const { name } = overview.provenance.detector;
  const by = name === 'unknown' ? 'by an unknown detector' : `by ${showAll(name)}`;
  yield startPage(assets, { title: basename(path), about: html`36-box features, ${by}` });
  yield renderOverview(overview);
  const slider = {
    label: 'Object confidence at least',
    start: 0,
    disabled: overview.objectsConf === undefined,
  } as const;
  const why = describeChoice(inspection);
  yield startCards({
    kind: 'images',
    shown: chosen.length,
    all: inspection.rows,
    why,
    slider,
    orders: ORDERS,
  });
  let index = 0;
  for await (const card of cards) yield renderCard(card, index++);
  yield endCards();
  const { norm } = survey.tallies;
  yield endPage(assets, {
    kind: 'images',
    objectNames: names.objects,
    attributeNames: names.attributes,
    normScale: [norm.quantile(0.02), norm.quantile(0.98)],
  });
}

function describeChoice({ named, chosen, rows }: StoreInspection): string {
  if (named) return 'as requested';
  return chosen.length === rows ? 'all, worst first' : 'the worst';
}
