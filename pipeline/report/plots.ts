import * as Plot from '@observablehq/plot';
import { makeDocument } from '../html-document.ts';
import { type Html, html, drawnSvg } from './html.ts';
import { formatCount } from '../show-text.ts';

const WIDTH = 360;
const HISTOGRAM_HEIGHT = 170;
const BAR_HEIGHT = 17;

export interface Histogram {
  readonly title: string;
  /** What the plot shows, as text for screen readers. */
  readonly summary: string;
  readonly edges: readonly number[];
  readonly counts: readonly number[];
  readonly unit: string;
  readonly format: (value: number) => string;
  readonly logarithmic?: boolean;
}

export function drawHistogram(plot: Histogram): Html {
  const { edges, counts, format, unit } = plot;
  const bars = counts.map((count, index) => {
    const [x1, x2] = [edges[index]!, edges[index + 1]!];
    return { x1, x2, count, title: `${format(x1)} to ${format(x2)}: ${formatCount(count)} ${unit}` };
  });
  return drawFigure(plot, {
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
        title: 'title',
      }),
      Plot.ruleY([0]),
    ],
  });
}

export interface BarList {
  readonly title: string;
  readonly summary: string;
  readonly bars: readonly { readonly name: string; readonly count: number }[];
  readonly unit: string;
}

export function drawBars(plot: BarList): Html {
  // Names are not unique among classes, and Plot would add up what has one name.
  const bars = plot.bars.map(({ name, count }, place) => {
    const text = formatCount(count);
    return { count, place, text, title: `${name}: ${text} ${plot.unit}` };
  });
  return drawFigure(plot, {
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
      tickFormat: (place: number) => clip(plot.bars[place]?.name ?? ''),
      domain: bars.map(bar => bar.place),
    },
    marks: [
      Plot.barX(bars, {
        x: 'count',
        y: 'place',
        insetTop: 2,
        insetBottom: 2,
        className: 'bar',
        title: 'title',
      }),
      Plot.text(bars, {
        x: 'count',
        y: 'place',
        text: 'text',
        dx: 4,
        textAnchor: 'start',
      }),
      Plot.ruleX([0]),
    ],
  });
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

interface Described {
  readonly title: string;
  readonly summary: string;
}

function drawFigure(plot: Described, options: Plot.PlotOptions): Html {
  // Plot's types want a browser's document.
  const document = makeDocument() as never;
  const drawing = Plot.plot({ ...options, document }) as unknown as Drawing;
  // The page has its own style, and its policy lets no other in.
  for (const style of drawing.querySelectorAll('style')) style.remove();
  for (const part of drawing.querySelectorAll('*')) {
    part.removeAttribute('aria-label');
    const unsafe = part.getAttributeNames().find(name => /^on|href|style/.test(name));
    if (!ELEMENTS.has(part.localName) || unsafe !== undefined)
      throw new TypeError(`a plot with ${unsafe ?? part.localName}`);
  }
  drawing.setAttribute('role', 'img');
  drawing.setAttribute('aria-label', `${plot.title}: ${plot.summary}`);
  drawing.setAttribute('class', 'plot');
  drawing.removeAttribute('font-family');
  const svg = drawing.outerHTML.replace(/(?<=[",\s(])-?\d+\.\d{3,}/g, digits =>
    String(Number(Number(digits).toFixed(2))),
  );
  return html`<figure class="plot-card">
<figcaption><h3>${plot.title}</h3><p>${plot.summary}</p></figcaption>
${drawnSvg(svg)}
</figure>`;
}
