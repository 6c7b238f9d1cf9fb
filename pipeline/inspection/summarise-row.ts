import { crc32 } from 'node:zlib';
import { checkColumns, checkFeatures } from '../rows/check-row.ts';
import { type Flaw, flawOf, type RowProblem } from '../problem.ts';
import {
  floatColumn,
  continueRowCrc,
  imageSize,
  recordColumn,
  rowCrcOf,
  type RowRecord,
} from '../rows/row-record.ts';
import { boxAt, BOXES, FEATURE_DIM, type RowShape } from '../rows/row-shape.ts';

/** What can be wrong with an image, as bits. */
export const FLAW = {
  damaged: 1,
  not_finite: 2,
  negative: 4,
  boxes: 8,
  classes: 16,
  confidences: 32,
} as const satisfies Readonly<Record<Flaw | 'damaged', number>>;

/** Numbers of one image, each at its index among `SUMMARY_FIELDS` numbers. */
export const SUMMARY = {
  flaws: 0,
  /** Boxes whose 2048 values are all zero. */
  emptyBoxes: 1,
  /** Boxes with the coordinates, or the features, of an earlier box. */
  repeatedBoxes: 2,
  repeatedFeatures: 3,
  normLeast: 4,
  normMost: 5,
  zeros: 6,
  meanConfidence: 7,
  /** Area of the smallest box by that of the image. */
  leastShare: 8,
  distinctObjects: 9,
  featuresCrc: 10,
  sumOfSquares: 11,
  width: 12,
  height: 13,
} as const;
export const SUMMARY_FIELDS = 14;

/** Norm and share of zeros of each box. */
export interface FeatureNorms {
  readonly norms: Float32Array;
  readonly zeros: Float32Array;
}

/** L2 norm of each of 36 feature vectors, NaN or Infinity where a value is; share of zeros. `features` is [36, 2048]. */
export function measureFeatures(features: Float32Array): FeatureNorms {
  const norms = new Float32Array(BOXES);
  const zeros = new Float32Array(BOXES);
  for (let box = 0; box < BOXES; box++) {
    // Four sums at a time: a processor adds them while it would wait for one.
    let [a, b, c, d] = [0, 0, 0, 0];
    let some = 0;
    const end = (box + 1) * FEATURE_DIM;
    for (let index = box * FEATURE_DIM; index < end; index += 4) {
      const [v, w, x, y] = [
        features[index]!,
        features[index + 1]!,
        features[index + 2]!,
        features[index + 3]!,
      ];
      a += v * v;
      b += w * w;
      c += x * x;
      d += y * y;
      some += Number(v !== 0) + Number(w !== 0) + Number(x !== 0) + Number(y !== 0);
    }
    norms[box] = Math.sqrt(a + b + (c + d));
    zeros[box] = 1 - some / FEATURE_DIM;
  }
  return { norms, zeros };
}

export interface StoredImage {
  /** As stored, for the checksum. */
  readonly stored: Uint8Array;
  /** [36, 2048], widened. */
  readonly features: Float32Array;
  readonly record: RowRecord;
  readonly shape: RowShape;
}

/** All problems of one stored image, as validation would find them. */
export function findRowProblems(image: Pick<StoredImage, 'features' | 'record' | 'shape'>): RowProblem[] {
  const { features, record, shape } = image;
  const problems: RowProblem[] = [];
  const report = (problem: RowProblem): void => void problems.push(problem);
  const bits = new Uint32Array(features.buffer, features.byteOffset, features.length);
  // A stored value was in the range of its dtype when it was rounded; widened it is in that of f32.
  checkFeatures(bits, 'f32', report);
  const columns = shape.binaryNames;
  checkColumns({ record, shape, readable: columns, size: imageSize(record) }, report);
  return problems.filter(problem => problem.severity === 'error');
}

/** Fills `into` with the numbers of one image. */
export function summariseRow(image: StoredImage, measured: FeatureNorms, into: Float64Array): void {
  const { stored, features, record, shape } = image;
  const columns = shape.binaryNames;
  const featuresCrc = crc32(stored);
  let flaws = continueRowCrc(featuresCrc, record, columns) === rowCrcOf(record) ? 0 : FLAW.damaged;
  for (const { code } of findRowProblems(image)) {
    const flaw = flawOf(code);
    if (flaw !== undefined) flaws |= FLAW[flaw];
  }
  const { height, width } = imageSize(record);
  const { norms, zeros } = measured;
  into[SUMMARY.flaws] = flaws;
  into[SUMMARY.emptyBoxes] = zeros.filter(share => share === 1).length;
  into[SUMMARY.repeatedBoxes] = countRepeatedBoxes(record);
  into[SUMMARY.repeatedFeatures] = countRepeatedFeatures(features, norms);
  into[SUMMARY.normLeast] = norms.reduce((a, b) => Math.min(a, b));
  into[SUMMARY.normMost] = norms.reduce((a, b) => Math.max(a, b));
  into[SUMMARY.zeros] = mean(zeros);
  into[SUMMARY.leastShare] = boxShares(record).reduce((a, b) => Math.min(a, b));
  into[SUMMARY.featuresCrc] = featuresCrc;
  into[SUMMARY.sumOfSquares] = norms.reduce((sum, norm) => sum + norm * norm, 0);
  into[SUMMARY.width] = width;
  into[SUMMARY.height] = height;
  into[SUMMARY.meanConfidence] = shape.name === 'obj36' ? mean(floatColumn(record, 'objects_conf')) : NaN;
  into[SUMMARY.distinctObjects] = shape.name === 'obj36' ? new Set(idColumn(record, 'objects_id')).size : NaN;
}

/** Area of each box by that of the image; 0 where it has none. */
export function boxShares(record: RowRecord): Float32Array {
  const { height, width } = imageSize(record);
  const boxes = floatColumn(record, 'boxes');
  return Float32Array.from({ length: BOXES }, (_, box) => {
    const [x1, y1, x2, y2] = boxAt(boxes, box);
    return (Math.max(0, x2 - x1) * Math.max(0, y2 - y1)) / (width * height);
  });
}

/** Class ids as numbers; an id beyond 2^53 loses digits, but it is not a class either way. */
export function idColumn(record: RowRecord, column: 'objects_id' | 'attrs_id'): number[] {
  const bytes = recordColumn(record, column);
  return Array.from({ length: BOXES }, (_, box) => Number(bytes.readBigInt64LE(box * 8)));
}

function mean(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function countRepeatedBoxes(record: RowRecord): number {
  const bytes = recordColumn(record, 'boxes');
  const seen = new Set<string>();
  for (let box = 0; box < BOXES; box++) seen.add(bytes.toString('latin1', box * 16, box * 16 + 16));
  return BOXES - seen.size;
}

/** Vectors are compared only where their norms agree to the bit. */
function countRepeatedFeatures(features: Float32Array, norms: Float32Array): number {
  const memory = Buffer.from(features.buffer, features.byteOffset, features.byteLength);
  const vector = (box: number): Buffer => memory.subarray(box * FEATURE_DIM * 4, (box + 1) * FEATURE_DIM * 4);
  let repeated = 0;
  for (let box = 1; box < BOXES; box++) {
    for (let other = 0; other < box; other++) {
      if (norms[other] !== norms[box] || norms[box] === 0 || !vector(other).equals(vector(box))) continue;
      repeated++;
      break;
    }
  }
  return repeated;
}
