/** @import { ImageData } from '../../inspection/findings.ts' */
/** @import { PageData } from '../page-data.ts' */
/** @import { StageSettings } from './stage.js' */
/** @import { Column } from './box-table.js' */
import { createBoxTable } from './box-table.js';
import { attributeName, boxColour, boxName, normShare, objectName, rampColour } from './colours.js';
import { formatFixed, make } from './dom.js';
import { createSelection, showCount } from './selection.js';
import { createStage } from './stage.js';
import { createZoom } from './zoom.js';

/**
 * What the toolbar sets, for all cards alike.
 *
 * @typedef {object} Settings
 * @property {number} threshold
 * @property {StageSettings['colour']} colour
 * @property {StageSettings['labels']} labels
 * @property {boolean} differing of pairs, show only those that differ
 * @property {((box: number) => boolean) | null} hits boxes that a filter or the search asks for; null where none does
 */

/**
 * @typedef {object} BuiltCard
 * @property {(settings: Settings) => void} update
 * @property {(box: number | null) => void} choose
 */

/**
 * Builds picture, strip and table of one image.
 *
 * @param {HTMLElement} body
 * @param {ImageData} image
 * @param {PageData} page
 * @param {(box: number | null) => void} onPick
 * @returns {BuiltCard}
 */
export function buildImageCard(body, image, page, onPick) {
  const selection = createSelection(onPick);
  const stage = createStage(image, image, page, selection.notify(true));
  const swatches = image.norms.map(() => make('i', { class: 'swatch' }));
  const table = createBoxTable(
    `Boxes of ${image.id}`,
    image.norms.length,
    columnsOf(image, page, swatches),
    selection.notify(false),
  );
  const strip = createStrip(image, page, selection.notify(true));
  selection.show(stage, table, strip);
  const count = make('p', { class: 'count' });
  body.replaceChildren(
    make('div', { class: 'stage-column' }, createZoom([stage]), strip.element),
    make('div', { class: 'table-column' }, table.element, count),
  );
  return {
    choose: selection.choose,
    update({ threshold, colour, labels, hits: isHit }) {
      const visible = image.norms.map((_, box) => (image.objectsConf?.[box] ?? 1) >= threshold);
      const hits = isHit === null ? null : image.norms.map((_, box) => isHit(box));
      stage.update({ colour, labels, visible, hits });
      table.show(visible, hits);
      for (const [box, swatch] of swatches.entries())
        swatch.style.backgroundColor = boxColour(image, box, colour, page);
      showCount(count, visible, 'boxes');
    },
  };
}

/**
 * @param {ImageData} image
 * @param {PageData} page
 * @param {readonly HTMLElement[]} swatches
 * @returns {Column[]}
 */
function columnsOf(image, page, swatches) {
  const { boxes, norms, zeros, objectsConf, attrsConf } = image;
  const corner = (/** @type {number} */ box, /** @type {number} */ at) => boxes[box * 4 + at] ?? 0;
  const area = (/** @type {number} */ box) =>
    ((corner(box, 2) - corner(box, 0)) * (corner(box, 3) - corner(box, 1))) / (image.width * image.height);
  /** @type {Column[]} */
  const columns = [
    {
      title: '#',
      hint: 'index among the 36 boxes of the row',
      numeric: true,
      key: box => box,
      cell: box => make('span', {}, swatches[box] ?? '', String(box)),
    },
  ];
  if (objectsConf !== undefined && attrsConf !== undefined) {
    columns.push(
      {
        title: 'Object',
        key: box => objectName(image, box, page),
        cell: box => objectName(image, box, page),
      },
      {
        title: 'Conf.',
        hint: 'confidence of the object class',
        numeric: true,
        key: box => objectsConf[box] ?? -1,
        cell: box => formatFixed(objectsConf[box], 2),
      },
      {
        title: 'Attribute',
        key: box => attributeName(image, box, page),
        cell: box => attributeName(image, box, page),
      },
      {
        title: 'Conf.',
        hint: 'confidence of the attribute class',
        numeric: true,
        key: box => attrsConf[box] ?? -1,
        cell: box => formatFixed(attrsConf[box], 2),
      },
    );
  }
  columns.push(
    {
      title: 'Area',
      hint: 'of the image',
      numeric: true,
      key: area,
      cell: box => `${(area(box) * 100).toFixed(area(box) < 0.1 ? 1 : 0)} %`,
    },
    {
      title: 'Norm',
      hint: 'L2 norm of the 2048 feature values',
      numeric: true,
      key: box => norms[box] ?? -1,
      cell: box => formatFixed(norms[box], 1),
    },
    {
      title: 'Zeros',
      hint: 'share of zeros among the 2048 feature values',
      numeric: true,
      key: box => zeros[box] ?? 0,
      cell: box => `${((zeros[box] ?? 0) * 100).toFixed(0)} %`,
    },
    {
      title: 'x1, y1, x2, y2',
      hint: 'pixels of the original image',
      numeric: true,
      key: box => corner(box, 0),
      cell: box =>
        make(
          'span',
          { class: 'corners' },
          [0, 1, 2, 3].map(at => formatFixed(boxes[box * 4 + at], 1)).join(', '),
        ),
    },
  );
  return columns;
}

/**
 * The norm of each box as a colour, in the order of the row.
 *
 * @param {ImageData} image
 * @param {PageData} page
 * @param {{ hover: (box: number | null) => void, pick: (box: number | null) => void }} notify
 */
function createStrip(image, page, notify) {
  const [low, high] = page.normScale;
  const cells = image.norms.map((norm, box) => {
    const cell = make('i', {
      title: `box ${box}, ${boxName(image, box, page)}: norm ${formatFixed(norm, 1)}`,
    });
    cell.style.backgroundColor = norm === null ? 'red' : rampColour(normShare(norm, page));
    cell.addEventListener('pointerenter', () => notify.hover(box));
    cell.addEventListener('click', () => notify.pick(box));
    return cell;
  });
  const finite = image.norms.filter(norm => norm !== null);
  const label = `feature norms of the 36 boxes, from ${formatFixed(Math.min(...finite), 1)} to ${formatFixed(Math.max(...finite), 1)}`;
  const bar = make('div', { class: 'strip', role: 'img', 'aria-label': label }, ...cells);
  bar.addEventListener('pointerleave', () => notify.hover(null));
  const legend = make('p', { class: 'strip-legend', 'aria-hidden': 'true' });
  legend.append(
    make('span', {}, 'feature norm, box 0 to 35'),
    make('span', { class: 'ramp-ends' }, low.toFixed(0), make('b', {}), high.toFixed(0)),
  );
  return {
    element: make('div', { class: 'strip-box' }, bar, legend),
    /** @param {number | null} active */
    highlight(active) {
      for (const [box, cell] of cells.entries()) cell.classList.toggle('active', box === active);
    },
  };
}
