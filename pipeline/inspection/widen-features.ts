import { type FeatureDtype, widenFeatures } from '../rows/feature-dtype.ts';

/** Makes a function that widens many stored rows: of the 65,536 values that 16 bits can be, each is widened once. */
export function createWidener(dtype: FeatureDtype): (stored: Uint8Array, into: Float32Array) => Float32Array {
  if (dtype === 'f32') return stored => widenFeatures(stored, dtype);
  const all = Uint16Array.from({ length: 65_536 }, (_, index) => index);
  const values = widenFeatures(new Uint8Array(all.buffer), dtype);
  return (stored, into) => {
    const halves = new Uint16Array(stored.buffer, stored.byteOffset, stored.length / 2);
    for (let index = 0; index < halves.length; index++) into[index] = values[halves[index]!]!;
    return into;
  };
}
