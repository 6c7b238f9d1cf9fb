import type { Bitmap } from './network-input.ts';

const SIDE = 8;
/** Pillow weighs with integers of so many bits, and rounds to 8 bits after each direction. */
const PRECISION_BITS = 22;

/**
 * Average hash of an image as Python's imagehash gives it: grey, shrunk to 8 x 8 with Pillow's Lanczos filter, a bit for
 * each value above the mean; row by row, the first bit highest, in 16 hex digits.
 */
export function averageHash({ pixels, width, height }: Bitmap): string {
  const grey = toGrey(pixels, width * height);
  const rows = shrinkRows(grey, width, height);
  const small = transpose(shrinkRows(transpose(rows, SIDE, height), height, SIDE), SIDE, SIDE);
  const mean = small.reduce((sum, value) => sum + value, 0) / small.length;
  let hash = 0n;
  for (const value of small) hash = (hash << 1n) | (value > mean ? 1n : 0n);
  return hash.toString(16).padStart(16, '0');
}

/** Bits in which two hashes differ; 64 where one is no hash. */
export function countDifferentBits(a: string, b: string): number {
  if (!/^[0-9a-f]{16}$/i.test(a) || !/^[0-9a-f]{16}$/i.test(b)) return 64;
  return (BigInt(`0x${a}`) ^ BigInt(`0x${b}`)).toString(2).replaceAll('0', '').length;
}

/** ITU-R 601 in integers, as Pillow has it. Pixels have blue first. */
function toGrey(pixels: Uint8Array, count: number): Uint8Array {
  const grey = new Uint8Array(count);
  for (let at = 0; at < count; at++) {
    const [blue, green, red] = [pixels[3 * at]!, pixels[3 * at + 1]!, pixels[3 * at + 2]!];
    grey[at] = (red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16;
  }
  return grey;
}

/** Each row of `width` values becomes one of 8. */
function shrinkRows(values: Uint8Array, width: number, height: number): Uint8Array {
  const small = new Uint8Array(SIDE * height);
  for (let out = 0; out < SIDE; out++) {
    const { begin, weights } = windowOf(out, width);
    for (let row = 0; row < height; row++) {
      let sum = 2 ** (PRECISION_BITS - 1);
      for (const [index, weight] of weights.entries()) sum += values[row * width + begin + index]! * weight;
      small[row * SIDE + out] = Math.min(255, Math.max(0, Math.floor(sum / 2 ** PRECISION_BITS)));
    }
  }
  return small;
}

/** The values that one of 8 is made of, and their weights. Enlarging uses the filter at its own size. */
function windowOf(
  out: number,
  width: number,
): { readonly begin: number; readonly weights: readonly number[] } {
  const scale = width / SIDE;
  const stretch = Math.max(scale, 1);
  const support = 3 * stretch;
  const centre = (out + 0.5) * scale;
  const begin = Math.max(0, Math.trunc(centre - support + 0.5));
  const end = Math.min(width, Math.trunc(centre + support + 0.5));
  const exact = Array.from({ length: end - begin }, (_, index) =>
    lanczos((index + begin - centre + 0.5) / stretch),
  );
  const sum = exact.reduce((total, weight) => total + weight, 0);
  const weights = exact.map(weight => {
    const scaled = (weight / sum) * 2 ** PRECISION_BITS;
    return Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
  });
  return { begin, weights };
}

function lanczos(x: number): number {
  if (x < -3 || x >= 3) return 0;
  return sinc(x) * sinc(x / 3);
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function transpose(values: Uint8Array, width: number, height: number): Uint8Array {
  const turned = new Uint8Array(values.length);
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++)
      turned[column * height + row] = values[row * width + column]!;
  return turned;
}
