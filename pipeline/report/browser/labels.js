/** @typedef {{ readonly box: number, readonly x: number, readonly y: number, readonly text: string }} Label */
/** @typedef {'some' | 'all' | 'none'} LabelMode */

const HEIGHT = 18;
const PADDING = 10;
/** As the style has it for names. */
const FONT = '600 12px system-ui, sans-serif';

/**
 * Chooses which names to draw: in the order given, those that meet none drawn before. Pixels of the stage.
 *
 * @param {readonly Label[]} labels the most important first
 * @param {LabelMode} mode
 * @param {{ readonly width: number, readonly height: number }} stage
 * @returns {Label[]}
 */
export function placeLabels(labels, mode, stage) {
  /** @type {(Label & { width: number })[]} */
  const placed = [];
  if (mode === 'none') return placed;
  for (const label of labels) {
    const width = measureText(label.text) + PADDING;
    const x = Math.max(0, Math.min(label.x, stage.width - width));
    const y = Math.max(0, Math.min(label.y, stage.height - HEIGHT));
    const meets = placed.some(
      other => Math.abs(other.y - y) < HEIGHT + 1 && x < other.x + other.width + 2 && other.x < x + width + 2,
    );
    if (mode === 'all' || !meets) placed.push({ ...label, x, y, width });
  }
  return placed;
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
