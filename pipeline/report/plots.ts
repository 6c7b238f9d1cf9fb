import { type Html, html } from './html.ts';
import { formatCount, formatPercent } from '../show-text.ts';

/** A bar of a chart links to the images that it counts. The page's script reads the fragment, see browser/state.js. */
export interface Histogram {
  readonly title: string;
  /** What the plot shows, as text. */
  readonly summary: string;
  /** Limits of the bars, one more than there are counts. */
  readonly edges: readonly number[];
  readonly counts: readonly number[];
  readonly unit: string;
  readonly format: (value: number) => string;
  /** Name of the range in the page's address; the first and the last bar have no limit outward, since they count what lies beyond. */
  readonly filter: string;
  /** Edges to write under the chart; the first, the middle and the last where not given. */
  readonly ticks?: readonly number[];
}

/** Height of the drawing; its width is one for each bar, and both are stretched to the page. */
const HEIGHT = 100;
const LEAST_HEIGHT = 2;

export function drawHistogram(plot: Histogram): Html {
  const { title, summary, edges, counts, unit, format, filter } = plot;
  const most = counts.reduce((a, b) => Math.max(a, b), 1);
  const tallest = counts.indexOf(most);
  const bars = counts.map((count, index) => {
    const [from, to] = [edges[index]!, edges[index + 1]!];
    const height = count === 0 ? 0 : Math.max(LEAST_HEIGHT, (count / most) * HEIGHT);
    const limits = [index === 0 ? '' : from, index === counts.length - 1 ? '' : to] as const;
    const label = `${format(from)} to ${format(to)}: ${formatCount(count)} ${unit}`;
    return html`<a href="${`#${filter}=${limits[0]}..${limits[1]}`}" data-filter="${filter}" data-value="${limits[0]}..${limits[1]}" aria-label="${label}" tabindex="${index === Math.max(0, tallest) ? 0 : -1}"><rect class="reach" x="${index}" y="0" width="1" height="${HEIGHT}"/><rect class="bar" x="${index + 0.06}" y="${round(HEIGHT - height)}" width="0.88" height="${round(height)}"/><title>${label}</title></a>`;
  });
  const ticks = (plot.ticks ?? threeOf(edges)).map(tick => html`<span>${format(tick)}</span>`);
  return html`<figure class="chart">
<figcaption><h2>${title}</h2><p>${summary}</p></figcaption>
<svg class="histogram" viewBox="0 0 ${counts.length} ${HEIGHT}" preserveAspectRatio="none" role="group" aria-label="${title}, ${unit} by value; each bar filters the images">${bars}</svg>
<p class="ticks" aria-hidden="true">${ticks}</p>
</figure>
`;
}

function threeOf(edges: readonly number[]): number[] {
  return [edges[0]!, edges[edges.length >> 1]!, edges.at(-1)!];
}

function round(value: number): number {
  return Number(value.toFixed(2));
}

export interface BarList {
  readonly title: string;
  readonly summary: string;
  readonly bars: readonly Bar[];
  readonly unit: string;
  /** Name of the filter in the page's address. */
  readonly filter: string;
}

export interface Bar {
  /** Value of the filter. */
  readonly key: string;
  readonly name: string;
  readonly count: number;
  readonly tone?: 'bad' | 'warn';
}

export function drawBars({ title, summary, bars, unit, filter }: BarList): Html {
  const most = bars.reduce((a, { count }) => Math.max(a, count), 1);
  const items = bars.map(({ key, name, count, tone }) => {
    const share = formatPercent(count / most);
    return html`<li><a href="${`#${filter}=${encodeURIComponent(key)}`}" data-filter="${filter}" data-value="${key}" class="${tone ?? 'plain'}" title="${name}: ${formatCount(count)} ${unit}"><span class="name">${name}</span> <span class="number">${formatCount(count)}</span><svg class="length" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true"><rect width="${share.replace(' %', '')}" height="1"/></svg></a></li>`;
  });
  return html`<figure class="chart">
<figcaption><h2>${title}</h2><p>${summary}</p></figcaption>
<ul class="bar-list">${items}</ul>
</figure>
`;
}
