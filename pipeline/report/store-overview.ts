import { formatBytes } from '../files/format-bytes.ts';
import { type Html, html } from './html.ts';
import { factList, notice, type Tile, tileRow } from './page.ts';
import { drawBars, drawHistogram, type Histogram } from './plots.ts';
import type { StoreOverview } from '../inspection/describe-store.ts';
import type { ClassCount, Distribution } from '../inspection/findings.ts';
import { formatCount, formatNumber, formatPercent, showAll } from '../show-text.ts';
import { ATTRIBUTE_CLASSES, OBJECT_CLASSES } from '../rows/row-shape.ts';
import { describeDetector, UNTRAINED_WARNING } from '../store/metadata.ts';

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
        },
    { value: formatCount(outliers), label: 'outliers', tone: outliers === 0 ? 'plain' : 'warn' },
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
  const occur = (distinct: number, classes: number): string =>
    `${formatCount(distinct)} of ${classes} classes occur`;
  bars('Objects', store.objects, occur(store.distinctObjects, OBJECT_CLASSES), 'boxes');
  bars('Attributes', store.attributes, occur(store.distinctAttributes, ATTRIBUTE_CLASSES), 'boxes');
  bars('Image sizes', store.sizes, 'width × height, the most frequent', 'images');
  return plots;
}
