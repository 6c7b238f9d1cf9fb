import { type Html, html } from './html.ts';
import { factList, notice, tileRow } from './page.ts';
import type { PageIndex } from './page-data.ts';
import { drawHistogram } from './plots.ts';
import { renderFindings, sidePanel } from './store-overview.ts';
import type { PairOverview } from '../inspection/pair-totals.ts';
import { formatCount, formatSimilarity, showAll } from '../show-text.ts';

/** Totals over both stores. */
export function renderPairSummary(pair: PairOverview): Html {
  const { totals } = pair;
  const tiles = tileRow([
    { value: formatCount(pair.common), label: 'images in both' },
    {
      value: formatSimilarity(totals.cosine_mean),
      label: `mean cosine, worst ${formatSimilarity(totals.cosine_worst)}`,
    },
    { value: formatSimilarity(totals.iou_mean), label: 'mean overlap (IoU)' },
    { value: formatShare(totals.objects), label: 'same object class' },
    { value: formatShare(totals.attributes), label: 'same attribute class' },
  ]);
  const left = `The numbers cover ${formatCount(totals.images)} of the ${formatCount(pair.common)} images; the others were not compared.`;
  return html`<section class="overview" aria-label="Both stores">
${tiles}${totals.images < pair.common && notice(left)}
</section>
`;
}

/** What differs, how much, and which files were compared. */
export function renderPairSide(pair: PairOverview, index: PageIndex): Html {
  const facts = factList([
    ['A', html`<code>${showAll(pair.paths[0])}</code>, ${showAll(pair.detectors[0])}`],
    ['B', html`<code>${showAll(pair.paths[1])}</code>, ${showAll(pair.detectors[1])}`],
    [
      'Only in one',
      `${formatCount(pair.onlyFirst)} images only in A, ${formatCount(pair.onlySecond)} only in B`,
    ],
    ['Boxes at the same index', formatShare(pair.totals.same_index)],
    ['How boxes are matched', 'one to one, largest overlap first'],
  ]);
  const plots = (
    [
      ['Cosine of features', 'cosine', pair.cosine],
      ['Overlap of boxes (IoU)', 'iou', pair.iou],
    ] as const
  ).map(([title, filter, { edges, counts, low, median, high }]) => {
    const summary = `median ${formatSimilarity(median)}, most from ${formatSimilarity(low)} to ${formatSimilarity(high)}`;
    return drawHistogram({
      title,
      summary,
      edges,
      counts,
      unit: 'pairs of boxes',
      format: formatTick,
      filter,
    });
  });
  return sidePanel(html`${renderFindings(pair.findings, index)}${plots}
<div class="chart"><h2>The stores</h2>${facts}</div>`);
}

function formatShare(value: number | null): string {
  return value === null ? 'no classes' : `${(value * 100).toFixed(1)} %`;
}

function formatTick(value: number): string {
  return String(Number(value.toPrecision(5)));
}
