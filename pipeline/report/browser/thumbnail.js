/** @import { BoxData, ImageData, PairData } from '../../inspection/findings.ts' */
import { classColour } from './colours.js';
import { make, makeSvg } from './dom.js';

/** Boxes on a thumbnail: more would bury the picture. */
const MOST_BOXES = 6;

/**
 * Puts the picture of an image and a few of its boxes into a cell of the grid.
 *
 * @param {HTMLElement} cell
 * @param {ImageData | PairData} image
 * @param {(box: number) => 'hit' | 'shown' | 'none'} test what a box is to the filters
 */
export function drawThumbnail(cell, image, test) {
  const frame = cell.querySelector('.thumbnail');
  if (frame === null) return;
  const [width, height] = [Math.max(1, image.width), Math.max(1, image.height)];
  const picture =
    image.picture === null
      ? make('span', { class: 'no-picture' })
      : make('img', { src: image.picture, alt: '', decoding: 'async', draggable: 'false' });
  const boxes = makeSvg('svg', {
    viewBox: `0 0 ${width} ${height}`,
    preserveAspectRatio: 'none',
    'aria-hidden': 'true',
  });
  // The dark edges of all boxes are one shape: a grid has many cells.
  let edges = '';
  /** @type {SVGElement[]} */
  const lines = [];
  for (const { data, box, isHit } of chooseBoxes(image, test)) {
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = data.boxes.slice(box * 4, box * 4 + 4).map(value => value ?? 0);
    const place = { x: x1, y: y1, width: Math.max(0, x2 - x1), height: Math.max(0, y2 - y1) };
    const line = makeSvg('rect', { class: isHit ? 'line hit' : 'line', ...place });
    line.style.setProperty('--box', classColour(data.objects?.[box] ?? box));
    lines.push(line);
    edges += `M${x1} ${y1}h${place.width}v${place.height}h${-place.width}z`;
  }
  boxes.append(makeSvg('path', { class: 'casing', d: edges }), ...lines);
  const inner = make('span', { class: 'thumbnail-inner' }, picture, boxes);
  inner.style.aspectRatio = `${width} / ${height}`;
  inner.classList.add(width * 3 >= height * 4 ? 'wide' : 'tall');
  frame.replaceChildren(inner);
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
