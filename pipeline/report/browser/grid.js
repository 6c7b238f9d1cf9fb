/** @import { ImageData, PairData } from '../../inspection/findings.ts' */
/** @import { Catalogue } from './index.js' */
/** @import { Cell } from './cell.js' */
/** @import { Found } from './filter.js' */
import { createCell } from './cell.js';
import { make } from './dom.js';
import { readImage } from './index.js';

/** Pixels; the style has the same gap and caption. */
const GAP = 12;
const CAPTION = 48;
const LEAST_WIDTH = 168;
const LEAST_WIDTH_ON_PHONE = 140;
const ASPECT = 0.75;
/** Rows kept beyond the window, as a share of its height. */
const AHEAD = 0.75;
/** Milliseconds of a frame for cells beyond the window, and for drawing pictures; the rest follows in the next. */
const BUDGET = 6;
/** Cells kept for use when the grid needs more again. */
const SPARE = 64;
/** Images on paper. */
const PRINTED = 60;

/**
 * @typedef {object} Grid
 * @property {(found: Found) => void} show
 * @property {(image: number) => void} reveal brings an image to the screen and gives it the focus
 */

/**
 * The grid of all images. Only cells near the window exist, and they are used again for the images that come, so its size
 * does not matter.
 *
 * @param {HTMLElement} list
 * @param {Catalogue} catalogue
 * @param {(image: number) => string} linkTo address of an image
 * @returns {Grid}
 */
export function createGrid(list, catalogue, linkTo) {
  /** @type {Found} */
  let found = { images: [], boxes: 0, hits: null, visible: () => true };
  /** @type {Map<number, Cell>} */
  const cells = new Map();
  /** @type {Cell[]} */
  const spare = [];
  const note = make('p', { id: 'printed', class: 'notice', hidden: true });
  list.before(note);
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

  /**
   * Positions in the order shown: those in the window first, then those near it. The second number is how many are in it.
   *
   * @returns {[positions: number[], inWindow: number]}
   */
  const nearWindow = () => {
    const count = found.images.length;
    const top = -list.getBoundingClientRect().top;
    const ahead = innerHeight * AHEAD;
    /** @param {number} from @param {number} to pixels */
    const between = (from, to) => {
      const first = Math.max(0, Math.floor(from / shape.rowHeight)) * shape.columns;
      const last = Math.min(count, Math.ceil(to / shape.rowHeight) * shape.columns);
      return Array.from({ length: Math.max(0, last - first) }, (_, at) => first + at);
    };
    if (isPrinting) {
      const printed = Math.min(PRINTED, count);
      return [Array.from({ length: printed }, (_, at) => at), printed];
    }
    const seen = between(top, top + innerHeight);
    const all = new Set([...seen, ...between(top - ahead, top + innerHeight + ahead)]);
    return [[...all], seen.length];
  };

  /** @param {number} position @param {Cell[]} free cells whose images are not wanted any more */
  const mount = (position, free) => {
    const image = found.images[position] ?? 0;
    let cell = cells.get(image);
    if (cell === undefined) {
      cell = free.pop() ?? spare.pop() ?? createCell(catalogue);
      cell.assign(image, linkTo(image));
      cells.set(image, cell);
      if (cell.element.parentNode === null) list.append(cell.element);
    }
    const { element, link } = cell;
    element.dataset['position'] = String(position);
    element.setAttribute('aria-posinset', String(position + 1));
    element.setAttribute('aria-setsize', String(found.images.length));
    link.tabIndex = position === tabbable ? 0 : -1;
    const [column, row] = [position % shape.columns, Math.floor(position / shape.columns)];
    const { style } = element;
    style.width = isPrinting ? '' : `${shape.width}px`;
    style.height = isPrinting ? '' : `${shape.rowHeight - GAP}px`;
    style.left = isPrinting ? '' : `${column * (shape.width + GAP)}px`;
    style.top = isPrinting ? '' : `${row * shape.rowHeight}px`;
    return cell;
  };

  /** @param {Cell} cell */
  const discard = cell => {
    cell.element.remove();
    cell.clear();
    if (spare.length < SPARE) spare.push(cell);
  };

  let renderedAt = scrollY;
  const render = () => {
    const began = performance.now();
    const [positions, inWindow] = nearWindow();
    // In a leap the window is all that there is time for: what is near it is elsewhere in the next frame.
    const isLeap = !isPrinting && Math.abs(scrollY - renderedAt) > innerHeight;
    renderedAt = scrollY;
    const wanted = new Set(positions.map(position => found.images[position]));
    /** @type {Cell[]} */
    const free = [];
    for (const [image, cell] of cells) {
      // The cell with the focus stays, or the focus would be lost.
      if (wanted.has(image) || cell.link === document.activeElement) continue;
      free.push(cell);
      cells.delete(image);
    }
    for (const [at, position] of positions.entries()) {
      if (at >= inWindow && (isLeap || performance.now() - began > BUDGET)) {
        requestRender();
        break;
      }
      mount(position, free);
    }
    for (const cell of free) discard(cell);
    if (!isLeap) drawSoon();
  };
  const requestRender = oncePerFrame(() => {
    if (list.offsetParent !== null) render();
  });
  const drawSoon = oncePerFrame(() => drawSome(BUDGET));
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
      cell.draw(data, at => test(image, at));
    }
    if (document.readyState === 'loading') drawSoon();
  };
  /** @param {number} image @param {number} box @returns {'hit' | 'shown' | 'none'} */
  const test = (image, box) => {
    const at = image * catalogue.boxes + box;
    if (found.hits?.(at) === true) return 'hit';
    return found.hits === null && found.visible(at) ? 'shown' : 'none';
  };

  addEventListener('scroll', requestRender, { passive: true });
  new ResizeObserver(() => {
    if (list.offsetParent === null) return;
    const before = shape.width;
    measure();
    if (shape.width !== before) render();
  }).observe(list);
  const print = (/** @type {boolean} */ on) => {
    if (list.offsetParent === null) return;
    isPrinting = on;
    const count = found.images.length;
    note.hidden = !on || count <= PRINTED;
    note.textContent = `Printed are the first ${PRINTED} of ${count} images. Filter or sort the page to print others.`;
    list.classList.toggle('printing', on);
    measure();
    render();
    if (!on) return;
    // On paper cells stand in the order of the document.
    const inOrder = [...cells.values()].map(({ element }) => element);
    inOrder.sort((a, b) => Number(a.dataset['position']) - Number(b.dataset['position']));
    list.append(...inOrder);
    drawSome(Infinity);
  };
  addEventListener('beforeprint', () => print(true));
  addEventListener('afterprint', () => print(false));

  /** @param {number} position */
  const focus = position => {
    const image = found.images[position];
    if (image === undefined) return;
    tabbable = position;
    for (const { link } of cells.values()) link.tabIndex = -1;
    const { element, link } = mount(position, []);
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
      for (const cell of cells.values()) discard(cell);
      cells.clear();
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
 * Work to be done in the next frame, once, however often it is asked for.
 *
 * @param {() => void} work
 */
function oncePerFrame(work) {
  let isWaiting = false;
  return () => {
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(() => {
      isWaiting = false;
      work();
    });
  };
}
