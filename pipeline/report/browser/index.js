/** @import { Column, ColumnName, PageIndex } from '../page-data.ts' */
import { readIsland } from './dom.js';

/**
 * What the grid knows of all images.
 *
 * @typedef {object} Catalogue
 * @property {PageIndex} index
 * @property {number} count
 * @property {number} boxes boxes of an image
 * @property {Readonly<Partial<Record<ColumnName, Float32Array>>>} columns [count, boxes]
 * @property {ReadonlyMap<string, number>} places index of an image by its id
 */

/** @returns {Catalogue} */
export function readCatalogue() {
  const index = /** @type {PageIndex} */ (readIsland('page-index'));
  /** @type {Partial<Record<ColumnName, Float32Array>>} */
  const columns = {};
  // A column is decoded when it is first asked for: the grid is drawn without any.
  for (const [name, column] of Object.entries(index.columns)) {
    /** @type {Float32Array | undefined} */
    let decoded;
    const get = () => (decoded ??= decodeColumn(column));
    Object.defineProperty(columns, name, { enumerable: true, get });
  }
  /** @type {Map<string, number>} */
  const places = new Map();
  for (const [at, id] of index.ids.entries()) if (!places.has(id)) places.set(id, at);
  return { index, count: index.ids.length, boxes: index.boxes, columns, places };
}

/**
 * @param {Column} column
 * @returns {Float32Array}
 */
function decodeColumn({ type, scale, data }) {
  const text = atob(data);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = text.charCodeAt(at);
  if (type === 'f32') return new Float32Array(bytes.buffer);
  const halves = new Uint16Array(bytes.buffer);
  if (type === 'u16') return Float32Array.from(halves, value => value / scale);
  return new Float32Array(Uint32Array.from(halves, value => value << 16).buffer);
}

/**
 * Everything of one image; undefined while the page is still being read and has not come to it.
 *
 * @template Data
 * @param {number} image
 * @returns {Data | undefined}
 */
export function readImage(image) {
  const text = document.getElementById(`image-${image}`)?.textContent;
  return text ? /** @type {Data} */ (JSON.parse(text)) : undefined;
}
