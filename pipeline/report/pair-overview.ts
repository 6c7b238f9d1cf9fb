import { type Html, html } from './html.ts';
import { factList, notice, tileRow } from './page.ts';
import { drawHistogram } from './plots.ts';
import { formatCount, showAll } from '../show-text.ts';
import type { Distribution } from './store-overview.ts';

/** What a page says of two stores together. */
export interface PairOverview {
  readonly paths: readonly [string, string];
  readonly detectors: readonly [string, string];
  readonly common: number;
  readonly compared: number;
  readonly onlyFirst: number;
  readonly onlySecond: number;
  readonly cosine: Distribution;
  readonly iou: Distribution;
  readonly cosineMean: number;
  readonly cosineWorst: number;
  readonly iouMean: number;
  /** Shares of matched boxes; null where a store has no classes. */
  readonly sameObject: number | null;
  readonly sameAttribute: number | null;
  readonly samePlace: number;
}

export function renderPairOverview(pair: PairOverview): Html {
  const share = (value: number | null): string =>
    value === null ? 'no classes' : `${(value * 100).toFixed(1)} %`;
  const tiles = tileRow([
    { value: formatCount(pair.common), label: 'images in both' },
    {
      value: formatLikeness(pair.cosineMean),
      label: `mean cosine, worst ${formatLikeness(pair.cosineWorst)}`,
    },
    { value: formatLikeness(pair.iouMean), label: 'mean overlap (IoU)' },
    { value: share(pair.sameObject), label: 'same object class' },
    { value: share(pair.samePlace), label: 'boxes in the same place' },
  ]);
  const facts = factList([
    ['A', html`<code>${showAll(pair.paths[0])}</code>, ${showAll(pair.detectors[0])}`],
    ['B', html`<code>${showAll(pair.paths[1])}</code>, ${showAll(pair.detectors[1])}`],
    [
      'Only in one',
      `${formatCount(pair.onlyFirst)} images only in A, ${formatCount(pair.onlySecond)} only in B`,
    ],
    ['Same attribute class', share(pair.sameAttribute)],
    ['How boxes are matched', 'one to one, the pairs with the largest overlap first'],
  ]);
  const left = `The numbers are of ${formatCount(pair.compared)} of the ${formatCount(pair.common)} images. The others were not compared.`;
  const plots = (
    [
      ['Cosine of features', pair.cosine],
      ['Overlap of boxes (IoU)', pair.iou],
    ] as const
  ).map(([title, { edges, counts, low, median, high }]) => {
    const summary = `median ${formatLikeness(median)}, most from ${formatLikeness(low)} to ${formatLikeness(high)}`;
    return drawHistogram({ title, summary, edges, counts, unit: 'pairs of boxes', format: formatTick });
  });
  return html`<section class="overview" aria-labelledby="pair-heading">
<h2 id="pair-heading">Both stores</h2>
${tiles}${pair.compared < pair.common && notice(left)}
<div class="panel">${facts}</div>
<div class="plots">${plots}</div>
</section>
`;
}

/** Four digits, but never 1 for what is only near it. */
export function formatLikeness(value: number): string {
  const text = value.toFixed(4);
  return text === '1.0000' && value < 1 ? `1 − ${(1 - value).toExponential(0)}` : text;
}

function formatTick(value: number): string {
  return String(Number(value.toPrecision(5)));
}
