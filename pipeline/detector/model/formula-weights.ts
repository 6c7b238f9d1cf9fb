import { listBlobs } from './network.ts';
import type { Weights } from './weights.ts';
import { CLASS_BACKGROUND_BIAS, GAINS, VARIANCES, BIAS_AMPLITUDES } from './formula-constants.ts';

/**
 * Weights made by a formula: untrained, but scaled so that every layer of the network sees values of a trained
 * one's size. They need no download and let any implementation of the network be compared with any other.
 */
export const FORMULA_WEIGHTS: Weights = {
  id: 'untrained',
  read: blob => Promise.resolve(makeFormulaBlob(blob)),
  close: () => Promise.resolve(),
};

const STEPS = 2 ** 24;
/** The unused box regression, made only to check the formula against all blobs of a caffemodel. */
const UNUSED_BLOBS: Readonly<Record<string, readonly number[]>> = {
  'bbox_pred/0': [6404, 2048],
  'bbox_pred/1': [6404],
};

/** Float32 values of one blob. All arithmetic is in double and is rounded once. */
export function makeFormulaBlob(blob: string): Float32Array {
  const shape = listBlobs().get(blob) ?? UNUSED_BLOBS[blob];
  if (shape === undefined) throw new RangeError(`no blob ${blob} in this network`);
  const cut = blob.lastIndexOf('/');
  const layer = blob.slice(0, cut);
  const index = Number(blob.slice(cut + 1));
  const next = makeGenerator(blob);
  const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
  if (layer.startsWith('bn')) fillBatchNorm(values, layer, index, next);
  else if (layer.startsWith('scale')) fillScale(values, layer, index, next);
  else if (layer === 'cls_embedding')
    fillEach(values, () => (GAINS[layer] ?? NaN) * (2 * (next() / STEPS) - 1));
  else if (index === 0) fillRows(values, shape, GAINS[layer] ?? 1, next);
  else fillBias(values, layer, next);
  return values;
}

/** The i-th call gives n(blob, i): a 24-bit integer from a hash of the name and the position. */
function makeGenerator(blob: string): () => number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(blob)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  let state = hash;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return ((mixed ^ (mixed >>> 16)) >>> 0) >>> 8;
  };
}

function fillEach(values: Float32Array, make: () => number): void {
  for (let i = 0; i < values.length; i += 1) values[i] = make();
}

/** Rows of mean zero exactly, so that no layer adds a constant of its own. */
function fillRows(values: Float32Array, shape: readonly number[], gain: number, next: () => number): void {
  const [rows = 1] = shape;
  const size = values.length / rows;
  const deviation = gain * Math.sqrt(12 / size);
  const row = new Float64Array(size);
  for (let start = 0; start < values.length; start += size) {
    let sum = 0;
    for (let i = 0; i < size; i += 1) sum += row[i] = next();
    const mean = sum / size;
    for (let i = 0; i < size; i += 1) values[start + i] = ((row[i]! - mean) / STEPS) * deviation;
  }
}

function fillBias(values: Float32Array, layer: string, next: () => number): void {
  const amplitude = BIAS_AMPLITUDES[layer] ?? NaN;
  for (let i = 0; i < values.length; i += 1) {
    const bias = amplitude * (next() / STEPS - 0.5);
    values[i] = layer === 'cls_score' && i === 0 ? bias + CLASS_BACKGROUND_BIAS : bias;
  }
}

function fillBatchNorm(values: Float32Array, layer: string, index: number, next: () => number): void {
  const variance = VARIANCES[layer] ?? NaN;
  const factor = Math.fround(0.5 + makeGenerator(`${layer}/2`)() / STEPS);
  if (index === 0) {
    fillEach(values, () => Math.sqrt(variance) * (0.4 * (next() / STEPS - 0.5)) * factor);
  } else if (index === 1) {
    fillEach(values, () => variance * (0.5 + next() / STEPS) * factor);
  } else {
    values[0] = factor;
  }
}

function fillScale(values: Float32Array, layer: string, index: number, next: () => number): void {
  const gain = layer.endsWith('branch2c') ? 0.35 : 1;
  if (index === 0) fillEach(values, () => gain * (0.75 + 0.5 * (next() / STEPS)));
  else fillEach(values, () => 0.3 * (next() / STEPS - 0.5));
}
