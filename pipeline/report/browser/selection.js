/**
 * Something that shows rows of a card: a picture, the table, the strip of norms.
 *
 * @typedef {object} Part
 * @property {(row: number | null, scroll: boolean) => void} highlight
 * @property {(row: number | null) => void} [mark] shows which row stays chosen
 */

/** @typedef {{ hover: (box: number | null) => void, pick: (box: number | null) => void }} Notify */

/**
 * The one row of a card that is pointed at or chosen, shown by all of its parts. Parts may number boxes in their own
 * way: `toRow` gives the row of one of theirs.
 *
 * @param {(row: number | null) => void} [onPick] hears which row was chosen
 */
export function createSelection(onPick) {
  /** @type {Part[]} */
  const parts = [];
  /** @type {number | null} */
  let picked = null;
  /** @param {number | null} row @param {boolean} scroll */
  const highlight = (row, scroll) => {
    for (const part of parts) part.highlight(row, scroll);
  };
  return {
    /** @param {Part[]} added */
    show(...added) {
      parts.push(...added);
    },
    /** @param {number | null} row chosen by the address of the page */
    choose: row => {
      picked = row;
      for (const part of parts) part.mark?.(picked);
      highlight(picked, true);
    },
    /**
     * What a part calls. Pointing at the table must not scroll it, pointing elsewhere does.
     *
     * @param {boolean} scroll
     * @param {(box: number) => number} [toRow]
     * @returns {Notify}
     */
    notify: (scroll, toRow = box => box) => ({
      hover: box => highlight(box === null ? picked : toRow(box), scroll),
      pick(box) {
        const row = box === null ? null : toRow(box);
        picked = row === picked ? null : row;
        for (const part of parts) part.mark?.(picked);
        highlight(picked ?? row, true);
        onPick?.(picked);
      },
    }),
  };
}

/**
 * Which boxes or pairs of a card are shown, and how many they are.
 *
 * @param {HTMLElement} element
 * @param {readonly boolean[]} visible
 * @param {string} unit
 */
export function showCount(element, visible, unit) {
  element.textContent = `${visible.filter(Boolean).length} of ${visible.length} ${unit}`;
}
