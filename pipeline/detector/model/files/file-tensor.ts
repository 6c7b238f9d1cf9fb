/** One tensor of a file of weights, read when asked for. */
export interface FileTensor {
  /** `float32`, `float64`, or the file's own name of another type, which cannot be read. */
  readonly type: string;
  readonly shape: readonly number[];
  /** Row-major values, rounded to float32. */
  readonly read: () => Promise<Float32Array>;
}

/** Tensors by their names in the file. */
export type TensorFile = ReadonlyMap<string, FileTensor>;

/** How a tensor's values lie in a run of numbers. */
export interface TensorLayout {
  readonly offset: number;
  readonly shape: readonly number[];
  /** Steps in numbers, not in bytes. */
  readonly strides: readonly number[];
}

const MAX_VALUES = 2 ** 27;

/** Strides of a row-major tensor, or of a column-major one. */
export function denseStrides(shape: readonly number[], isFortran = false): number[] {
  const strides = shape.map(() => 1);
  const order = isFortran ? shape.map((_size, axis) => axis) : shape.map((_size, axis) => axis).reverse();
  let step = 1;
  for (const axis of order) {
    strides[axis] = step;
    step *= shape[axis]!;
  }
  return strides;
}

/**
 * Gathers a tensor from little-endian numbers, row-major.
 *
 * @throws RangeError where it reaches beyond them, or is larger than any tensor of the detector
 */
export function gatherValues(bytes: Buffer, type: 'float32' | 'float64', layout: TensorLayout): Float32Array {
  const { offset, shape, strides } = layout;
  const count = shape.reduce((product, size) => product * size, 1);
  if (count > MAX_VALUES) throw new RangeError(`a tensor of ${count} numbers`);
  const size = type === 'float32' ? 4 : 8;
  const last = offset + shape.reduce((sum, length, axis) => sum + (length - 1) * strides[axis]!, 0);
  if (count > 0 && (last + 1) * size > bytes.length)
    throw new RangeError(`it needs ${(last + 1) * size} bytes, and ${bytes.length} are there`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const read =
    type === 'float32'
      ? (at: number) => view.getFloat32(4 * at, true)
      : (at: number) => view.getFloat64(8 * at, true);
  const values = new Float32Array(count);
  const index = shape.map(() => 0);
  let at = offset;
  for (let i = 0; i < count; i++) {
    values[i] = read(at);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      at -= index[axis]! * strides[axis]!;
      index[axis] = 0;
    }
  }
  return values;
}
