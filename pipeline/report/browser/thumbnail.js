/** @import { BoxData, ImageData, PairData } from '../../inspection/findings.ts' */
import { classColour } from './colours.js';
import { make, makeSvg } from './dom.js';

/** Boxes on a thumbnail: more would bury the picture. */
const MOST_BOXES = 6;

/**
 * The picture of an image and a few of its boxes; used again for other images.
 *
 * @typedef {object} Thumbnail
 * @property {HTMLElement} element
 * @property {(image: ImageData | PairData, test: (box: number) => 'hit' | 'shown' | 'none') => void} draw `test` says what a
 *   box is to the filters
 * @property {() => void} clear lets the picture go
 */

/** @returns {Thumbnail} */
export function createThumbnail() {
  const picture = make('img', { alt: '', decoding: 'async', draggable: 'false' });
  const ground = make('span', { class: 'no-picture' });
  // The dark outlines of all boxes are one shape: a grid has many cells.
  const casing = makeSvg('path', { class: 'casing' });
  const boxes = makeSvg('svg', { preserveAspectRatio: 'none', 'aria-hidden': 'true' }, casing);
  const element = make('span', { class: 'thumbnail-inner' }, ground, boxes);
  /** @type {SVGRectElement[]} */
  const lines = [];
  return {
    element,
    draw(image, test) {
      const [width, height] = [Math.max(1, image.width), Math.max(1, image.height)];
      const chosen = chooseBoxes(image, test);
      let outlines = '';
      for (const [at, { data, box, isHit }] of chosen.entries()) {
        const line = (lines[at] ??= makeSvg('rect'));
        outlines += placeBox(line, data, box);
        line.setAttribute('class', isHit ? 'line hit' : 'line');
        if (line.parentNode === null) boxes.append(line);
      }
      for (const line of lines.slice(chosen.length)) line.remove();
      casing.setAttribute('d', outlines);
      boxes.setAttribute('viewBox', `0 0 ${width} ${height}`);
      element.style.aspectRatio = `${width} / ${height}`;
      element.className = `thumbnail-inner ${width * 3 >= height * 4 ? 'wide' : 'tall'}`;
      if (image.picture !== null) picture.src = image.picture;
      element.firstElementChild?.replaceWith(image.picture === null ? ground : picture);
    },
    clear: () => picture.removeAttribute('src'),
  };
}

/**
 * Puts a rectangle where a box is, and returns its outline as a path.
 *
 * @param {SVGRectElement} line
 * @param {BoxData} data
 * @param {number} box
 */
function placeBox(line, data, box) {
  const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = data.boxes.slice(box * 4, box * 4 + 4).map(value => value ?? 0);
  const [width, height] = [Math.max(0, x2 - x1), Math.max(0, y2 - y1)];
  for (const [name, value] of /** @type {const} */ ([
    ['x', x1],
    ['y', y1],
    ['width', width],
    ['height', height],
  ]))
    line.setAttribute(name, String(value));
  line.style.setProperty('--box', classColour(data.objects?.[box] ?? box));
  return `M${x1} ${y1}h${width}v${height}h${-width}z`;
}

/**
 * All that match a filter; without one the most confident, and of pairs the least similar.
 *
 * @param {ImageData | PairData} image
 * @param {(box: number) => 'hit' | 'shown' | 'none'} test
 * @returns {readonly { readonly data: BoxData, readonly box: number, readonly isHit: boolean }[]}
 */
function chooseBoxes(image, test) {
  const isPair = 'first' in image;
  const data = isPair ? image.first : image;
  const order = data.norms.map((_, box) => box);
  /** @param {number} box */
  const key = box => (isPair ? (image.cosines[box] ?? -1) : -(data.objectsConf?.[box] ?? 0));
  order.sort((a, b) => key(a) - key(b) || a - b);
  // Of a pair, the boxes of the first store are drawn; those of the second follow them in the columns.
  const isHit = (/** @type {number} */ box) =>
    test(box) === 'hit' || (isPair && test(order.length + (image.partner[box] ?? 0)) === 'hit');
  const hits = order.filter(isHit);
  if (hits.length > 0) return hits.map(box => ({ data, box, isHit: true })).reverse();
  const shown = order.filter(box => test(box) === 'shown').slice(0, MOST_BOXES);
  return shown.map(box => ({ data, box, isHit: false })).reverse();
}
