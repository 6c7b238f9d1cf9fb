/** @import { PageData } from '../page-data.ts' */
/** @import { Catalogue } from './index.js' */
/** @import { State } from './state.js' */
import { parseRange, RANGES } from './state.js';

/** @typedef {(at: number) => boolean} BoxTest whether a box passes; `at` is its place in the columns */

/**
 * @typedef {object} Found
 * @property {readonly number[]} images those that pass, in order
 * @property {number} boxes boxes that pass, of all these images
 * @property {BoxTest | null} hits which boxes pass; null where nothing asks for boxes
 * @property {BoxTest} visible which boxes the slider leaves
 */

/**
 * Makes the function that finds images. An image passes where one of its boxes has all that is asked of boxes: a red car is not
 * a red house beside a blue car.
 *
 * @param {Catalogue} catalogue
 * @param {PageData} page
 * @returns {(state: State) => Found}
 */
export function createFilter(catalogue, page) {
  const { index, count, boxes } = catalogue;
  const ids = index.ids.map(id => id.toLowerCase());
  const sizes = index.ids.map((_, image) => `${index.sizes[image * 2]}×${index.sizes[image * 2 + 1]}`);
  return state => {
    const visible = visibleTest(catalogue, page, state);
    const tests = boxTests(catalogue, state);
    const term = state.find.trim().toLowerCase();
    const named = term === '' ? undefined : nameTest(catalogue, page, term);
    const flags = wantedFlags(catalogue, state);
    const differing = state.differing ? ~0 : 0;
    const passes = (/** @type {number} */ at) => visible(at) && tests.every(test => test(at));
    const asksForBoxes = tests.length > 0 || named !== undefined;
    /** @type {number[]} */
    const images = [];
    let hits = 0;
    for (let image = 0; image < count; image++) {
      const bits = index.flags[image] ?? 0;
      if ((flags !== 0 && (bits & flags) === 0) || (differing !== 0 && bits === 0)) continue;
      if (state.size.length > 0 && !state.size.includes(sizes[image] ?? '')) continue;
      if (!asksForBoxes) {
        images.push(image);
        continue;
      }
      const byId = named !== undefined && (ids[image] ?? '').includes(term);
      let some = 0;
      let others = 0;
      for (let at = image * boxes; at < (image + 1) * boxes; at++) {
        if (!passes(at)) continue;
        others++;
        if (named === undefined || named(at)) some++;
      }
      if (some === 0 && !(byId && (tests.length === 0 || others > 0))) continue;
      hits += some;
      images.push(image);
    }
    return {
      images: inOrder(catalogue, images, state.order),
      boxes: hits,
      hits: asksForBoxes ? at => passes(at) && (named === undefined || named(at)) : null,
      visible,
    };
  };
}

/**
 * @param {Catalogue} catalogue
 * @param {PageData} page
 * @param {State} state
 * @returns {BoxTest}
 */
function visibleTest({ columns }, page, { threshold, differing }) {
  const all = () => true;
  if (page.kind === 'pairs') {
    const most = Math.fround(threshold ?? 1);
    const cosine = most >= 1 && !differing ? undefined : columns.cosine;
    return cosine === undefined ? all : at => (cosine[at] ?? 0) <= most;
  }
  const least = Math.fround(threshold ?? 0);
  const conf = least <= 0 ? undefined : columns.conf;
  return conf === undefined ? all : at => (conf[at] ?? 0) >= least;
}

/**
 * @param {Catalogue} catalogue
 * @param {State} state
 * @returns {BoxTest[]}
 */
function boxTests({ columns }, state) {
  /** @type {BoxTest[]} */
  const tests = [];
  for (const name of /** @type {const} */ (['object', 'attr'])) {
    const column = columns[name];
    if (state[name].length === 0) continue;
    const wanted = new Set(state[name].map(Number));
    tests.push(at => column !== undefined && wanted.has(column[at] ?? -1));
  }
  for (const name of RANGES) {
    const range = state.ranges[name];
    if (range === undefined) continue;
    const column = columns[name];
    const [from, to] = parseRange(range);
    tests.push(at => {
      const value = column?.[at] ?? NaN;
      return value >= from && value < to;
    });
  }
  return tests;
}

/**
 * Boxes whose object, attribute, or both together have a term in their names.
 *
 * @param {Catalogue} catalogue
 * @param {PageData} page
 * @param {string} term
 * @returns {BoxTest}
 */
function nameTest({ columns: { object, attr } }, page, term) {
  /** @type {Map<number, boolean>} */
  const known = new Map();
  return at => {
    if (object === undefined || attr === undefined) return false;
    const key = (object[at] ?? 0) * 65536 + (attr[at] ?? 0);
    let matches = known.get(key);
    if (matches === undefined) {
      const names = [
        page.attributeNames?.[attr[at] ?? -1] ?? `attribute ${attr[at]}`,
        page.objectNames?.[object[at] ?? -1] ?? `object ${object[at]}`,
      ];
      matches = names.join(' ').toLowerCase().includes(term);
      known.set(key, matches);
    }
    return matches;
  };
}

/**
 * @param {Catalogue} catalogue
 * @param {State} state
 */
function wantedFlags({ index }, { finding }) {
  let bits = 0;
  for (const [bit, { kind, tone }] of index.findings.entries())
    if (finding.includes(kind) || finding.includes(tone)) bits |= 1 << bit;
  // A finding that no image has leaves none.
  return finding.length > 0 && bits === 0 ? 1 << 31 : bits;
}

/**
 * @param {Catalogue} catalogue
 * @param {number[]} images
 * @param {string} order
 */
function inOrder({ index, columns, boxes }, images, order) {
  /** @param {Float32Array | undefined} column @param {(sum: number, value: number) => number} join */
  const over = (column, join) => (/** @type {number} */ image) => {
    let result = 0;
    for (let at = image * boxes; at < (image + 1) * boxes; at++) result = join(result, column?.[at] ?? 0);
    return result;
  };
  /** @type {Record<string, (() => (image: number) => number) | undefined>} */
  const keys = {
    row: () => image => index.rows[image] ?? 0,
    confidence: () => over(columns.conf, (sum, value) => sum + value),
    norm: () => {
      const most = over(columns.norm, Math.max);
      return image => -most(image);
    },
  };
  const key = keys[order]?.();
  if (key === undefined) return images;
  const values = new Map(images.map(image => [image, key(image)]));
  return images.sort((a, b) => (values.get(a) ?? 0) - (values.get(b) ?? 0) || a - b);
}
