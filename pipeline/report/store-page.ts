import { basename } from 'node:path';
import type { ImageCard } from '../inspection/findings.ts';
import type { StoreInspection } from '../inspection/inspect-images.ts';
import { showAll } from '../show-text.ts';
import { loadAssets } from './assets.ts';
import { type Html, html } from './html.ts';
import { renderGrid } from './image-grid.ts';
import { endPage, startPage } from './page.ts';
import { collectImages } from './page-limits.ts';
import { renderSide, renderSummary } from './store-overview.ts';

const ORDERS = [
  ['rank', 'worst first'],
  ['row', 'as in the store'],
  ['confidence', 'least confident first'],
  ['norm', 'largest norm first'],
] as const;

/** The page of one store, piece by piece. */
export async function* renderStorePage(
  inspection: StoreInspection,
  cards: AsyncIterable<ImageCard> | Iterable<ImageCard>,
): AsyncGenerator<Html> {
  const { path, overview, survey, names, rows } = inspection;
  const assets = await loadAssets();
  const { index, islands, notices } = await collectImages(cards, overview.findings);
  const { name } = overview.provenance.detector;
  const by = name === 'unknown' ? 'by an unknown detector' : `by ${showAll(name)}`;
  yield startPage(assets, { title: basename(path), about: html`36-box features, ${by}` });
  yield renderSummary(overview);
  yield html`<div class="browse">
`;
  yield renderSide(overview, index);
  yield renderGrid({
    kind: 'images',
    shown: index.ids.length,
    all: rows,
    why: describeChoice(inspection),
    slider: { label: 'Object confidence at least', start: 0, disabled: overview.objectsConf === undefined },
    orders: ORDERS,
    notices,
  });
  yield html`</div>
`;
  const { norm } = survey.tallies;
  const data = {
    kind: 'images',
    objectNames: names.objects,
    attributeNames: names.attributes,
    normScale: [norm.quantile(0.02), norm.quantile(0.98)],
  } as const;
  yield* endPage(assets, data, { index, islands });
}

function describeChoice({ named, chosen, rows }: StoreInspection): string {
  if (named) return 'as requested';
  return chosen.length === rows ? 'all, worst first' : 'the worst';
}
