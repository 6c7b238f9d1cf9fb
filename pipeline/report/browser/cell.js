/** @import { ImageData, PairData } from '../../inspection/findings.ts' */
/** @import { Catalogue } from './index.js' */
import { make } from './dom.js';
import { createThumbnail } from './thumbnail.js';

/** Characters at the end of an id, which tell images apart: what is cut off is before them. */
const END = 12;

/**
 * A cell of the grid. It is used again for other images: making elements is what costs most when many images go by.
 *
 * @typedef {object} Cell
 * @property {HTMLElement} element
 * @property {HTMLAnchorElement} link
 * @property {boolean} drawn whether it shows the picture and boxes of its image
 * @property {(image: number, address: string) => void} assign shows the names of an image, without its picture
 * @property {(data: ImageData | PairData, test: (box: number) => 'hit' | 'shown' | 'none') => void} draw
 * @property {() => void} clear lets the picture go
 */

/**
 * @param {Catalogue} catalogue
 * @returns {Cell}
 */
export function createCell({ index }) {
  const start = make('span', { class: 'cell-id-start' });
  const end = make('span');
  const name = make('bdi', { class: 'cell-id' }, start, end);
  const caption = make('span', { class: 'cell-caption' });
  const frame = make('span', { class: 'thumbnail' });
  const link = make('a', { class: 'cell' }, frame, name, caption);
  const thumbnail = createThumbnail();
  /** @type {Cell} */
  const cell = {
    element: make('li', {}, link),
    link,
    drawn: false,
    assign(image, address) {
      const id = index.ids[image] ?? '';
      const bits = index.flags[image] ?? 0;
      const worst = index.findings.find((_, bit) => (bits & (1 << bit)) !== 0);
      const cut = Math.max(0, id.length - END);
      link.href = address;
      name.title = id;
      start.textContent = id.slice(0, cut);
      end.textContent = id.slice(cut);
      caption.className = `cell-caption ${worst?.tone ?? 'plain'}`;
      caption.title = index.captions[image] ?? '';
      caption.textContent = caption.title;
      cell.clear();
    },
    draw(data, test) {
      thumbnail.draw(data, test);
      frame.append(thumbnail.element);
      cell.drawn = true;
    },
    clear() {
      thumbnail.element.remove();
      thumbnail.clear();
      cell.drawn = false;
    },
  };
  return cell;
}
