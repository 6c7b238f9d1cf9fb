import { type Html, html, jsonIsland } from './html.ts';
import type { ImageData } from './page-data.ts';
import { formatCount } from './show-text.ts';

export interface ImageCard {
  readonly data: ImageData;
  readonly row: number;
  /** Why it is shown before others; each a few words. */
  readonly reasons: readonly string[];
  readonly flawed: boolean;
  /** Said of the picture. */
  readonly note: string | undefined;
}

/** What stands before the images: how many, why these, and what governs them all. */
export function renderToolbar(shown: number, all: number, why: string, hasClasses: boolean): Html {
  return html`<section aria-labelledby="images-heading">
    <div class="section-head">
      <h2 id="images-heading">Images</h2>
      <p>${formatCount(shown)} of ${formatCount(all)}: ${why}</p>
    </div>
    <form class="toolbar" id="toolbar" aria-label="What is shown of each image" hidden>
      <label class="slider"
        ><span>Object confidence at least</span>${hasClasses ? SLIDER : DISABLED_SLIDER}<output
          id="threshold-value"
          for="threshold"
          >0.00</output
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
          <option value="odd">oddest first</option>
          <option value="row">as in the store</option>
          <option value="confidence">least confident first</option>
          <option value="norm">largest norm first</option>
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
    <div id="cards" class="cards"></div>
  </section> `;
}

const SLIDER = html`<input type="range" id="threshold" min="0" max="1" step="0.01" value="0" />`;
const DISABLED_SLIDER = html`<input
  type="range"
  id="threshold"
  min="0"
  max="1"
  step="0.01"
  value="0"
  disabled
/>`;

export function renderCard(card: ImageCard, place: number): Html {
  const { data, row, reasons, flawed, note } = card;
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
      <p class="chips">
        <span>${width} × ${height}</span><span>row ${formatCount(row)}</span>${reasons.map(
          reason => html`<span class="${flawed ? 'bad' : 'warn'}">${reason}</span>`,
        )}
      </p>
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

export function endCards(): Html {
  return html`</div>
<p id="nothing" class="notice" hidden>No image is like that.</p>
</section>
`;
}
