import { DTYPE_SAFETENSORS, type FeatureDtype, storedFeatureBytes } from '../rows/feature-dtype.ts';
import { type RecordColumn, recordColumnSpan } from '../rows/row-record.ts';
import { BOXES, FEATURE_DIM, type RowShape } from '../rows/row-shape.ts';

/** The data section begins on a multiple of this: docs/format.md. */
export const DATA_ALIGNMENT = 32_768;
export const LENGTH_BYTES = 8;

export type TensorDtype = 'F32' | 'F16' | 'BF16' | 'I64' | 'I32' | 'U32' | 'U8';
export type TensorName = 'features' | RecordColumn | 'img_id' | 'source_form';

/** One tensor; `begin` and `end` count from the start of the data section. */
export interface TensorSpan {
  readonly name: TensorName;
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

const ELEMENT_BYTES: Record<TensorDtype, number> = { F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, U32: 4, U8: 1 };

export interface StoreLayoutInput {
  readonly rows: number;
  readonly dtype: FeatureDtype;
  readonly shape: RowShape;
  /** Bytes of the longest img_id. */
  readonly idBytes: number;
  /** Bytes of `source_form`, 0 for none. */
  readonly formBytes: number;
}

/** Tensors of a store with the trailing dimensions of each, in file order. */
export function tensorShapes(input: StoreLayoutInput): Omit<TensorSpan, 'begin' | 'end'>[] {
  const { rows, shape } = input;
  const has: ReadonlySet<string> = shape.binaryNames;
  const tensors: Omit<TensorSpan, 'begin' | 'end'>[] = [
    { name: 'features', dtype: DTYPE_SAFETENSORS[input.dtype], shape: [rows, BOXES, FEATURE_DIM] },
    { name: 'objects_id', dtype: 'I64', shape: [rows, BOXES] },
    { name: 'attrs_id', dtype: 'I64', shape: [rows, BOXES] },
    { name: 'boxes', dtype: 'F32', shape: [rows, BOXES, 4] },
    { name: 'objects_conf', dtype: 'F32', shape: [rows, BOXES] },
    { name: 'attrs_conf', dtype: 'F32', shape: [rows, BOXES] },
    { name: 'image_size', dtype: 'I32', shape: [rows, 2] },
    { name: 'crc32', dtype: 'U32', shape: [rows] },
    { name: 'img_id', dtype: 'U8', shape: [rows, input.idBytes] },
  ];
  if (input.formBytes > 0) tensors.push({ name: 'source_form', dtype: 'U8', shape: [input.formBytes] });
  const always = new Set(['image_size', 'crc32', 'img_id', 'source_form']);
  return tensors.filter(({ name }) => always.has(name) || has.has(name));
}

/** Puts the tensors one behind the other. */
export function planLayout(input: StoreLayoutInput): TensorSpan[] {
  let at = 0;
  return tensorShapes(input).map(tensor => {
    const begin = at;
    at += tensor.shape.reduce((product, extent) => product * extent, ELEMENT_BYTES[tensor.dtype]);
    return { ...tensor, begin, end: at };
  });
}

/** Bytes of a store without its header, for the check of free disk space. */
export function storeBytesFor(rows: number, dtype: FeatureDtype): number {
  return rows * (storedFeatureBytes(dtype) + recordColumnSpan('image_size').at + 64);
}
