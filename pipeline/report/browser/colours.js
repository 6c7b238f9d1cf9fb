/** @import { BoxData } from '../../inspection/findings.ts' */
/** @import { PageData } from '../page-data.ts' */
/** @typedef {'object' | 'attribute' | 'confidence' | 'norm'} ColourMode */

const GOLDEN_ANGLE = 137.508;

/**
 * One hue a class, neighbours far apart; light enough to stand out on photographs.
 *
 * @param {number} id
 */
export function classColour(id) {
  return `oklch(0.82 0.16 ${(Math.abs(id * GOLDEN_ANGLE) % 360).toFixed(1)})`;
}

/**
 * From dark violet to light yellow-green.
 *
 * @param {number} share 0 to 1
 */
export function rampColour(share) {
  const at = Math.min(1, Math.max(0, share));
  return `oklch(${(0.36 + 0.52 * at).toFixed(3)} ${(0.13 + 0.04 * at).toFixed(3)} ${(300 - 190 * at).toFixed(1)})`;
}

/**
 * Place of a norm on the colour scale of the store.
 *
 * @param {number | null | undefined} norm
 * @param {PageData} page
 */
export function normShare(norm, page) {
  const [low, high] = page.normScale;
  return ((norm ?? 0) - low) / Math.max(high - low, 1e-9);
}

/**
 * @param {BoxData} data
 * @param {number} box
 * @param {ColourMode} mode
 * @param {PageData} page
 */
export function boxColour(data, box, mode, page) {
  if (mode === 'norm') return rampColour(normShare(data.norms[box], page));
  if (mode === 'confidence' && data.objectsConf) return rampColour(data.objectsConf[box] ?? 0);
  const classes = mode === 'attribute' ? data.attrs : data.objects;
  return classColour(classes?.[box] ?? box);
}

/**
 * @param {BoxData} data
 * @param {number} box
 * @param {PageData} page
 */
export function objectName(data, box, page) {
  const id = data.objects?.[box];
  return id === undefined ? `box ${box}` : (page.objectNames?.[id] ?? `object ${id}`);
}

/**
 * @param {BoxData} data
 * @param {number} box
 * @param {PageData} page
 */
export function attributeName(data, box, page) {
  const id = data.attrs?.[box];
  return id === undefined ? '' : (page.attributeNames?.[id] ?? `attribute ${id}`);
}

/**
 * "red car" where there are names, else the ids.
 *
 * @param {BoxData} data
 * @param {number} box
 * @param {PageData} page
 */
export function boxName(data, box, page) {
  const object = objectName(data, box, page);
  return page.attributeNames === null || data.attrs === undefined
    ? object
    : `${attributeName(data, box, page)} ${object}`;
}
