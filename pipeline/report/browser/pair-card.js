/** @import { PairData } from '../../inspection/findings.ts' */
/** @import { PageData } from '../page-data.ts' */
/** @import { BuiltCard } from './image-card.js' */
/** @import { Column } from './box-table.js' */
import { createBoxTable } from './box-table.js';
import { attributeName, boxColour, objectName } from './colours.js';
import { formatFixed, make } from './dom.js';
import { createSelection, showCount } from './selection.js';
import { createStage } from './stage.js';
import { createZoom } from './zoom.js';

/**
 * Builds both pictures of an image and the table of its matched boxes. A pair is known by its box in the first store.
 *
 * @param {HTMLElement} body
 * @param {PairData} pair
 * @param {PageData} page
 * @param {(box: number | null) => void} onPick
 * @returns {BuiltCard}
 */
export function buildPairCard(body, pair, page, onPick) {
  const { first, second, partner, cosines } = pair;
  const back = partner.map((_, other) => partner.indexOf(other));
  const [width, height] = pair.secondSize;
  const selection = createSelection(onPick);
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
    createZoom([left, right], ['A', 'B']),
    make('div', { class: 'table-column' }, table.element, count),
  );
  return {
    choose: selection.choose,
    update({ threshold, colour, labels, differing, hits: isHit }) {
      const visible = cosines.map(
        (cosine, box) => (cosine ?? -1) <= threshold && (!differing || pairDiffers(pair, box)),
      );
      const hits =
        isHit === null ? null : partner.map((other, box) => isHit(box) || isHit(partner.length + other));
      const ofSecond = (/** @type {readonly boolean[]} */ values) => back.map(box => values[box] ?? false);
      left.update({ colour, labels, visible, hits });
      right.update({ colour, labels, visible: ofSecond(visible), hits: hits && ofSecond(hits) });
      table.show(visible, hits);
      for (const [box, swatch] of swatches.entries())
        swatch.style.backgroundColor = boxColour(first, box, colour, page);
      showCount(count, visible, 'pairs');
    },
  };
}

/** As the command that made the page has it. */
const SAME = 0.999;

/**
 * Whether the two boxes of a pair differ in features, place or classes.
 *
 * @param {PairData} pair
 * @param {number} box
 */
function pairDiffers({ first, second, partner, ious, cosines }, box) {
  const other = partner[box] ?? 0;
  return (
    (cosines[box] ?? -1) < SAME ||
    (ious[box] ?? -1) < SAME ||
    first.objects?.[box] !== second.objects?.[other] ||
    first.attrs?.[box] !== second.attrs?.[other]
  );
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
  const both = first.objects !== undefined && second.objects !== undefined;
  if (first.objects !== undefined || second.objects !== undefined) {
    columns.push(
      ...classColumns('Object', both, {
        first: box => objectName(first, box, page),
        second: box => objectName(second, other(box), page),
        isSame: box => first.objects?.[box] === second.objects?.[other(box)],
      }),
      ...classColumns('Attribute', both, {
        first: box => attributeName(first, box, page),
        second: box => attributeName(second, other(box), page),
        isSame: box => first.attrs?.[box] === second.attrs?.[other(box)],
      }),
    );
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

/**
 * The classes of both stores beside each other; where they differ, the second is marked.
 *
 * @param {string} title
 * @param {boolean} both
 * @param {{ first: (box: number) => string, second: (box: number) => string, isSame: (box: number) => boolean }} names
 * @returns {Column[]}
 */
function classColumns(title, both, { first, second, isSame }) {
  return [
    { title: `${title} in A`, key: first, cell: first },
    {
      title: `${title} in B`,
      key: second,
      cell: box => make('span', { class: !both || isSame(box) ? 'same' : 'differs' }, second(box)),
    },
  ];
}
