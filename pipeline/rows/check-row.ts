import { caffeEdge, caffeLimits } from './clip-boundary.ts';
import { type FeatureDtype, lastFiniteBits } from './feature-dtype.ts';
import type { RowProblem } from '../problem.ts';
import { floatColumn, EDGE, recordColumn, type RowRecord, setEdge } from './row-record.ts';
import { ATTRIBUTE_CLASSES, boxAt, BOXES, FEATURE_DIM, OBJECT_CLASSES, type RowShape } from './row-shape.ts';

/** LXMERT asserts that normalised boxes stay below 1 + 1e-5. */
const RELATIVE_EDGE = 1e-5;
const CONFIDENCE_SLACK = 1e-6;
const INFINITY_BITS = 0x7f800000;
const NEGATIVE_ZERO_BITS = 0x80000000;

type Report = (problem: RowProblem) => void;

function fault(code: RowProblem['code'], column: string, expected: string, got: string): RowProblem {
  return { code, severity: 'error', column, expected, got };
}

/** Finite, >= 0 and within the dtype's range everywhere. A valid row costs one addition per value. */
export function checkFeatures(bits: Uint32Array, dtype: FeatureDtype, report: Report): void {
  const signed = new Int32Array(bits.buffer, bits.byteOffset, bits.length);
  // Patterns above the last finite one overflow to negative, and so do those with the sign bit.
  const margin = 0x7fffffff - lastFiniteBits(dtype);
  let signs = 0;
  for (let index = 0; index < signed.length; index++) {
    const value = signed[index]!;
    signs |= value | (value + margin);
  }
  if (signs < 0) explainFeatures(bits, dtype, report);
}

function explainFeatures(bits: Uint32Array, dtype: FeatureDtype, report: Report): void {
  const floats = new Float32Array(bits.buffer, bits.byteOffset, bits.length);
  const first = { not_finite: -1, negative: -1, dtype_range: -1 };
  const count = { not_finite: 0, negative: 0, dtype_range: 0 };
  for (let index = 0; index < bits.length; index++) {
    const value = bits[index]!;
    const kind =
      (value & INFINITY_BITS) === INFINITY_BITS
        ? 'not_finite'
        : value > NEGATIVE_ZERO_BITS
          ? 'negative'
          : value !== NEGATIVE_ZERO_BITS && value > lastFiniteBits(dtype)
            ? 'dtype_range'
            : undefined;
    if (kind === undefined) continue;
    if (count[kind]++ === 0) first[kind] = index;
  }
  const expected = {
    not_finite: 'finite values',
    negative: 'values >= 0 (they come from a ReLU)',
    dtype_range: `values that ${dtype} can hold`,
  };
  for (const kind of ['not_finite', 'negative', 'dtype_range'] as const) {
    if (count[kind] === 0) continue;
    const at = first[kind];
    const where = `box ${Math.floor(at / FEATURE_DIM)}, dimension ${at % FEATURE_DIM}`;
    report(fault(kind, 'features', expected[kind], `${floats[at]} at ${where}; ${count[kind]} such values`));
  }
}

function checkBox(boxes: Float32Array, box: number, height: number, width: number): RowProblem | undefined {
  const [x1, y1, x2, y2] = boxAt(boxes, box);
  const ordered = x1 < x2 && y1 < y2;
  if (
    ordered &&
    x1 >= 0 &&
    y1 >= 0 &&
    x2 <= width * (1 + RELATIVE_EDGE) &&
    y2 <= height * (1 + RELATIVE_EDGE)
  )
    return undefined;
  const got = `(${x1}, ${y1}, ${x2}, ${y2}) as box ${box}`;
  if (![x1, y1, x2, y2].every(Number.isFinite))
    return fault('not_finite', 'boxes', 'finite coordinates', got);
  if (!ordered) return fault('box_order', 'boxes', 'x1 < x2 and y1 < y2', got);
  return fault('box_range', 'boxes', `0 <= x <= ${width} and 0 <= y <= ${height}`, got);
}

/** Images of a few pixels may have boxes within the first one. */
const MIN_SIDE = 4;

/** Boxes divided by width and height pass every other check, and training divides them again. */
function checkPixels(boxes: Float32Array, height: number, width: number): RowProblem | undefined {
  if (height < MIN_SIDE || width < MIN_SIDE) return undefined;
  const withinOne = boxes.every(value => value <= 1 + RELATIVE_EDGE) && boxes.some(value => value > 0);
  if (!withinOne) return undefined;
  return {
    ...fault(
      'box_range',
      'boxes',
      `pixels of the ${width}x${height} image`,
      'coordinates from 0 to 1 only: divided by width and height already',
    ),
    hint: 'multiply x by the width and y by the height; training divides by them itself',
  };
}

export function checkBoxes(record: RowRecord, height: number, width: number, report: Report): void {
  const boxes = floatColumn(record, 'boxes');
  const normalised = checkPixels(boxes, height, width);
  if (normalised !== undefined) {
    setEdge(record, EDGE.before);
    report(normalised);
    return;
  }
  let bad = 0;
  for (let box = 0; box < BOXES; box++) {
    const problem = checkBox(boxes, box, height, width);
    if (problem === undefined) continue;
    bad++;
    report(problem);
  }
  if (bad > 0) {
    setEdge(record, EDGE.before);
    return;
  }
  const edge = caffeEdge(boxes, height, width);
  setEdge(record, edge);
  if (edge === EDGE.beyond) report(describeBeyond(height, width));
}

function describeBeyond(height: number, width: number): RowProblem {
  const { x2, y2 } = caffeLimits(height, width);
  return {
    code: 'provenance',
    severity: 'warning',
    column: 'boxes',
    expected: `no box beyond x ${x2.toFixed(3)}, y ${y2.toFixed(3)}, where Caffe clips its proposals`,
    got: `boxes up to the border of the ${width}x${height} image`,
    hint: 'these features come from another detector or another image size; do not mix them with published ones',
  };
}

function checkIds(
  record: RowRecord,
  column: 'objects_id' | 'attrs_id',
  classes: number,
  report: Report,
): void {
  const bytes = recordColumn(record, column);
  for (let box = 0; box < BOXES; box++) {
    if (bytes.readUInt32LE(box * 8 + 4) === 0 && bytes.readUInt32LE(box * 8) < classes) continue;
    report(
      fault('class_id', column, `0 to ${classes - 1}`, `${bytes.readBigInt64LE(box * 8)} for box ${box}`),
    );
  }
}

function checkConfidences(record: RowRecord, column: 'objects_conf' | 'attrs_conf', report: Report): void {
  for (const [box, value] of floatColumn(record, column).entries()) {
    if (Number.isFinite(value)) {
      if (value >= 0 && value <= 1 + CONFIDENCE_SLACK) continue;
      report(fault('confidence', column, '0 to 1', `${value} for box ${box}`));
    } else report(fault('not_finite', column, 'finite values', `${value} for box ${box}`));
  }
}

/** The small columns of a row, and what is known of them. */
export interface CheckedColumns {
  readonly record: RowRecord;
  readonly shape: RowShape;
  /** Columns whose base64 could be decoded. */
  readonly readable: ReadonlySet<string>;
  /** Undefined where the size of the image could not be read. */
  readonly size: { readonly height: number; readonly width: number } | undefined;
}

/** All checks of a row's small columns. */
export function checkColumns({ record, shape, readable, size }: CheckedColumns, report: Report): void {
  if (readable.has('boxes') && size !== undefined) checkBoxes(record, size.height, size.width, report);
  if (shape.name !== 'obj36') return;
  if (readable.has('objects_id')) checkIds(record, 'objects_id', OBJECT_CLASSES, report);
  if (readable.has('attrs_id')) checkIds(record, 'attrs_id', ATTRIBUTE_CLASSES, report);
  if (readable.has('objects_conf')) checkConfidences(record, 'objects_conf', report);
  if (readable.has('attrs_conf')) checkConfidences(record, 'attrs_conf', report);
}
