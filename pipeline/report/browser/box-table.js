import { make } from './dom.js';
import { showScroll } from './scroll-sign.js';

/**
 * One column: what a cell shows, and the value that it is sorted by.
 *
 * @typedef {object} Column
 * @property {string} title
 * @property {string} [hint] what the title means
 * @property {boolean} [numeric]
 * @property {(row: number) => Node | string} cell
 * @property {(row: number) => string | number} key
 */

/**
 * @typedef {object} BoxTable
 * @property {HTMLElement} element
 * @property {(visible: readonly boolean[], hits: readonly boolean[] | null) => void} show
 * @property {(row: number | null, scroll: boolean) => void} highlight
 * @property {(row: number | null) => void} mark
 */

/**
 * A sortable table whose first column has a button a row: the way to each box for keyboards.
 *
 * @param {string} label
 * @param {number} count
 * @param {readonly Column[]} columns
 * @param {{ hover: (row: number | null) => void, pick: (row: number | null) => void }} notify
 * @returns {BoxTable}
 */
export function createBoxTable(label, count, columns, notify) {
  const buttons = Array.from({ length: count }, (_, row) =>
    make(
      'button',
      { type: 'button', class: 'box-button', 'aria-pressed': 'false', tabindex: row === 0 ? 0 : -1 },
      columns[0]?.cell(row) ?? '',
    ),
  );
  const rows = buttons.map((button, row) =>
    make(
      'tr',
      {},
      make('th', { scope: 'row' }, button),
      ...columns.slice(1).map(column => make('td', { class: column.numeric && 'numeric' }, column.cell(row))),
    ),
  );
  const body = make('tbody', {}, ...rows);
  const heads = columns.map((column, index) => {
    const button = make('button', { type: 'button', title: column.hint }, column.title);
    button.addEventListener('click', () => sortBy(index));
    return make(
      'th',
      { scope: 'col', class: column.numeric && 'numeric', 'aria-sort': index === 0 ? 'ascending' : 'none' },
      button,
    );
  });
  const table = make('table', { 'aria-label': label }, make('thead', {}, make('tr', {}, ...heads)), body);
  const scroller = make('div', { class: 'table-scroll' }, table);
  const element = showScroll(scroller);
  let order = rows.map((_, row) => row);

  /** @param {number} index */
  const sortBy = index => {
    const column = columns[index];
    const head = heads[index];
    if (column === undefined || head === undefined) return;
    const was = head.getAttribute('aria-sort');
    // Of numbers the largest are looked for first, of names the first.
    const first = column.numeric === true && index > 0 ? 'descending' : 'ascending';
    const direction = was === 'none' ? first : was === 'ascending' ? 'descending' : 'ascending';
    for (const other of heads) other.setAttribute('aria-sort', other === head ? direction : 'none');
    const sign = direction === 'ascending' ? 1 : -1;
    order = order.toSorted((a, b) => sign * compareKeys(column.key(a), column.key(b)) || a - b);
    body.append(...order.map(row => /** @type {HTMLElement} */ (rows[row])));
  };

  const isAnyPicked = () => buttons.some(button => button.getAttribute('aria-pressed') === 'true');
  /** @param {number} row */
  const focusRow = row => {
    for (const [index, button] of buttons.entries()) button.tabIndex = index === row ? 0 : -1;
    buttons[row]?.focus({ preventScroll: true });
    rows[row]?.scrollIntoView({ block: 'nearest' });
  };
  body.addEventListener('keydown', event => {
    const row = buttons.findIndex(button => button === event.target);
    const shown = order.filter(index => !rows[index]?.hidden);
    const at = shown.indexOf(row);
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1 };
    const next = shown[moves[/** @type {keyof typeof moves} */ (event.key)]];
    if (next !== undefined) focusRow(next);
    else if (event.key === 'Escape' && isAnyPicked()) notify.pick(null);
    else return;
    event.preventDefault();
  });
  for (const [index, row] of rows.entries()) {
    row.addEventListener('pointerenter', () => notify.hover(index));
    row.addEventListener('click', () => notify.pick(index));
    buttons[index]?.addEventListener('focus', () => notify.hover(index));
    buttons[index]?.addEventListener('blur', () => notify.hover(null));
  }
  body.addEventListener('pointerleave', () => notify.hover(null));

  return {
    element,
    show(visible, hits) {
      for (const [index, row] of rows.entries()) {
        row.hidden = !visible[index];
        row.classList.toggle('hit', hits?.[index] === true);
      }
      // One row at least can be reached with the tab key.
      const first = order.find(row => visible[row]);
      if (first !== undefined && !buttons.some((button, row) => button.tabIndex === 0 && visible[row])) {
        for (const [index, button] of buttons.entries()) button.tabIndex = index === first ? 0 : -1;
      }
    },
    highlight(active, scroll) {
      for (const [index, row] of rows.entries()) row.classList.toggle('active', index === active);
      const row = active === null ? undefined : rows[active];
      if (!scroll || row === undefined) return;
      // Only the table may move, not the page under the pointer.
      const head = table.tHead?.offsetHeight ?? 0;
      if (row.offsetTop - head < scroller.scrollTop) scroller.scrollTop = row.offsetTop - head;
      const below = row.offsetTop + row.offsetHeight - scroller.clientHeight;
      if (below > scroller.scrollTop) scroller.scrollTop = below;
    },
    mark(picked) {
      for (const [index, button] of buttons.entries())
        button.setAttribute('aria-pressed', String(index === picked));
    },
  };
}

/**
 * @param {string | number} a
 * @param {string | number} b
 */
function compareKeys(a, b) {
  if (typeof a === 'string' || typeof b === 'string')
    return String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0;
  return a - b;
}
