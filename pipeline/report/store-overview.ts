import { formatBytes } from '../files/format-bytes.ts';
import { type Html, html } from './html.ts';
import { factList, notice, type Tile, tileRow } from './page.ts';
import { drawBars, drawHistogram, type Histogram } from './plots.ts';
import { formatCount, formatNumber, formatPercent, showAll } from '../show-text.ts';

export interface Distribution {
  readonly edges: readonly number[];
  readonly counts: readonly number[];
  /** Value that a tenth, half and nine tenths of all values do not exceed. */
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

export interface ClassCount {
  readonly name: string;
  readonly count: number;
}

/** What a page says of a store as a whole. */
export interface StoreOverview {
  readonly path: string;
  readonly bytes: number;
  readonly images: number;
  readonly dtype: string;
  readonly headerAgrees: boolean;
  readonly metadata: Readonly<Record<string, string>>;
  /** Images that were read for the numbers below. */
  readonly surveyed: number;
  readonly flawed: number;
  readonly odd: number;
  readonly norm: Distribution;
  readonly zeros: Distribution;
  readonly share: Distribution;
  readonly objectsConf: Distribution | undefined;
  readonly attrsConf: Distribution | undefined;
  /** The most frequent first. */
  readonly objects: readonly ClassCount[];
  readonly attributes: readonly ClassCount[];
  readonly distinctObjects: number;
  readonly distinctAttributes: number;
  readonly sizes: readonly ClassCount[];
  /** Where class names came from; undefined where there were none. */
  readonly vocabulary: string | undefined;
}

export function renderOverview(store: StoreOverview): Html {
  return html`<section class="overview" aria-labelledby="store-heading">
<h2 id="store-heading">The store</h2>
${tileRow(tilesOf(store))}${noticesOf(store)}
<details class="panel"><summary>Provenance</summary>${factList(provenanceOf(store))}</details>
<div class="plots">${plotsOf(store)}</div>
</section>
`;
}

function tilesOf(store: StoreOverview): Tile[] {
  const { images, flawed, odd } = store;
  return [
    { value: formatCount(images), label: images === 1 ? 'image' : 'images' },
    { value: formatCount(images * 36), label: 'boxes' },
    { value: formatBytes(store.bytes), label: `${store.dtype}, 36 × 2048 an image` },
    flawed === 0
      ? { value: 'none', label: 'flawed images', tone: 'good' }
      : { value: formatCount(flawed), label: flawed === 1 ? 'flawed image' : 'flawed images', tone: 'bad' },
    { value: formatCount(odd), label: 'out of the ordinary', tone: odd === 0 ? 'plain' : 'warn' },
  ];
}

function noticesOf(store: StoreOverview): Html[] {
  const notices: string[] = [];
  const detector = parse(store.metadata['detector']);
  if (detector['weights'] === 'untrained')
    notices.push(
      'The detector ran with UNTRAINED weights: these are the numbers of no real detector. Train nothing on them.',
    );
  if (store.surveyed < store.images)
    notices.push(
      `The numbers below are of ${formatCount(store.surveyed)} of the ${formatCount(store.images)} images. What the others hold was not looked at.`,
    );
  if (!store.headerAgrees)
    notices.push('The header does not have its checksum: it is damaged, or another tool wrote it anew.');
  if (store.objectsConf === undefined)
    notices.push(
      'This store was made from six-column rows: it has boxes and features, but no classes and no confidences.',
    );
  else if (store.vocabulary === undefined)
    notices.push(
      'There are no class names here, so classes are shown by their ids. lxmert-data fetch detector --kind json brings the names; --vocab DIR says where they are.',
    );
  return notices.map(notice);
}

function provenanceOf({ metadata, path, vocabulary }: StoreOverview): (readonly [string, Html | string])[] {
  const detector = parse(metadata['detector']);
  const edge = Array.isArray(detector['caffe_edge']) ? detector['caffe_edge'].map(Number) : [];
  const conversion = parse(metadata['conversion']);
  const sources = parseList(metadata['sources']).map(({ name, size, sha256, rows, rejected }) => {
    const left = Number(rejected) > 0 ? `, ${formatCount(Number(rejected))} rejected` : '';
    const what = `${formatCount(Number(rows))} rows taken${left}, ${formatBytes(Number(size))}`;
    return html`<li><code>${showAll(String(name))}</code>: ${what}, sha256 <code>${showAll(String(sha256))}</code></li>`;
  });
  return [
    ['File', html`<code>${showAll(path)}</code>`],
    ['Detector', `${showAll(String(detector['name']))}, weights ${showAll(String(detector['weights']))}`],
    ['Boxes end as Caffe clips them', `in ${edge[0] ?? '?'} of ${edge[1] ?? '?'} rows`],
    ['Made from', html`<ul>${sources}</ul>`],
    [
      'Conversion',
      `${conversion['first'] === null ? 'in the order of the source' : 'chosen images first'}${conversion['skip_bad'] === true ? ', bad rows left out' : ''}`,
    ],
    [
      'Format',
      `${showAll(metadata['format'] ?? '')}, version ${showAll(metadata['format_version'] ?? '')}; written by ${showAll(metadata['tool'] ?? '')}`,
    ],
    ['Class names', vocabulary === undefined ? 'none' : html`<code>${showAll(vocabulary)}</code>`],
  ];
}

function plotsOf(store: StoreOverview): Html[] {
  const share = (value: number): string => formatPercent(value);
  const plots: Html[] = [];
  const add = (
    title: string,
    what: Distribution | undefined,
    unit: string,
    more: Pick<Histogram, 'format' | 'logarithmic'>,
  ): void => {
    if (what === undefined) return;
    const { low, median, high, edges, counts } = what;
    const summary = Number.isNaN(median)
      ? 'nothing to show'
      : `median ${more.format(median)}, most from ${more.format(low)} to ${more.format(high)}`;
    plots.push(drawHistogram({ title, summary, edges, counts, unit, ...more }));
  };
  add('Object confidence', store.objectsConf, 'boxes', { format: formatNumber });
  add('Attribute confidence', store.attrsConf, 'boxes', { format: formatNumber });
  add('Box area, of the image', store.share, 'boxes', { format: share, logarithmic: true });
  add('Feature norm', store.norm, 'boxes', { format: formatNumber });
  add('Zeros among features', store.zeros, 'boxes', { format: share });
  const bars = (title: string, list: readonly ClassCount[], summary: string, unit: string): void => {
    if (list.length > 0) plots.push(drawBars({ title, summary, bars: list, unit }));
  };
  bars('Objects', store.objects, `${formatCount(store.distinctObjects)} of 1600 classes occur`, 'boxes');
  bars(
    'Attributes',
    store.attributes,
    `${formatCount(store.distinctAttributes)} of 400 classes occur`,
    'boxes',
  );
  bars('Image sizes', store.sizes, 'width × height, the most frequent', 'images');
  return plots;
}

function parse(json: string | undefined): Record<string, unknown> {
  const value: unknown = JSON.parse(json ?? '{}');
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function parseList(json: string | undefined): Record<string, unknown>[] {
  const value: unknown = JSON.parse(json ?? '[]');
  return Array.isArray(value) ? (value as Record<string, unknown>[]) : [];
}
