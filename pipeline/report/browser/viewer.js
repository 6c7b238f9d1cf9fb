/** @import { ImageData, PairData } from '../../inspection/findings.ts' */
/** @import { PageData } from '../page-data.ts' */
/** @import { Found } from './filter.js' */
/** @import { Catalogue } from './index.js' */
/** @import { BuiltCard, Settings } from './image-card.js' */
/** @import { State, Store } from './state.js' */
import { setUpCopy } from './copy.js';
import { make } from './dom.js';
import { buildImageCard } from './image-card.js';
import { readImage } from './index.js';
import { buildPairCard } from './pair-card.js';

/** @typedef {{ readonly row: number, readonly note: string | null, readonly chips: readonly { readonly text: string, readonly tone?: string }[] }} About */

/**
 * The view of one image, in place of the grid.
 *
 * @param {HTMLElement} element
 * @param {Catalogue} catalogue
 * @param {PageData} page
 * @param {Store} store
 */
export function createViewer(element, catalogue, page, store) {
  /** @type {{ image: number, card: BuiltCard } | undefined} */
  let shown;
  const position = make('p', { class: 'position', role: 'status' });
  const heading = make('h2', { id: 'viewer-id', tabindex: -1 });
  const chips = make('p', { class: 'chips' });
  const note = make('p', { class: 'card-note' });
  const body = make('div', { class: `card-body ${page.kind}` });
  const copy = make('button', { type: 'button', class: 'quiet-button' }, 'Copy link');
  setUpCopy(copy, () => location.href);
  const button = (/** @type {string} */ text, /** @type {string} */ label, /** @type {() => void} */ act) => {
    const made = make(
      'button',
      { type: 'button', class: 'quiet-button', 'aria-label': label, title: label },
      text,
    );
    made.addEventListener('click', act);
    return made;
  };
  /** @type {Found | undefined} */
  let found;
  /** @param {number} step */
  const go = step => {
    const images = found?.images ?? [];
    const at = images.indexOf(shown?.image ?? -1);
    const next = images[at < 0 ? 0 : at + step];
    if (next === undefined) return;
    store.set({ ...store.get(), image: catalogue.index.ids[next] ?? '', box: null }, { replace: true });
  };
  const close = () => store.set({ ...store.get(), image: null, box: null });
  const bar = make(
    'div',
    { class: 'viewer-bar' },
    button('← All images', 'Back to all images (Esc)', close),
    make(
      'span',
      { class: 'steps' },
      button('‹', 'Previous image (←)', () => go(-1)),
      button('›', 'Next image (→)', () => go(1)),
    ),
    position,
    copy,
  );
  element.replaceChildren(bar, make('header', {}, make('bdi', {}, heading), chips, note), body);

  /** @param {number} image */
  const open = image => {
    const data = /** @type {((ImageData | PairData) & About) | undefined} */ (readImage(image));
    if (data === undefined) return false;
    heading.textContent = data.id;
    chips.replaceChildren(
      make('span', {}, `${data.width} × ${data.height}`),
      ...data.chips.map(({ text, tone }) => make('span', { class: tone ?? 'plain' }, text)),
    );
    note.textContent = data.note ?? '';
    note.hidden = data.note === null;
    const onPick = (/** @type {number | null} */ box) =>
      store.set({ ...store.get(), box }, { replace: true });
    const card =
      'first' in data ? buildPairCard(body, data, page, onPick) : buildImageCard(body, data, page, onPick);
    shown = { image, card };
    return true;
  };

  return {
    go,
    close,
    /** @param {number} by */
    zoom(by) {
      body.querySelector('.zoom')?.dispatchEvent(new CustomEvent('zoom-by', { detail: by }));
    },
    /**
     * Shows the image of a state; false where the page has not come to it yet.
     *
     * @param {State} state
     * @param {Found} next
     */
    show(state, next) {
      found = next;
      const image = catalogue.places.get(state.image ?? '');
      if (image === undefined) {
        shown = undefined;
        heading.textContent = state.image ?? '';
        chips.replaceChildren(make('span', { class: 'bad' }, 'this page has no such image'));
        body.replaceChildren();
        note.hidden = true;
        position.textContent = '';
        return true;
      }
      const isNew = shown?.image !== image;
      if (isNew && !open(image)) return false;
      shown?.card.update(settingsOf(state, next, image));
      if (isNew || state.box !== null) shown?.card.choose(state.box);
      const at = next.images.indexOf(image);
      position.textContent = at < 0 ? 'not among the images found' : `${at + 1} of ${next.images.length}`;
      return true;
    },
    heading,
    forget() {
      shown = undefined;
      body.replaceChildren();
    },
  };

  /**
   * @param {State} state
   * @param {Found} next
   * @param {number} image
   * @returns {Settings}
   */
  function settingsOf(state, { hits }, image) {
    return {
      threshold: state.threshold ?? (page.kind === 'pairs' ? 1 : 0),
      colour: /** @type {Settings['colour']} */ (state.colour),
      labels: /** @type {Settings['labels']} */ (state.labels),
      differing: state.differing,
      hits: hits === null ? null : box => hits(image * catalogue.boxes + box),
    };
  }
}
