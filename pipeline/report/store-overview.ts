import { formatBytes } from '../files/format-bytes.ts';
import { type Html, html } from './html.ts';
import { factList, notice, type Tile, tileRow } from './page.ts';
import type { PageIndex } from './page-data.ts';
import { drawBars, drawHistogram, type Histogram } from './plots.ts';
import type { StoreOverview } from '../inspection/describe-store.ts';
import type { ClassCount, Distribution, FindingCount } from '../inspection/findings.ts';
import { formatCount, formatNumber, formatPercent, showAll } from '../show-text.ts';
import { ATTRIBUTE_CLASSES, OBJECT_CLASSES } from '../rows/row-shape.ts';
import { describeDetector, UNTRAINED_WARNING } from '../store/metadata.ts';

/** Totals of the store, and what a reader must know about them. */
export function renderSummary(store: StoreOverview): Html {
  return html`<section class="overview" aria-label="The store">
${tileRow(tilesOf(store))}${noticesOf(store)}
</section>
`;
}

/** Filters and charts beside the images; each bar and count links to what it counts. */
export function renderSide(store: StoreOverview, index: PageIndex): Html {
  return sidePanel(html`${renderFindings(store.findings, index)}${plotsOf(store)}
<details class="chart provenance"><summary>Provenance</summary>${factList(provenanceOf(store))}</details>`);
}

export function sidePanel(content: Html): Html {
  return html`<aside class="side-panel" aria-label="Filters and charts"><details id="filters"><summary>Filters and charts</summary>
<div class="charts">${content}</div>
</details></aside>
`;
}

/** What was found, by kind, with counts of the images on the page; where the store has more, that is said. */
export function renderFindings(findings: readonly FindingCount[], { flags }: PageIndex): Html | undefined {
  if (findings.length === 0) return undefined;
  const bars = findings.map(({ kind, label, tone, images }, bit) => {
    const here = flags.filter(bits => (bits & (1 << bit)) !== 0).length;
    const name = here === images ? label : `${label} (${formatCount(images)} in all)`;
    return { key: kind, name, count: here, tone };
  });
  const summary = 'images on this page, by what was found';
  return drawBars({ title: 'Findings', summary, bars, unit: 'images', filter: 'finding' });
}

function tilesOf(store: StoreOverview): Tile[] {
  const { images, invalid, outliers } = store;
  return [
    { value: formatCount(images), label: images === 1 ? 'image' : 'images' },
    { value: formatCount(images * 36), label: 'boxes' },
    { value: formatBytes(store.bytes), label: `${store.dtype}, 36 × 2048 an image` },
    invalid === 0
      ? { value: 'none', label: 'invalid images', tone: 'good' }
      : {
          value: formatCount(invalid),
          label: invalid === 1 ? 'invalid image' : 'invalid images',
          tone: 'bad',
          filter: 'finding=bad',
        },
    {
      value: formatCount(outliers),
      label: outliers === 1 ? 'outlier' : 'outliers',
      tone: outliers === 0 ? 'plain' : 'warn',
      filter: outliers === 0 ? undefined : 'finding=warn',
    },
  ];
}

function noticesOf(store: StoreOverview): Html[] {
  const notices: string[] = [];
  if (store.provenance.detector.weights === 'untrained') notices.push(`${UNTRAINED_WARNING}.`);
  if (store.surveyed < store.images)
    notices.push(
      `The numbers below cover ${formatCount(store.surveyed)} of the ${formatCount(store.images)} images; the others were not read.`,
    );
  if (!store.headerAgrees)
    notices.push('The header does not match its checksum: it is damaged, or another tool rewrote it.');
  if (store.objectsConf === undefined)
    notices.push(
      'This store was made from six-column rows: it has boxes and features, but no classes and no confidences.',
    );
  else if (store.vocabulary === undefined)
    notices.push(
      'No class names were found, so classes are shown by id. To get them: lxmert-data fetch detector --kind json, or --vocab DIR.',
    );
  return notices.map(notice);
}

function provenanceOf(store: StoreOverview): (readonly [string, Html | string])[] {
  const { metadata, path, vocabulary } = store;
  const { detector, conversion, sources } = store.provenance;
  const [exact, rows] = detector.caffe_edge ?? ['?', '?'];
  const count = (value: number | undefined): string => (value === undefined ? '?' : formatCount(value));
  const inputs = sources.map(source => {
    const left = (source.rejected ?? 0) > 0 ? `, ${count(source.rejected)} rejected` : '';
    const taken = `${count(source.rows)} rows taken${left}, ${formatBytes(source.size ?? 0)}`;
    const sha256 = html`sha256 <code>${showAll(source.sha256 ?? 'unknown')}</code>`;
    return html`<li><code>${showAll(source.name)}</code>: ${taken}, ${sha256}</li>`;
  });
  const order = (conversion.first ?? null) === null ? 'in the order of the source' : 'pinned images first';
  return [
    ['File', html`<code>${showAll(path)}</code>`],
    ['Detector', showAll(describeDetector(detector))],
    ['Boxes end as Caffe clips them', `in ${exact} of ${rows} rows`],
    ['Made from', html`<ul>${inputs}</ul>`],
    ['Conversion', `${order}${conversion.skip_bad === true ? ', invalid rows left out' : ''}`],
    [
      'Format',
      `${showAll(metadata['format'] ?? '')}, version ${showAll(metadata['format_version'] ?? '')}; written by ${showAll(store.provenance.tool)}`,
    ],
    ['Class names', vocabulary === undefined ? 'none' : html`<code>${showAll(vocabulary)}</code>`],
  ];
}

function plotsOf(store: StoreOverview): Html[] {
  const share = (value: number): string => formatPercent(value);
  const plots: Html[] = [];
  const bars = (title: string, filter: string, list: readonly ClassCount[], summary: string): void => {
    const unit = filter === 'size' ? 'images' : 'boxes';
    if (list.length > 0) plots.push(drawBars({ title, summary, bars: list, unit, filter }));
  };
  const occur = (distinct: number, classes: number): string =>
    `${formatCount(distinct)} of ${classes} classes occur; boxes of the whole store`;
  const add = (
    title: string,
    what: Distribution | undefined,
    more: Pick<Histogram, 'filter' | 'format' | 'ticks'>,
  ): void => {
    if (what === undefined) return;
    const { low, median, high, edges, counts } = what;
    const summary = Number.isNaN(median)
      ? 'nothing to show'
      : `median ${more.format(median)}, most from ${more.format(low)} to ${more.format(high)}`;
    plots.push(drawHistogram({ title, summary, edges, counts, unit: 'boxes', ...more }));
  };
  bars('Objects', 'object', store.objects, occur(store.distinctObjects, OBJECT_CLASSES));
  add('Object confidence', store.objectsConf, { filter: 'conf', format: formatNumber });
  bars('Attributes', 'attr', store.attributes, occur(store.distinctAttributes, ATTRIBUTE_CLASSES));
  add('Attribute confidence', store.attrsConf, { filter: 'aconf', format: formatNumber });
  add('Box area, of the image', store.share, { filter: 'area', format: share });
  add('Feature norm', store.norm, { filter: 'norm', format: formatNumber });
  add('Zeros among features', store.zeros, { filter: 'zeros', format: share });
  bars('Image sizes', 'size', store.sizes, 'width × height, the most frequent');
  return plots;
}
