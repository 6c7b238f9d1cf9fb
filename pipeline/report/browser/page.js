/** @import { ImageData, PairData } from '../../inspection/findings.ts' */
/** @import { PageData } from '../page-data.ts' */
/** @import { BuiltCard, Settings } from './image-card.js' */
import { attributeName, objectName } from './colours.js';
import { byId, readIsland } from './dom.js';
import { buildImageCard } from './image-card.js';
import { buildPairCard } from './pair-card.js';

/**
 * @typedef {object} Card
 * @property {HTMLElement} element
 * @property {number} index
 * @property {BuiltCard | undefined} built
 * @property {boolean} near whether it is on the screen or close to it
 * @property {boolean} stale whether settings have changed since it was drawn
 */

const page = /** @type {PageData} */ (readIsland('page-data'));
setUpTheme();
if (page.kind !== 'health') setUpCards();

function setUpTheme() {
  const root = document.documentElement;
  const button = byId('theme', HTMLButtonElement);
  const system = matchMedia('(prefers-color-scheme: dark)');
  const isDark = () => (root.style.colorScheme === '' ? system.matches : root.style.colorScheme === 'dark');
  const updateLabel = () => {
    button.textContent = isDark() ? 'Light' : 'Dark';
    button.setAttribute('aria-label', `Use the ${isDark() ? 'light' : 'dark'} colours`);
  };
  button.addEventListener('click', () => {
    root.style.colorScheme = isDark() ? 'light' : 'dark';
    updateLabel();
  });
  system.addEventListener('change', updateLabel);
  updateLabel();
  button.hidden = false;
}

function setUpCards() {
  const toolbar = byId('toolbar', HTMLFormElement);
  const threshold = byId('threshold', HTMLInputElement);
  const list = byId('cards', HTMLElement);
  /** @type {Card[]} */
  const cards = [...list.querySelectorAll('article')].map((element, index) => ({
    element,
    index,
    built: undefined,
    near: false,
    stale: true,
  }));
  const byElement = new Map(cards.map(card => [/** @type {Element} */ (card.element), card]));

  /** @returns {Settings} */
  const readSettings = () => ({
    threshold: Number(threshold.value),
    colour: /** @type {Settings['colour']} */ (byId('colour', HTMLSelectElement).value),
    labels: /** @type {Settings['labels']} */ (byId('labels', HTMLSelectElement).value),
  });
  /** @param {Card} card */
  const draw = card => {
    card.built ??= build(card);
    card.built.update(readSettings());
    card.stale = false;
  };
  const observer = new IntersectionObserver(
    entries => {
      for (const { target, isIntersecting } of entries) {
        const card = byElement.get(target);
        if (card === undefined) continue;
        card.near = isIntersecting;
        if (card.near && card.stale) draw(card);
      }
    },
    { rootMargin: '900px' },
  );
  for (const { element } of cards) observer.observe(element);

  let waiting = false;
  const redraw = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      byId('threshold-value', HTMLOutputElement).textContent = Number(threshold.value).toFixed(2);
      for (const card of cards) card.stale = true;
      for (const card of cards) if (card.near) draw(card);
    });
  };
  for (const id of ['threshold', 'colour', 'labels']) byId(id, HTMLElement).addEventListener('input', redraw);
  setUpOrder(list, cards);
  setUpSearch(cards);
  setUpKeys(cards);
  toolbar.addEventListener('submit', event => event.preventDefault());
  toolbar.hidden = false;
}

/**
 * @param {Card} card
 * @returns {BuiltCard}
 */
function build(card) {
  const body = /** @type {HTMLElement} */ (card.element.querySelector('.card-body'));
  const data = readIsland(`card-${card.index}-data`);
  if (page.kind === 'pairs') return buildPairCard(body, /** @type {PairData} */ (data), page);
  return buildImageCard(body, /** @type {ImageData} */ (data), page);
}

/**
 * @param {HTMLElement} list
 * @param {readonly Card[]} cards
 */
function setUpOrder(list, cards) {
  const select = byId('order', HTMLSelectElement);
  const mean = (/** @type {readonly (number | null)[]} */ values) =>
    values.reduce((/** @type {number} */ sum, value) => sum + (value ?? 0), 0) / values.length;
  /** @type {Record<string, (card: Card) => number>} */
  const keys = {
    rank: card => card.index,
    row: card => Number(card.element.dataset['row']),
    confidence: card =>
      mean(/** @type {ImageData} */ (readIsland(`card-${card.index}-data`)).objectsConf ?? [0]),
    norm: card =>
      -Math.max(
        .../** @type {ImageData} */ (readIsland(`card-${card.index}-data`)).norms.map(
          norm => norm ?? Infinity,
        ),
      ),
  };
  select.addEventListener('input', () => {
    const key = keys[select.value] ?? (card => card.index);
    const sorted = cards
      .map(card => ({ card, at: key(card) }))
      .sort((a, b) => a.at - b.at || a.card.index - b.card.index);
    list.append(...sorted.map(({ card }) => card.element));
  });
}

/** @param {readonly Card[]} cards */
function setUpSearch(cards) {
  const search = byId('search', HTMLInputElement);
  const status = byId('status', HTMLElement);
  /** @type {Map<Card, string>} */
  const texts = new Map();
  const textOf = (/** @type {Card} */ card) => {
    const known = texts.get(card) ?? describe(card);
    texts.set(card, known);
    return known;
  };
  search.addEventListener('input', () => {
    const wanted = search.value.trim().toLowerCase();
    let shown = 0;
    for (const card of cards) {
      card.element.hidden = wanted !== '' && !textOf(card).includes(wanted);
      if (!card.element.hidden) shown++;
    }
    status.textContent = wanted === '' ? '' : `${shown} of ${cards.length} images`;
    byId('nothing', HTMLElement).hidden = shown > 0;
  });
}

/** @param {Card} card */
function describe(card) {
  const data = /** @type {ImageData | PairData} */ (readIsland(`card-${card.index}-data`));
  const sides = 'first' in data ? [data.first, data.second] : [data];
  const names = sides.flatMap(side =>
    side.norms.flatMap((_, box) => [
      objectName(side, box, page),
      `${attributeName(side, box, page)} ${objectName(side, box, page)}`,
    ]),
  );
  return [data.id, ...new Set(names)].join('\n').toLowerCase();
}

/**
 * `j` and `k` go to the next and the previous image.
 *
 * @param {readonly Card[]} cards
 */
function setUpKeys(cards) {
  document.addEventListener('keydown', event => {
    const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
    const step = { j: 1, k: -1 }[event.key];
    if (step === undefined || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const shown = cards.map(card => card.element).filter(element => !element.hidden);
    shown.sort((a, b) => (a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));
    const at = shown.findIndex(element => element.contains(document.activeElement));
    const next = shown[at < 0 ? 0 : Math.min(shown.length - 1, Math.max(0, at + step))];
    next?.focus({ preventScroll: true });
    next?.scrollIntoView({ block: 'start' });
  });
}
