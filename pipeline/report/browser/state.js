/**
 * What the page shows, all of it in the fragment of its address: a link to the page is a link to what it shows.
 *
 * @typedef {'conf' | 'aconf' | 'area' | 'norm' | 'zeros' | 'cosine' | 'iou'} RangeName
 */

/**
 * @typedef {object} State
 * @property {string} find
 * @property {readonly string[]} finding kinds of findings, `bad` or `warn` for all of a tone
 * @property {readonly string[]} object class ids
 * @property {readonly string[]} attr class ids
 * @property {readonly string[]} size such as `640×480`
 * @property {Readonly<Partial<Record<RangeName, string>>>} ranges limits such as `0.25..0.5`, either of which can be absent
 * @property {boolean} differing
 * @property {number | null} threshold
 * @property {string} order
 * @property {string} colour
 * @property {string} labels
 * @property {string | null} image
 * @property {number | null} box
 */

/** @type {readonly RangeName[]} */
export const RANGES = ['conf', 'aconf', 'area', 'norm', 'zeros', 'cosine', 'iou'];
/** @type {readonly ('finding' | 'object' | 'attr' | 'size')[]} */
export const LISTS = ['finding', 'object', 'attr', 'size'];
const RANGE = /^(-?[\d.e+-]*?)\.\.(-?[\d.e+-]*)$/;

/**
 * @param {string} hash
 * @returns {State}
 */
export function parseState(hash) {
  const params = new URLSearchParams(hash.replace(/^#/, ''));
  const list = (/** @type {string} */ name) =>
    [...new Set(params.getAll(name))].filter(value => value !== '');
  /** @param {string} name */
  const number = name => {
    const text = params.get(name);
    return text === null || text === '' || !Number.isFinite(Number(text)) ? null : Number(text);
  };
  return {
    find: params.get('find') ?? '',
    finding: list('finding'),
    object: list('object'),
    attr: list('attr'),
    size: list('size'),
    ranges: Object.fromEntries(
      RANGES.flatMap(name => {
        const range = params.get(name);
        return range !== null && RANGE.test(range) ? [[name, range]] : [];
      }),
    ),
    differing: params.has('differing'),
    threshold: number('threshold'),
    order: params.get('order') ?? 'rank',
    colour: params.get('colour') ?? 'object',
    labels: params.get('labels') ?? 'some',
    image: params.get('image'),
    box: number('box'),
  };
}

/**
 * The fragment of a state, `#` where it is the usual one.
 *
 * @param {State} state
 */
export function formatState(state) {
  const params = new URLSearchParams();
  if (state.find !== '') params.set('find', state.find);
  for (const name of LISTS) for (const value of state[name]) params.append(name, value);
  for (const name of RANGES) {
    const range = state.ranges[name];
    if (range !== undefined) params.set(name, range);
  }
  if (state.differing) params.set('differing', '');
  if (state.threshold !== null) params.set('threshold', String(state.threshold));
  if (state.order !== 'rank') params.set('order', state.order);
  if (state.colour !== 'object') params.set('colour', state.colour);
  if (state.labels !== 'some') params.set('labels', state.labels);
  if (state.image !== null) params.set('image', state.image);
  if (state.image !== null && state.box !== null) params.set('box', String(state.box));
  return `#${params.toString()}`;
}

/**
 * The two limits of a range, infinite where absent.
 *
 * @param {string} range
 * @returns {[from: number, to: number]}
 */
export function parseRange(range) {
  const [, from = '', to = ''] = RANGE.exec(range) ?? [];
  return [from === '' ? -Infinity : Number(from), to === '' ? Infinity : Number(to)];
}

/**
 * The state with one value of a filter added, or taken away where it is there.
 *
 * @param {State} state
 * @param {string} name
 * @param {string} value
 * @returns {State}
 */
export function toggleFilter(state, name, value) {
  const list = LISTS.find(known => known === name);
  if (list !== undefined) {
    const has = state[list].includes(value);
    return { ...state, [list]: has ? state[list].filter(known => known !== value) : [...state[list], value] };
  }
  const range = RANGES.find(known => known === name);
  if (range === undefined) return state;
  const { [range]: current, ...others } = state.ranges;
  return { ...state, ranges: current === value ? others : { ...others, [range]: value } };
}

/**
 * @typedef {object} Store
 * @property {() => State} get
 * @property {(next: State, options?: { replace?: boolean }) => void} set
 * @property {(listener: (state: State) => void) => void} subscribe
 */

/**
 * Keeps the state and the address together; listeners hear of every change, those of the back button included.
 *
 * @returns {Store}
 */
export function createStore() {
  let state = parseState(location.hash);
  /** @type {((state: State) => void)[]} */
  const listeners = [];
  const notify = () => {
    for (const listener of listeners) listener(state);
  };
  addEventListener('popstate', () => {
    const next = parseState(location.hash);
    if (formatState(next) === formatState(state)) return;
    state = next;
    notify();
  });
  return {
    get: () => state,
    set(next, { replace = false } = {}) {
      const hash = formatState(next);
      if (hash === formatState(state)) return;
      state = next;
      if (replace) history.replaceState(null, '', hash);
      else history.pushState(null, '', hash);
      notify();
    },
    subscribe: listener => void listeners.push(listener),
  };
}
