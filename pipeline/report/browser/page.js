/** @import { PageData } from '../page-data.ts' */
/** @import { State } from './state.js' */
import { setUpCopy } from './copy.js';
import { byId, readIsland } from './dom.js';
import { createFilter } from './filter.js';
import { createGrid } from './grid.js';
import { setUpHelp } from './help.js';
import { readCatalogue } from './index.js';
import { watchScroll } from './scroll-sign.js';
import { setUpFilters } from './side.js';
import { createStore, formatState } from './state.js';
import { setUpTheme } from './theme.js';
import { createViewer } from './viewer.js';

/** Width from which filters stand beside the grid, as in the style. */
const WIDE = '(min-width: 62rem)';
const LABELS = ['some', 'all', 'none'];

const page = /** @type {PageData} */ (readIsland('page-data'));
setUpTheme();
if (page.kind === 'health') setUpHealth();
else setUpImages();

function setUpHealth() {
  for (const button of document.querySelectorAll('button.copy')) {
    const code = button.parentElement?.querySelector('code');
    if (button instanceof HTMLButtonElement) setUpCopy(button, () => code?.textContent ?? '');
  }
  for (const scroller of document.querySelectorAll('.table-scroll')) {
    const frame = scroller.parentElement;
    if (scroller instanceof HTMLElement && frame !== null) watchScroll(frame, scroller);
  }
}

function setUpImages() {
  const catalogue = readCatalogue();
  const store = createStore();
  const find = createFilter(catalogue, page);
  const main = byId('content', HTMLElement);
  const viewerElement = byId('viewer', HTMLElement);
  const viewer = createViewer(viewerElement, catalogue, page, store);
  const linkTo = (/** @type {number} */ image) =>
    formatState({ ...store.get(), image: catalogue.index.ids[image] ?? '', box: null });
  const grid = createGrid(byId('grid', HTMLUListElement), catalogue, linkTo);
  const showFilters = setUpFilters(store, catalogue, page);
  const showControls = setUpControls();
  setUpPanel();
  const dialog = setUpHelp();

  /** Fragment of what the grid shows, to see whether it must be drawn again. */
  let drawn = '';
  let isViewing = false;
  let scrolled = 0;
  const gridOf = (/** @type {State} */ state) =>
    formatState({ ...state, image: null, box: null, colour: 'object', labels: 'some' });
  const show = (/** @type {State} */ state) => {
    const found = find(state);
    showFilters(state);
    showControls(state);
    showStatus(state, found.images.length, found.hits === null ? undefined : found.boxes);
    const was = isViewing;
    isViewing = state.image !== null;
    if (isViewing && !was) scrolled = scrollY;
    main.classList.toggle('viewing', isViewing);
    viewerElement.hidden = !isViewing;
    if (isViewing) {
      if (!viewer.show(state, found)) whenRead(() => show(store.get()));
      else if (!was) focusViewer();
      return;
    }
    if (drawn !== gridOf(state)) {
      drawn = gridOf(state);
      grid.show(found);
    }
    if (!was) return;
    const last = catalogue.places.get(viewer.heading.textContent);
    viewer.forget();
    scrollTo({ top: scrolled, behavior: 'instant' });
    if (last !== undefined) grid.reveal(last);
  };
  const focusViewer = () => {
    viewer.heading.focus({ preventScroll: true });
    scrollTo({ top: 0, behavior: 'instant' });
  };

  /** @param {State} state @param {number} images @param {number | undefined} boxes */
  function showStatus(state, images, boxes) {
    const all = catalogue.count;
    const text = `${images} of ${all} images`;
    const unit =
      page.kind === 'pairs' ? 'matching boxes in A and B' : boxes === 1 ? 'matching box' : 'matching boxes';
    byId('status', HTMLElement).textContent =
      boxes !== undefined ? `${text}, ${boxes} ${unit}` : images === all ? '' : text;
    byId('nothing', HTMLElement).hidden = images > 0 || state.image !== null;
  }

  function setUpControls() {
    const toolbar = byId('toolbar', HTMLFormElement);
    const search = byId('search', HTMLInputElement);
    const threshold = byId('threshold', HTMLInputElement);
    const usual = page.kind === 'pairs' ? 1 : 0;
    const differing = document.getElementById('differing');
    /** @param {Partial<State>} change @param {boolean} replace */
    const set = (change, replace) => store.set({ ...store.get(), ...change }, { replace });
    search.addEventListener('input', () => set({ find: search.value }, true));
    threshold.addEventListener('input', () => {
      const value = Number(threshold.value);
      set({ threshold: value === usual ? null : value }, true);
    });
    for (const id of /** @type {const} */ (['order', 'colour', 'labels'])) {
      const select = byId(id, HTMLSelectElement);
      select.addEventListener('input', () => set({ [id]: select.value }, true));
    }
    if (differing instanceof HTMLInputElement)
      differing.addEventListener('input', () => set({ differing: differing.checked }, false));
    toolbar.addEventListener('submit', event => event.preventDefault());
    toolbar.hidden = false;
    return (/** @type {State} */ state) => {
      // What is being typed is not touched: a browser would move the cursor.
      if (search.value !== state.find) search.value = state.find;
      threshold.value = String(state.threshold ?? usual);
      byId('threshold-value', HTMLOutputElement).textContent = Number(threshold.value).toFixed(2);
      for (const id of /** @type {const} */ (['order', 'colour', 'labels'])) {
        const select = byId(id, HTMLSelectElement);
        select.value = state[id];
        if (select.selectedIndex < 0) select.selectedIndex = 0;
      }
      if (differing instanceof HTMLInputElement) differing.checked = state.differing;
    };
  }

  function setUpPanel() {
    const panel = byId('filters', HTMLDetailsElement);
    const wide = matchMedia(WIDE);
    const update = () => {
      panel.open = wide.matches;
    };
    wide.addEventListener('change', update);
    update();
    addEventListener('beforeprint', () => {
      panel.open = true;
    });
    addEventListener('afterprint', update);
  }

  document.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || dialog.open) return;
    const { target, key } = event;
    const isTyping = target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
    if (isTyping) {
      if (key === 'Escape') target.blur();
      return;
    }
    /** @type {Record<string, (() => void) | undefined>} */
    const always = {
      '?': () => dialog.showModal(),
      '/': () => byId('search', HTMLInputElement).focus(),
      l: () => {
        const next = LABELS[(LABELS.indexOf(store.get().labels) + 1) % LABELS.length] ?? 'some';
        store.set({ ...store.get(), labels: next }, { replace: true });
      },
    };
    /** @type {Record<string, (() => void) | undefined>} */
    const inImage = {
      ArrowRight: () => viewer.go(1),
      ArrowLeft: () => viewer.go(-1),
      j: () => viewer.go(1),
      k: () => viewer.go(-1),
      '+': () => viewer.zoom(1),
      '=': () => viewer.zoom(1),
      '-': () => viewer.zoom(-1),
      0: () => viewer.zoom(0),
      Escape: () => {
        const state = store.get();
        if (state.box === null) viewer.close();
        else store.set({ ...state, box: null }, { replace: true });
      },
    };
    const act = isViewing ? (always[key] ?? inImage[key]) : always[key];
    if (act === undefined) return;
    event.preventDefault();
    act();
  });

  store.subscribe(show);
  show(store.get());
}

/**
 * Calls back when more of the page has been read.
 *
 * @param {() => void} act
 */
function whenRead(act) {
  if (document.readyState === 'loading') setTimeout(act, 50);
}
