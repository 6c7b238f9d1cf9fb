import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { type Html, html, drawnSvg } from './html.ts';
import { formatCount } from './show-text.ts';

const WIDTH = 360;
const HISTOGRAM_HEIGHT = 170;
const BAR_HEIGHT = 17;

export interface Histogram {
  readonly title: string;
  /** What the plot shows, in words, for those who do not see it. */
  readonly summary: string;
  readonly edges: readonly number[];
  readonly counts: readonly number[];
  readonly unit: string;
  readonly format: (value: number) => string;
  readonly logarithmic?: boolean;
}

export function drawHistogram(plot: Histogram): Html {
  const { edges, counts, format, unit } = plot;
  const bars = counts.map((count, index) => ({ x1: edges[index]!, x2: edges[index + 1]!, count }));
  const drawing = Plot.plot({
    document: makeDocument(),
    width: WIDTH,
    height: HISTOGRAM_HEIGHT,
    marginLeft: 44,
    marginRight: 12,
    marginTop: 10,
    marginBottom: 26,
    x: {
      label: null,
      tickFormat: format,
      tickSize: 4,
      ...(plot.logarithmic === true
        ? { type: 'log', ticks: [0.0001, 0.001, 0.01, 0.1, 1].filter(tick => tick >= edges[0]!) }
        : { ticks: 5 }),
    },
    y: { label: null, ticks: 4, tickSize: 0, tickFormat: '~s', grid: true },
    marks: [
      Plot.rectY(bars, {
        x1: 'x1',
        x2: 'x2',
        y: 'count',
        inset: 0.5,
        className: 'bar',
        title: bar => `${format(bar.x1)} to ${format(bar.x2)}: ${formatCount(bar.count)} ${unit}`,
      }),
      Plot.ruleY([0]),
    ],
  });
  return figure(plot, drawing as unknown as Drawing);
}

/** A document of a library that needs one, in a program that has none. */
function makeDocument(): never {
  return parseHTML('<body></body>').document as never;
}

export interface BarList {
  readonly title: string;
  readonly summary: string;
  readonly bars: readonly { readonly name: string; readonly count: number }[];
  readonly unit: string;
}

export function drawBars(plot: BarList): Html {
  // Names are not unique among classes, and Plot would add up what has one name.
  const bars = plot.bars.map((bar, place) => ({ ...bar, place }));
  const drawing = Plot.plot({
    document: makeDocument(),
    width: WIDTH,
    height: bars.length * BAR_HEIGHT + 34,
    marginLeft: 112,
    marginRight: 44,
    marginTop: 6,
    marginBottom: 26,
    x: { label: null, ticks: 4, tickSize: 0, tickFormat: '~s', grid: true },
    y: {
      label: null,
      tickSize: 0,
      tickFormat: place => clip(bars[place]?.name ?? ''),
      domain: bars.map(bar => bar.place),
    },
    marks: [
      Plot.barX(bars, {
        x: 'count',
        y: 'place',
        insetTop: 2,
        insetBottom: 2,
        className: 'bar',
        title: bar => `${bar.name}: ${formatCount(bar.count)} ${plot.unit}`,
      }),
      Plot.text(bars, {
        x: 'count',
        y: 'place',
        text: bar => formatCount(bar.count),
        dx: 4,
        textAnchor: 'start',
      }),
      Plot.ruleX([0]),
    ],
  });
  return figure(plot, drawing as unknown as Drawing);
}

function clip(name: string): string {
  return name.length > 18 ? `${name.slice(0, 17)}…` : name;
}

/** What is needed here of a DOM. */
interface Drawing {
  readonly outerHTML: string;
  readonly localName: string;
  getAttributeNames(): string[];
  setAttribute(name: string, value: string): void;
  removeAttribute(name: string): void;
  remove(): void;
  querySelectorAll(selector: string): Iterable<Drawing>;
}

const ELEMENTS = new Set(['svg', 'g', 'rect', 'line', 'path', 'text', 'title', 'tspan']);

function figure(plot: { readonly title: string; readonly summary: string }, drawing: Drawing): Html {
  // The page has its own style, and its policy lets no other in.
  for (const style of drawing.querySelectorAll('style')) style.remove();
  for (const part of drawing.querySelectorAll('*')) {
    part.removeAttribute('aria-label');
    const odd = part.getAttributeNames().find(name => /^on|href|style/.test(name));
    if (!ELEMENTS.has(part.localName) || odd !== undefined)
      throw new TypeError(`a plot with ${odd ?? part.localName}`);
  }
  drawing.setAttribute('role', 'img');
  drawing.setAttribute('aria-label', `${plot.title}: ${plot.summary}`);
  drawing.setAttribute('class', 'plot');
  drawing.removeAttribute('font-family');
  const svg = drawing.outerHTML.replace(/(?<=[",\s(])-?\d+\.\d{3,}/g, digits =>
    String(Number(Number(digits).toFixed(2))),
  );
  return html`<figure class="plot-card">
    <figcaption>
      <h3>${plot.title}</h3>
      <p>${plot.summary}</p>
    </figcaption>
    ${drawnSvg(svg)}
  </figure>`;
}
