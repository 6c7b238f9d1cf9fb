/** @import { BoxData, PairData } from '../../inspection/findings.ts' */
/** @import { PageData } from '../page-data.ts' */
/** @import { BuiltCard } from './image-card.js' */
/** @import { Column } from './box-table.js' */
import { createBoxTable } from './box-table.js';
import { boxColour, objectName } from './colours.js';
import { formatFixed, make } from './dom.js';
import { createSelection, showCount } from './selection.js';
import { createStage } from './stage.js';

/**
 * Builds both pictures of an image and the table of its matched boxes. A pair is known by its box in the first store.
 *
 * @param {HTMLElement} body
 * @param {PairData} pair
 * @param {PageData} page
 * @returns {BuiltCard}
 */
export function buildPairCard(body, pair, page) {
  const { first, second, partner, cosines } = pair;
  const back = partner.map((_, other) => partner.indexOf(other));
  const [width, height] = pair.secondSize;
  const selection = createSelection();
  const left = createStage(pair, first, page, selection.notify(true));
  const right = createStage(
    { ...pair, width, height },
    second,
    page,
    selection.notify(true, box => back[box] ?? 0),
  );
  const swatches = partner.map(() => make('i', { class: 'swatch' }));
  const table = createBoxTable(
    `Matched boxes of ${pair.id}`,
    partner.length,
    columnsOf(pair, page, swatches),
    selection.notify(false),
  );
  selection.show(left, table, {
    highlight: row => right.highlight(row === null ? null : (partner[row] ?? null)),
  });
  const count = make('p', { class: 'count' });
  body.replaceChildren(
    make('div', { class: 'stage-frame' }, make('p', { class: 'side' }, 'A'), left.element),
    make('div', { class: 'stage-frame' }, make('p', { class: 'side' }, 'B'), right.element),
    make('div', { class: 'table-column' }, table.element, count),
  );
  return {
    update({ threshold, colour, labels }) {
      const visible = cosines.map(cosine => (cosine ?? -1) <= threshold);
      left.update({ colour, labels, visible });
      right.update({ colour, labels, visible: back.map(box => visible[box] ?? false) });
      table.show(visible);
      for (const [box, swatch] of swatches.entries())
        swatch.style.backgroundColor = boxColour(first, box, colour, page);
      showCount(count, visible, 'pairs');
    },
  };
}

/**
 * @param {PairData} pair
 * @param {PageData} page
 * @param {readonly HTMLElement[]} swatches
 * @returns {Column[]}
 */
function columnsOf({ first, second, partner, ious, cosines }, page, swatches) {
  const other = (/** @type {number} */ box) => partner[box] ?? 0;
  /** @type {Column[]} */
  const columns = [
    {
      title: 'A',
      hint: 'box in the first store',
      numeric: true,
      key: box => box,
      cell: box => make('span', {}, swatches[box] ?? '', String(box)),
    },
    {
      title: 'B',
      hint: 'box in the second store',
      numeric: true,
      key: other,
      cell: box => String(other(box)),
    },
    {
      title: 'Cosine',
      hint: 'of the features',
      numeric: true,
      key: box => cosines[box] ?? -2,
      cell: box => formatFixed(cosines[box], 6),
    },
    {
      title: 'IoU',
      hint: 'overlap of the boxes',
      numeric: true,
      key: box => ious[box] ?? 0,
      cell: box => formatFixed(ious[box], 3),
    },
  ];
  const name = (/** @type {BoxData} */ data, /** @type {number} */ box) => objectName(data, box, page);
  if (first.objects !== undefined)
    columns.push({ title: 'Object in A', key: box => name(first, box), cell: box => name(first, box) });
  if (second.objects !== undefined) {
    columns.push({
      title: 'Object in B',
      key: box => name(second, other(box)),
      cell: box =>
        make(
          'span',
          { class: first.objects?.[box] === second.objects?.[other(box)] ? 'same' : 'differs' },
          name(second, other(box)),
        ),
    });
  }
  columns.push(
    {
      title: 'Norm A',
      numeric: true,
      key: box => first.norms[box] ?? -1,
      cell: box => formatFixed(first.norms[box], 1),
    },
    {
      title: 'Norm B',
      numeric: true,
      key: box => second.norms[other(box)] ?? -1,
      cell: box => formatFixed(second.norms[other(box)], 1),
    },
  );
  return columns;
}
