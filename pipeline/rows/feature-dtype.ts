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
  const exact = new Float32Array(1);
  const exactBits = new Uint32Array(exact.buffer);
  const half = new Float16Array(1);
  const halfBits = new Uint16Array(half.buffer);
  for (let index = 0; index < from.length; index++) {
    const bits = from[index]!;
    if (bits === 0) to[index] = 0;
    else if (bits >= 0x38800000 && bits < 0x47800000) {
      to[index] = (bits - 0x38000000 + 0xfff + ((bits >>> 13) & 1)) >>> 13;
    } else {
      // Below the smallest normal half, or negative zero: rare, so the engine's own rounding will do.
      exactBits[0] = bits;
      half[0] = exact[0]!;
      to[index] = halfBits[0]!;
    }
  }
}

/** Widens stored features to float32 values. */
export function widenFeatures(stored: Uint8Array, dtype: FeatureDtype): Float32Array {
  const memory = stored.buffer;
  if (dtype === 'f32') return new Float32Array(memory, stored.byteOffset, stored.length / 4);
  if (dtype === 'f16')
    return Float32Array.from(new Float16Array(memory, stored.byteOffset, stored.length / 2));
  const halves = new Uint16Array(memory, stored.byteOffset, stored.length / 2);
  const bits = new Uint32Array(halves.length);
  for (let index = 0; index < halves.length; index++) bits[index] = halves[index]! << 16;
  return new Float32Array(bits.buffer);
}
