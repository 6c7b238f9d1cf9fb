/**
 * @typedef {object} Label
 * @property {number} box
 * @property {string} text
 * @property {number} x left side of the box, in pixels of the stage, as the others
 * @property {number} y upper side
 * @property {number} right
 * @property {number} bottom
 */

/** @typedef {{ readonly box: number, readonly text: string, readonly x: number, readonly y: number, readonly width: number }} PlacedLabel */
/** @typedef {'some' | 'all' | 'none'} LabelMode */

const HEIGHT = 18;
const PADDING = 10;
const GAP = 2;
/** As the style has it for names. */
const FONT = '600 12px system-ui, sans-serif';
/** Square pixels of picture for one of the best few names. */
const AREA_PER_NAME = 40_000;
const FEW = { least: 4, most: 10 };

/**
 * Chooses which names to draw and where, so that none covers another: the most important first, each at the first corner of its
 * box that is free. Names without a free corner are left out; they are shown when their box is pointed at.
 *
 * @param {readonly Label[]} labels the most important first
 * @param {LabelMode} mode
 * @param {{ readonly width: number, readonly height: number }} stage
 * @returns {PlacedLabel[]}
 */
export function placeLabels(labels, mode, stage) {
  /** @type {PlacedLabel[]} */
  const placed = [];
  const few = Math.round((stage.width * stage.height) / AREA_PER_NAME);
  const most = mode === 'none' ? 0 : mode === 'all' ? Infinity : Math.min(FEW.most, Math.max(FEW.least, few));
  for (const label of labels) {
    if (placed.length >= most) break;
    const { box, text } = label;
    const width = measureText(text) + PADDING;
    const corners = [
      [label.x, label.y],
      [label.x, label.y - HEIGHT],
      [label.right - width, label.y],
      [label.x, label.bottom - HEIGHT],
      [label.right - width, label.bottom - HEIGHT],
    ];
    for (const [left = 0, top = 0] of corners) {
      const x = Math.max(0, Math.min(left, stage.width - width));
      const y = Math.max(0, Math.min(top, stage.height - HEIGHT));
      if (placed.some(other => meets(other, x, y, width))) continue;
      placed.push({ box, text, x, y, width });
      break;
    }
  }
  return placed;
}

/**
 * @param {PlacedLabel} other
 * @param {number} x
 * @param {number} y
 * @param {number} width
 */
function meets(other, x, y, width) {
  return Math.abs(other.y - y) < HEIGHT + GAP && x < other.x + other.width + GAP && other.x < x + width + GAP;
}

/** @type {Map<string, number>} */
const widths = new Map();
const ruler = document.createElement('canvas').getContext('2d');

/** @param {string} text */
function measureText(text) {
  let width = widths.get(text);
  if (width === undefined) {
    if (ruler !== null) ruler.font = FONT;
    width = ruler?.measureText(text).width ?? text.length * 7;
    widths.set(text, width);
  }
  return width;
}
