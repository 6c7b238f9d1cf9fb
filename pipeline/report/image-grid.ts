import { type Html, html, jsonIsland } from './html.ts';
import type { ImageCard } from '../inspection/findings.ts';
import { notice } from './page.ts';
import { formatCount } from '../show-text.ts';

export interface GridHead {
  readonly kind: 'images' | 'pairs';
  readonly shown: number;
  readonly all: number;
  /** Why these images and in which order. */
  readonly why: string;
  /** The slider leaves boxes from `start` on, to 1, or pairs up to it. */
  readonly slider: { readonly label: string; readonly start: 0 | 1; readonly disabled?: boolean };
  readonly orders: readonly (readonly [key: string, label: string])[];
  /** What of the images the page lacks. */
  readonly notices: readonly string[];
}

const COLOURS = [
  ['object', 'by object'],
  ['attribute', 'by attribute'],
  ['confidence', 'by confidence'],
  ['norm', 'by feature norm'],
] as const;
const NAMES = [
  ['some', 'best few'],
  ['all', 'all that fit'],
  ['none', 'on hover'],
] as const;
const NO_SCRIPT = 'Images and boxes are drawn by the script of this page, and scripts are disabled.';

/** The head of the images, the grid that the script fills, and the view of one image. */
export function renderGrid({ kind, shown, all, why, slider, orders, notices }: GridHead): Html {
  const { label, start, disabled } = slider;
  return html`<section class="images" aria-labelledby="images-heading">
<div class="section-head"><h2 id="images-heading">Images</h2><p>${formatCount(shown)} of ${formatCount(all)}: ${why}</p></div>
${notices.map(notice)}<form class="toolbar" id="toolbar" role="search" aria-label="What to show" hidden>
<label class="search"><span>Find</span><input type="search" id="search" placeholder="img_id or class" autocomplete="off" spellcheck="false"></label>
<label class="of-grid"><span>Order</span>${select('order', orders)}</label>
${kind === 'pairs' && DIFFERING}<label class="slider"><span>${label}</span>${disabled === true ? DISABLED_SLIDER : SLIDERS[start]}
<output id="threshold-value" for="threshold">${start.toFixed(2)}</output></label>
<label class="of-image"><span>Colour</span>${select('colour', COLOURS)}</label>
<label class="of-image"><span>Names</span>${select('labels', NAMES)}</label>
</form>
<div class="result"><p class="status" id="status" role="status"></p><ul class="active-filters" id="active-filters" aria-label="Active filters" hidden></ul></div>
<noscript>${notice(NO_SCRIPT)}</noscript>
<ul id="grid" class="grid" aria-label="Images" data-kind="${kind}"></ul>
<p id="nothing" class="notice" hidden>No image matches. Remove a filter to see more.</p>
<article id="viewer" class="viewer" aria-labelledby="viewer-id" hidden></article>
</section>
`;
}

const DIFFERING = html`<label class="check"><input type="checkbox" id="differing"><span>Only differing</span></label>
`;
const SLIDERS = [
  html`<input type="range" id="threshold" min="0" max="1" step="0.01" value="0">`,
  html`<input type="range" id="threshold" min="0" max="1" step="0.01" value="1">`,
] as const;
const DISABLED_SLIDER = html`<input type="range" id="threshold" min="0" max="1" step="0.01" value="0" disabled>`;

function select(id: string, options: readonly (readonly [key: string, label: string])[]): Html {
  const items = options.map(([key, label]) => html`<option value="${key}">${label}</option>`);
  return html`<select id="${id}">${items}</select>`;
}

/** What the view of one image shows; the script reads it when it is needed. */
export function renderImageData({ data, row, chips, note }: ImageCard, index: number): Html {
  return jsonIsland(`image-${index}`, { ...data, row, chips, note: note ?? null });
}
