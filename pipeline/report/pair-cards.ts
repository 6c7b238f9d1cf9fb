import { type Html, html, jsonIsland } from './html.ts';
import type { PairData } from './page-data.ts';
import { factList, tileRow } from './page.ts';
import { drawHistogram } from './plots.ts';
import { formatCount, formatNumber, showAll } from './show-text.ts';
import type { Distribution } from './store-overview.ts';

export interface PairCard {
  readonly data: PairData;
  readonly row: number;
  readonly chips: readonly string[];
  readonly note: string | undefined;
}

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
  const plots = [
    ['Cosine of features', pair.cosine],
    ['Overlap of boxes (IoU)', pair.iou],
  ] as const;
  return html`<section class="overview" aria-labelledby="pair-heading">
    <h2 id="pair-heading">Both stores</h2>
    ${tileRow([
      { value: formatCount(pair.common), label: 'images in both' },
      { value: pair.cosineMean.toFixed(4), label: `mean cosine, worst ${pair.cosineWorst.toFixed(4)}` },
      { value: pair.iouMean.toFixed(4), label: 'mean overlap (IoU)' },
      { value: share(pair.sameObject), label: 'same object class' },
      { value: share(pair.samePlace), label: 'boxes in the same place' },
    ])}
    ${pair.compared < pair.common ? html`<p class="notice">The numbers are of ${formatCount(pair.compared)} of the ${formatCount(pair.common)} images. The others were not compared.</p>` : undefined}
    <div class="panel">
      ${factList([
        ['A', html`<code>${showAll(pair.paths[0])}</code>, ${showAll(pair.detectors[0])}`],
        ['B', html`<code>${showAll(pair.paths[1])}</code>, ${showAll(pair.detectors[1])}`],
        [
          'Only in one',
          `${formatCount(pair.onlyFirst)} images only in A, ${formatCount(pair.onlySecond)} only in B`,
        ],
        ['Same attribute class', share(pair.sameAttribute)],
        ['How boxes are matched', 'one to one, the pairs with the largest overlap first'],
      ])}
    </div>
    <div class="plots">
      ${plots.map(([title, { edges, counts, low, median, high }]) => {
        const summary = `median ${formatNumber(median)}, most from ${formatNumber(low)} to ${formatNumber(high)}`;
        return drawHistogram({ title, summary, edges, counts, unit: 'pairs of boxes', format: formatNumber });
      })}
    </div>
  </section> `;
}

export function renderPairToolbar(shown: number, all: number, why: string): Html {
  return html`<section aria-labelledby="images-heading">
    <div class="section-head">
      <h2 id="images-heading">Images</h2>
      <p>${formatCount(shown)} of ${formatCount(all)}: ${why}</p>
    </div>
    <form class="toolbar" id="toolbar" aria-label="What is shown of each image" hidden>
      <label class="slider"
        ><span>Cosine at most</span
        ><input type="range" id="threshold" min="0" max="1" step="0.01" value="1" /><output
          id="threshold-value"
          for="threshold"
          >1.00</output
        ></label
      >
      <label
        ><span>Colour</span
        ><select id="colour">
          <option value="object">by object</option>
          <option value="attribute">by attribute</option>
          <option value="confidence">by confidence</option>
          <option value="norm">by feature norm</option>
        </select></label
      >
      <label
        ><span>Names</span
        ><select id="labels">
          <option value="some">where they fit</option>
          <option value="all">all</option>
          <option value="none">on hover</option>
        </select></label
      >
      <label
        ><span>Order</span
        ><select id="order">
          <option value="odd">least alike first</option>
          <option value="row">as in A</option>
        </select></label
      >
      <label class="search"
        ><span>Find</span><input type="search" id="search" placeholder="img_id or class" autocomplete="off"
      /></label>
      <p class="status" id="status" role="status"></p>
    </form>
    <noscript
      ><p class="notice">
        Boxes and tables are drawn by the script of this page, and scripts are off here.
      </p></noscript
    >
    <div id="cards" class="cards pairs"></div>
  </section> `;
}

export function renderPairCard({ data, row, chips, note }: PairCard, place: number): Html {
  const { width, height } = data;
  return html`<article
    class="card"
    id="card-${place}"
    data-row="${row}"
    tabindex="-1"
    aria-labelledby="card-${place}-id"
  >
    <header>
      <h3 id="card-${place}-id"><bdi>${data.id}</bdi></h3>
      <p class="chips"><span>${width} × ${height}</span>${chips.map(chip => html`<span>${chip}</span>`)}</p>
      ${note === undefined ? undefined : html`<p class="card-note">${note}</p>`}
    </header>
    <div class="card-body">
      <svg class="ground" viewBox="0 0 ${Math.max(1, width)} ${Math.max(1, height)}" aria-hidden="true">
        <rect width="100%" height="100%" />
      </svg>
    </div>
    ${jsonIsland(`card-${place}-data`, data)}
  </article> `;
}
