import { type Html, html } from './html.ts';
import { factList, notice, tileRow } from './page.ts';
import { drawHistogram } from './plots.ts';
import type { PairOverview } from '../inspection/pair-totals.ts';
import { formatCount, formatSimilarity, showAll } from '../show-text.ts';

export function renderPairOverview(pair: PairOverview): Html {
  const { totals } = pair;
  const share = (value: number | null): string =>
    value === null ? 'no classes' : `${(value * 100).toFixed(1)} %`;
  const tiles = tileRow([
    { value: formatCount(pair.common), label: 'images in both' },
    {
      value: formatSimilarity(totals.cosine_mean),
      label: `mean cosine, worst ${formatSimilarity(totals.cosine_worst)}`,
    },
    { value: formatSimilarity(totals.iou_mean), label: 'mean overlap (IoU)' },
    { value: share(totals.objects), label: 'same object class' },
    { value: share(totals.same_index), label: 'boxes at the same index' },
  ]);
  const facts = factList([
    ['A', html`<code>${showAll(pair.paths[0])}</code>, ${showAll(pair.detectors[0])}`],
    ['B', html`<code>${showAll(pair.paths[1])}</code>, ${showAll(pair.detectors[1])}`],
    [
      'Only in one',
      `${formatCount(pair.onlyFirst)} images only in A, ${formatCount(pair.onlySecond)} only in B`,
    ],
    ['Same attribute class', share(totals.attributes)],
    ['How boxes are matched', 'one to one, largest overlap first'],
  ]);
  const left = `The numbers cover ${formatCount(totals.images)} of the ${formatCount(pair.common)} images; the others were not compared.`;
  const plots = (
    [
      ['Cosine of features', pair.cosine],
      ['Overlap of boxes (IoU)', pair.iou],
    ] as const
  ).map(([title, { edges, counts, low, median, high }]) => {
    const summary = `median ${formatSimilarity(median)}, most from ${formatSimilarity(low)} to ${formatSimilarity(high)}`;
    return drawHistogram({ title, summary, edges, counts, unit: 'pairs of boxes', format: formatTick });
  });
  return html`<section class="overview" aria-labelledby="pair-heading">
<h2 id="pair-heading">Both stores</h2>
${tiles}${totals.images < pair.common && notice(left)}
<div class="panel">${facts}</div>
<div class="plots">${plots}</div>
</section>
`;
}

function formatTick(value: number): string {
  return String(Number(value.toPrecision(5)));
}
