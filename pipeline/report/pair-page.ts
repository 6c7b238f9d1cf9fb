import { basename } from 'node:path';
import type { ImageCard } from '../inspection/findings.ts';
import type { PairOverview } from '../inspection/pair-totals.ts';
import { loadAssets } from './assets.ts';
import { endCards, renderCard, startCards } from './cards.ts';
import { type Html, html } from './html.ts';
import type { PageData } from './page-data.ts';
import { endPage, startPage } from './page.ts';
import { renderPairOverview } from './pair-overview.ts';

const ORDERS = [
  ['rank', 'least similar first'],
  ['row', 'as in A'],
] as const;

export interface PairPage {
  readonly overview: PairOverview;
  /** How many cards there are, and whether the user named them. */
  readonly shown: number;
  readonly named: boolean;
  readonly legend: Omit<PageData, 'kind'>;
}

/** The page of two stores side by side, piece by piece. */
export async function* renderPairPage(
  { overview, shown, named, legend }: PairPage,
  cards: AsyncIterable<ImageCard>,
): AsyncGenerator<Html> {
  const assets = await loadAssets();
  const [a, b] = overview.paths.map(path => basename(path));
  yield startPage(assets, {
    title: `${a ?? ''} and ${b ?? ''}`,
    about: html`Two stores side by side, box by box`,
  });
  yield renderPairOverview(overview);
  yield startCards({
    kind: 'pairs',
    shown,
    all: overview.common,
    why: named ? 'as requested' : 'the least similar',
    slider: { label: 'Cosine at most', start: 1 },
    orders: ORDERS,
  });
  let index = 0;
  for await (const card of cards) yield renderCard(card, index++);
  yield endCards();
  yield endPage(assets, { kind: 'pairs', ...legend });
}
