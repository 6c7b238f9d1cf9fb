import { basename } from 'node:path';
import type { ImageCard } from '../inspection/findings.ts';
import type { PairOverview } from '../inspection/pair-totals.ts';
import { loadAssets } from './assets.ts';
import { type Html, html } from './html.ts';
import { renderGrid } from './image-grid.ts';
import type { PageData } from './page-data.ts';
import { endPage, startPage } from './page.ts';
import { collectImages } from './page-limits.ts';
import { renderPairSide, renderPairSummary } from './pair-overview.ts';

const ORDERS = [
  ['rank', 'least similar first'],
  ['row', 'as in A'],
] as const;

export interface PairPage {
  readonly overview: PairOverview;
  /** Whether the user named the images. */
  readonly named: boolean;
  readonly legend: Omit<PageData, 'kind'>;
}

/** The page of two stores side by side, piece by piece. */
export async function* renderPairPage(
  { overview, named, legend }: PairPage,
  cards: AsyncIterable<ImageCard>,
): AsyncGenerator<Html> {
  const assets = await loadAssets();
  const { index, islands, notices } = await collectImages(cards, overview.findings);
  const [a, b] = overview.paths.map(path => basename(path));
  yield startPage(assets, {
    title: `${a ?? ''} and ${b ?? ''}`,
    about: html`Two stores side by side, box by box`,
  });
  yield renderPairSummary(overview);
  yield html`<div class="browse">
`;
  yield renderPairSide(overview, index);
  yield renderGrid({
    kind: 'pairs',
    shown: index.ids.length,
    all: overview.common,
    why: named ? 'as requested' : 'the least similar',
    slider: { label: 'Cosine at most', start: 1 },
    orders: ORDERS,
    notices,
  });
  yield html`</div>
`;
  yield* endPage(assets, { kind: 'pairs', ...legend }, { index, islands });
}
