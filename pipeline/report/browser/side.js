/** @import { PageData } from '../page-data.ts' */
/** @import { Catalogue } from './index.js' */
/** @import { State, Store } from './state.js' */
import { byId, make } from './dom.js';
import { formatState, LISTS, RANGES, toggleFilter } from './state.js';

const TITLES = {
  finding: 'found',
  object: 'object',
  attr: 'attribute',
  size: 'size',
  conf: 'object confidence',
  aconf: 'attribute confidence',
  area: 'area',
  norm: 'norm',
  zeros: 'zeros',
  cosine: 'cosine',
  iou: 'IoU',
};

/**
 * Links that filter, and the list of filters that are on. A link's address in the page is what it would show; followed here, it is
 * added to what is shown already, or taken away.
 *
 * @param {Store} store
 * @param {Catalogue} catalogue
 * @param {PageData} page
 */
export function setUpFilters(store, catalogue, page) {
  const links = [...document.querySelectorAll('a[data-filter]')];
  document.addEventListener('click', event => {
    const link = event.target instanceof Element ? event.target.closest('a[data-filter]') : null;
    if (link === null || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const [name, value] = filterOf(link);
    store.set({ ...toggleFilter(store.get(), name, value), image: null, box: null });
  });
  setUpArrows();
  const list = byId('active-filters', HTMLUListElement);
  return (/** @type {State} */ state) => {
    for (const link of links) {
      const [name, value] = filterOf(link);
      const isOn = valuesOf(state, name).includes(value);
      if (isOn) link.setAttribute('aria-current', 'true');
      else link.removeAttribute('aria-current');
    }
    const chips = [...LISTS, ...RANGES].flatMap(name =>
      valuesOf(state, name).map(value =>
        makeChip(describe(name, value, catalogue, page), toggleFilter(state, name, value)),
      ),
    );
    if (state.find !== '') chips.unshift(makeChip(`find “${state.find}”`, { ...state, find: '' }));
    if (state.differing) chips.push(makeChip('only differing', { ...state, differing: false }));
    if (chips.length > 1) chips.push(makeChip('all filters', withoutFilters(state)));
    list.replaceChildren(...chips.map(chip => make('li', {}, chip)));
    list.hidden = chips.length === 0;
  };

  /** @param {string} text @param {State} without */
  function makeChip(text, without) {
    const chip = make(
      'a',
      {
        href: formatState({ ...without, image: null, box: null }),
        class: 'chip',
        'aria-label': `Remove ${text}`,
      },
      make('span', {}, text),
      make('span', { class: 'chip-end', 'aria-hidden': 'true' }, '×'),
    );
    chip.addEventListener('click', event => {
      event.preventDefault();
      store.set(without);
    });
    return chip;
  }
}

/** @param {State} state @returns {State} */
function withoutFilters(state) {
  return { ...state, find: '', finding: [], object: [], attr: [], size: [], ranges: {}, differing: false };
}

/**
 * @param {State} state
 * @param {string} name
 * @returns {readonly string[]}
 */
function valuesOf(state, name) {
  const list = LISTS.find(known => known === name);
  if (list !== undefined) return state[list];
  const range = RANGES.find(known => known === name);
  const value = range === undefined ? undefined : state.ranges[range];
  return value === undefined ? [] : [value];
}

/**
 * @param {Element} link
 * @returns {[name: string, value: string]}
 */
function filterOf(link) {
  const name = link.getAttribute('data-filter') ?? '';
  const value = link.getAttribute('data-value');
  if (value !== null) return [name, value];
  return [name, new URLSearchParams((link.getAttribute('href') ?? '').slice(1)).get(name) ?? ''];
}

/**
 * @param {keyof typeof TITLES} name
 * @param {string} value
 * @param {Catalogue} catalogue
 * @param {PageData} page
 */
function describe(name, value, { index }, page) {
  const title = TITLES[name];
  if (name === 'finding') {
    if (value === 'bad') return 'invalid';
    if (value === 'warn') return 'outliers';
    return index.findings.find(({ kind }) => kind === value)?.label ?? value;
  }
  if (name === 'object') return `${title}: ${page.objectNames?.[value] ?? value}`;
  if (name === 'attr') return `${title}: ${page.attributeNames?.[value] ?? value}`;
  if (name === 'size') return value;
  const [from = '', to = ''] = value.split('..');
  const short = (/** @type {string} */ text) => String(Number(Number(text).toPrecision(4)));
  if (from === '') return `${title} below ${short(to)}`;
  return to === '' ? `${title} from ${short(from)}` : `${title} ${short(from)} to ${short(to)}`;
}

/** Arrow keys go from bar to bar of a chart, so that the tab key needs one step for each chart. */
function setUpArrows() {
  for (const chart of document.querySelectorAll('.histogram')) {
    const bars = [...chart.querySelectorAll('a')];
    chart.addEventListener('keydown', event => {
      if (!(event instanceof KeyboardEvent)) return;
      const at = bars.findIndex(bar => bar === document.activeElement);
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1 }[event.key];
      const bar = to === undefined ? undefined : bars[to];
      if (bar === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      for (const other of bars) other.setAttribute('tabindex', other === bar ? '0' : '-1');
      bar.focus();
    });
  }
}
