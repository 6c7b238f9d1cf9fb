/** @import { ImageData, PairData } from '../../inspection/findings.ts' */
/** @import { Catalogue } from './index.js' */
/** @import { Found } from './filter.js' */
import { make } from './dom.js';
import { readImage } from './index.js';
import { drawThumbnail } from './thumbnail.js';

/** Pixels; the style has the same gap and caption. */
const GAP = 12;
const CAPTION = 48;
const LEAST_WIDTH = 168;
const LEAST_WIDTH_ON_PHONE = 140;
const ASPECT = 0.75;
/** Rows kept beyond the window, as a share of its height. */
const AHEAD = 0.75;
/** Milliseconds of a frame for drawing pictures; the rest follows in the next. */
const BUDGET = 8;
/** Images on paper. */
const PRINTED = 60;

/**
 * @typedef {object} Grid
 * @property {(found: Found) => void} show
 * @property {(image: number) => void} reveal brings an image to the screen and gives it the focus
 */

/**
 * The grid of all images. Only cells near the window exist, so its size does not matter.
 *
 * @param {HTMLElement} list
 * @param {Catalogue} catalogue
 * @param {(image: number) => string} linkTo address of an image
 * @returns {Grid}
 */
export function createGrid(list, catalogue, linkTo) {
  /** @type {Found} */
  let found = { images: [], boxes: 0, hits: null, visible: () => true };
  /** @type {Map<number, { readonly element: HTMLElement, readonly link: HTMLAnchorElement, drawn: boolean }>} */
  const cells = new Map();
  let tabbable = 0;
  let isPrinting = false;
  let shape = { columns: 1, width: 0, rowHeight: 1 };

  const measure = () => {
    const width = list.clientWidth;
    const least = width < 480 ? LEAST_WIDTH_ON_PHONE : LEAST_WIDTH;
    const columns = Math.max(1, Math.floor((width + GAP) / (least + GAP)));
    const cell = (width - GAP * (columns - 1)) / columns;
    shape = { columns, width: cell, rowHeight: Math.round(cell * ASPECT) + CAPTION + GAP };
    const rows = Math.ceil(found.images.length / columns);
    list.style.height = isPrinting ? 'auto' : `${Math.max(0, rows * shape.rowHeight - GAP)}px`;
  };

  /** Positions in the order shown that are near the window. */
  const range = () => {
    if (isPrinting) return [0, Math.min(PRINTED, found.images.length)];
    const top = -list.getBoundingClientRect().top;
    const ahead = innerHeight * AHEAD;
    const first = Math.max(0, Math.floor((top - ahead) / shape.rowHeight));
    const last = Math.ceil((top + innerHeight + ahead) / shape.rowHeight);
    return [first * shape.columns, Math.min(found.images.length, last * shape.columns)];
  };

  /** @param {number} position */
  const mount = position => {
    const image = found.images[position] ?? 0;
    let cell = cells.get(image);
    if (cell === undefined) {
      cell = { ...createCell(catalogue, image, linkTo(image)), drawn: false };
      cells.set(image, cell);
      list.append(cell.element);
    }
    const { element, link } = cell;
    element.dataset['position'] = String(position);
    element.setAttribute('aria-posinset', String(position + 1));
    element.setAttribute('aria-setsize', String(found.images.length));
    link.tabIndex = position === tabbable ? 0 : -1;
    if (link.hash !== linkTo(image)) link.href = linkTo(image);
    const [column, row] = [position % shape.columns, Math.floor(position / shape.columns)];
    element.style.width = isPrinting ? '' : `${shape.width}px`;
    element.style.height = isPrinting ? '' : `${shape.rowHeight - GAP}px`;
    element.style.transform = isPrinting
      ? ''
      : `translate(${column * (shape.width + GAP)}px, ${row * shape.rowHeight}px)`;
    return cell;
  };

  const render = () => {
    const [first = 0, last = 0] = range();
    const wanted = new Set(found.images.slice(first, last));
    // The cell with the focus stays, or the focus would be lost.
    const focused = [...cells].find(([, { link }]) => link === document.activeElement)?.[0];
    for (const [image, { element }] of cells) {
      if (wanted.has(image) || image === focused) continue;
      discard(element);
      cells.delete(image);
    }
    for (let position = first; position < last; position++) mount(position);
    drawSoon();
  };

  let isWaiting = false;
  const drawSoon = () => {
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(() => {
      isWaiting = false;
      drawSome(BUDGET);
    });
  };
  /** @param {number} budget */
  const drawSome = budget => {
    const began = performance.now();
    for (const [image, cell] of cells) {
      if (cell.drawn) continue;
      if (performance.now() - began > budget) {
        drawSoon();
        return;
      }
      /** @type {ImageData | PairData | undefined} */
      const data = readImage(image);
      // The page is still being read.
      if (data === undefined) continue;
      drawThumbnail(cell.link, data, at => test(image, at));
      cell.drawn = true;
    }
    if (document.readyState === 'loading') drawSoon();
  };
  /** @param {number} image @param {number} box @returns {'hit' | 'shown' | 'none'} */
  const test = (image, box) => {
    const at = image * catalogue.boxes + box;
    if (found.hits?.(at) === true) return 'hit';
    return found.hits === null && found.visible(at) ? 'shown' : 'none';
  };

  let isScrolling = false;
  addEventListener(
    'scroll',
    () => {
      if (isScrolling || list.offsetParent === null) return;
      isScrolling = true;
      requestAnimationFrame(() => {
        isScrolling = false;
        render();
      });
    },
    { passive: true },
  );
  new ResizeObserver(() => {
    if (list.offsetParent === null) return;
    const before = shape.width;
    measure();
    if (shape.width !== before) render();
  }).observe(list);
  const print = (/** @type {boolean} */ on) => {
    if (list.offsetParent === null) return;
    isPrinting = on;
    list.classList.toggle('printing', on);
    measure();
    render();
    if (on) drawSome(Infinity);
  };
  addEventListener('beforeprint', () => print(true));
  addEventListener('afterprint', () => print(false));

  /** @param {number} position */
  const focus = position => {
    const image = found.images[position];
    if (image === undefined) return;
    tabbable = position;
    for (const { link } of cells.values()) link.tabIndex = -1;
    const { element, link } = mount(position);
    link.tabIndex = 0;
    link.focus({ preventScroll: true });
    element.scrollIntoView({ block: 'nearest', behavior: 'instant' });
    render();
  };
  list.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const cell = event.target instanceof Element ? event.target.closest('li') : null;
    const at = Number(cell?.dataset['position'] ?? tabbable);
    const last = found.images.length - 1;
    /** @type {Record<string, number>} */
    const moves = {
      ArrowRight: at + 1,
      ArrowLeft: at - 1,
      ArrowDown: at + shape.columns,
      ArrowUp: at - shape.columns,
      Home: 0,
      End: last,
    };
    const to = moves[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (to >= 0 && to <= last) focus(to);
  });

  return {
    show(next) {
      found = next;
      tabbable = 0;
      for (const [image, { element }] of cells) {
        discard(element);
        cells.delete(image);
      }
      if (list.offsetParent === null) return;
      measure();
      render();
      // The first pictures come with the grid, not after it.
      drawSome(BUDGET);
    },
    reveal(image) {
      measure();
      const position = found.images.indexOf(image);
      if (position >= 0) focus(position);
      else render();
    },
  };
}

/**
 * @param {Catalogue} catalogue
 * @param {number} image
 * @param {string} address
 */
function createCell({ index }, image, address) {
  const id = index.ids[image] ?? '';
  const bits = index.flags[image] ?? 0;
  const worst = index.findings.find((_, bit) => (bits & (1 << bit)) !== 0);
  // The end of an id tells images apart: what is cut off is in the middle.
  const end = Math.max(0, id.length - 12);
  const name = make(
    'bdi',
    { class: 'cell-id', title: id },
    make('span', { class: 'cell-id-start' }, id.slice(0, end)),
    make('span', {}, id.slice(end)),
  );
  const caption = make(
    'span',
    { class: `cell-caption ${worst?.tone ?? 'plain'}` },
    index.captions[image] ?? '',
  );
  caption.title = index.captions[image] ?? '';
  const link = make(
    'a',
    { href: address, class: 'cell' },
    make('span', { class: 'thumbnail' }),
    name,
    caption,
  );
  return { element: make('li', {}, link), link };
}

/**
 * Removes a cell; without an address its picture is let go at once.
 *
 * @param {HTMLElement} element
 */
function discard(element) {
  element.remove();
  element.querySelector('img')?.removeAttribute('src');
}
