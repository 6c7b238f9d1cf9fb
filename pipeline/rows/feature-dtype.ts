import { BOXES, FEATURE_DIM } from './row-shape.ts';

export type FeatureDtype = 'f32' | 'f16' | 'bf16';

export const FEATURE_DTYPES: readonly FeatureDtype[] = ['f32', 'f16', 'bf16'];

/** Bytes of one stored feature value. */
export const DTYPE_BYTES: Record<FeatureDtype, number> = { f32: 4, f16: 2, bf16: 2 };

export const DTYPE_SAFETENSORS = { f32: 'F32', f16: 'F16', bf16: 'BF16' } as const;

/** Bytes of one image's features [36, 2048] in a store of this dtype. */
export function storedFeatureBytes(dtype: FeatureDtype): number {
  return BOXES * FEATURE_DIM * DTYPE_BYTES[dtype];
}

/** Largest float32 bit pattern that does not round to infinity. */
const LAST_FINITE_BITS: Record<FeatureDtype, number> = { f32: 0x7f7fffff, f16: 0x477fefff, bf16: 0x7f7f7fff };

export function lastFiniteBits(dtype: FeatureDtype): number {
  return LAST_FINITE_BITS[dtype];
}

/**
 * Rounds non-negative float32 bit patterns to f16 or bf16, to nearest, ties to even.
 * `from` and `to` have the same length. Negative zero becomes zero's own bit pattern with its sign.
 */
export function narrowFeatures(from: Uint32Array, to: Uint16Array, dtype: 'f16' | 'bf16'): void {
  if (dtype === 'bf16') {
    for (let index = 0; index < from.length; index++) {
      const bits = from[index]!;
      to[index] = (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
    }
    return;
  }
  const value = new Float32Array(1);
  const valueBits = new Uint32Array(value.buffer);
  for (let index = 0; index < from.length; index++) {
    const bits = from[index]!;
    if (bits === 0) to[index] = 0;
    else if (bits >= SMALLEST_NORMAL_HALF && bits < FIRST_INFINITE_HALF) {
      to[index] = (bits - 0x38000000 + 0xfff + ((bits >>> 13) & 1)) >>> 13;
    } else {
      valueBits[0] = bits;
      to[index] = narrowRareFloat(value[0] ?? NaN);
    }
  }
}

/** Float32 bit patterns between which a half is normal. */
const SMALLEST_NORMAL_HALF = 0x38800000;
const FIRST_INFINITE_HALF = 0x47800000;

/** Half of a value below the smallest normal half, negative zero, or too large for a half. */
function narrowRareFloat(value: number): number {
  if (Object.is(value, -0)) return 0x8000;
  if (Number.isNaN(value)) return 0x7e00;
  if (value >= 1) return 0x7c00;
  // Subnormal halves are multiples of 2^-24; the product is exact in float64.
  const steps = value * 2 ** 24;
  const below = Math.floor(steps);
  const rest = steps - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}

let halves: Float32Array | undefined;

/** The value of each of the 65,536 halves. */
function halfValues(): Float32Array {
  return (halves ??= Float32Array.from({ length: 0x10000 }, (_, bits) => {
    const sign = bits >>> 15 === 0 ? 1 : -1;
    const exponent = (bits >>> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
    return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (0x400 + fraction) * 2 ** (exponent - 25);
  }));
}

/** Widens stored features to float32 values. */
export function widenFeatures(stored: Uint8Array, dtype: FeatureDtype): Float32Array {
  const memory = stored.buffer;
  if (dtype === 'f32') return new Float32Array(memory, stored.byteOffset, stored.length / 4);
  const narrow = new Uint16Array(memory, stored.byteOffset, stored.length / 2);
  if (dtype === 'f16') {
    const values = halfValues();
    const wide = new Float32Array(narrow.length);
    for (let index = 0; index < narrow.length; index++) wide[index] = values[narrow[index]!]!;
    return wide;
  }
  const bits = new Uint32Array(narrow.length);
  for (let index = 0; index < narrow.length; index++) bits[index] = narrow[index]! << 16;
  return new Float32Array(bits.buffer);
}
