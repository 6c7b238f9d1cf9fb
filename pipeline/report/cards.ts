import { type Html, html, jsonIsland } from './html.ts';
import type { ImageCard } from '../inspection/findings.ts';
import { notice } from './page.ts';
import { formatCount } from '../show-text.ts';

export interface CardList {
  readonly kind: 'images' | 'pairs';
  readonly shown: number;
  readonly all: number;
  /** Why these images and in which order. */
  readonly why: string;
  /** The slider leaves boxes from `start` on, to 1, or pairs up to it. */
  readonly slider: { readonly label: string; readonly start: 0 | 1; readonly disabled?: boolean };
  readonly orders: readonly (readonly [key: string, label: string])[];
}

const COLOURS = [
  ['object', 'by object'],
  ['attribute', 'by attribute'],
  ['confidence', 'by confidence'],
  ['norm', 'by feature norm'],
] as const;
const NAMES = [
  ['some', 'where they fit'],
  ['all', 'all'],
  ['none', 'on hover'],
] as const;
const NO_SCRIPT = 'Boxes and tables are drawn by the script of this page, and scripts are disabled.';

/** The head of the list of images: how many, why these, and the controls. */
export function startCards({ kind, shown, all, why, slider, orders }: CardList): Html {
  const { label, start, disabled } = slider;
  return html`<section aria-labelledby="images-heading">
<div class="section-head"><h2 id="images-heading">Images</h2><p>${formatCount(shown)} of ${formatCount(all)}: ${why}</p></div>
<form class="toolbar" id="toolbar" aria-label="What to show of each image" hidden>
<label class="slider"><span>${label}</span>${disabled === true ? DISABLED_SLIDER : SLIDERS[start]}
<output id="threshold-value" for="threshold">${start.toFixed(2)}</output></label>
<label><span>Colour</span>${select('colour', COLOURS)}</label>
<label><span>Names</span>${select('labels', NAMES)}</label>
<label><span>Order</span>${select('order', orders)}</label>
<label class="search"><span>Find</span><input type="search" id="search" placeholder="img_id or class" autocomplete="off"></label>
<p class="status" id="status" role="status"></p>
</form>
<noscript>${notice(NO_SCRIPT)}</noscript>
<div id="cards" class="cards ${kind}">
`;
}

const SLIDERS = [
  html`<input type="range" id="threshold" min="0" max="1" step="0.01" value="0">`,
  html`<input type="range" id="threshold" min="0" max="1" step="0.01" value="1">`,
] as const;
const DISABLED_SLIDER = html`<input type="range" id="threshold" min="0" max="1" step="0.01" value="0" disabled>`;

function select(id: string, options: readonly (readonly [key: string, label: string])[]): Html {
  const items = options.map(([key, label]) => html`<option value="${key}">${label}</option>`);
  return html`<select id="${id}">${items}</select>`;
}

/** One image of a page. Picture, boxes and table are drawn from `data` by the page's script when the card comes near the screen. */
export function renderCard({ data, row, chips, note }: ImageCard, index: number): Html {
  // A damaged store may hold any size.
  const [width, height] = [Math.max(1, data.width), Math.max(1, data.height)];
  const labels = chips.map(({ text, tone }) => html`<span class="${tone ?? 'plain'}">${text}</span>`);
  return html`<article class="card" id="card-${index}" data-row="${row}" tabindex="-1" aria-labelledby="card-${index}-id">
<header><h3 id="card-${index}-id"><bdi>${data.id}</bdi></h3>
<p class="chips"><span>${data.width} × ${data.height}</span>${labels}</p>${note === undefined ? undefined : html`<p class="card-note">${note}</p>`}</header>
<div class="card-body"><svg class="ground" viewBox="0 0 ${width} ${height}" aria-hidden="true"><rect width="100%" height="100%"/></svg></div>
${jsonIsland(`card-${index}-data`, data)}
</article>
`;
}

export function endCards(): Html {
  return html`</div>
<p id="nothing" class="notice" hidden>No image matches.</p>
</section>
`;
}
