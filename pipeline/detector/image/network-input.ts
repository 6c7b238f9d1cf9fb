import { LxmertDataError } from '../../errors.ts';
import { detectorScale, roundHalfEven } from '../../rows/clip-boundary.ts';

const { fround } = Math;

/** Mean of the training images: blue, green, red. */
const PIXEL_MEANS = [102.9801, 115.9465, 122.7717] as const;

/** A decoded image as OpenCV gives it. */
export interface Bitmap {
  readonly height: number;
  readonly width: number;
  /** (height, width, 3), blue first. */
  readonly pixels: Uint8Array;
}

/** What the network reads, with how it came to be. */
export interface NetworkInput {
  readonly height: number;
  readonly width: number;
  /** Pixels of the input for one pixel of the image. */
  readonly scale: number;
  /** (1, 3, height, width): planes of blue, green, red. */
  readonly data: Float32Array;
}

/** Size that the network sees of an image of this size. */
export function measureInput(
  height: number,
  width: number,
): { height: number; width: number; scale: number } {
  const scale = detectorScale(height, width);
  return { height: roundHalfEven(height * scale), width: roundHalfEven(width * scale), scale };
}

/** Least side of a region that the network proposes, in pixels of the image. */
const MIN_REGION = 16;

/**
 * Fails (ERR_IMAGE) for an image so narrow that no region can be proposed in it, which ends the original Caffe without
 * a word.
 */
export function checkInputSize(height: number, width: number): void {
  const input = measureInput(height, width);
  if (Math.min(input.height, input.width) >= fround(MIN_REGION * fround(input.scale))) return;
  throw new LxmertDataError('ERR_IMAGE', {
    what: `the image is too narrow for the network, which needs sides of at least ${MIN_REGION} pixels`,
    got: `${width} x ${height} pixels`,
    hint: 'leave it out',
  });
}

/** Takes the mean off and resizes, with OpenCV's arithmetic: float32, no smoothing when shrinking. */
export function makeNetworkInput(bitmap: Bitmap): NetworkInput {
  const size = measureInput(bitmap.height, bitmap.width);
  // OpenCV turns a linear resize to exactly half into the mean of 2 x 2 pixels.
  const data = size.scale === 0.5 ? halveBitmap(bitmap, size) : interpolateBitmap(bitmap, size);
  return { ...size, data };
}

/** The 256 values that a channel of the image can have after the mean is taken off. */
const SHIFTED = PIXEL_MEANS.map(mean => Float32Array.from({ length: 256 }, (_, value) => value - mean));

interface Size {
  readonly height: number;
  readonly width: number;
  readonly scale: number;
}

interface Taps {
  /** Lower neighbour of each sample, before it is cut to the image. */
  readonly index: Int32Array;
  /** Weight of the upper neighbour. */
  readonly weight: Float32Array;
}

function findTaps(count: number, scale: number): Taps {
  const index = new Int32Array(count);
  const weight = new Float32Array(count);
  const step = 1 / scale;
  for (let i = 0; i < count; i += 1) {
    const position = fround((i + 0.5) * step - 0.5);
    index[i] = Math.floor(position);
    weight[i] = position - index[i]!;
  }
  return { index, weight };
}

function interpolateBitmap({ height, width, pixels }: Bitmap, size: Size): Float32Array {
  const plane = size.height * size.width;
  const data = new Float32Array(3 * plane);
  const columns = findTaps(size.width, size.scale);
  for (let i = 0; i < size.width; i += 1) {
    // Across, a sample beyond the border is the border pixel itself; down, it is mixed from two equal ones.
    if (columns.index[i]! >= 0 && columns.index[i]! < width - 1) continue;
    columns.index[i] = columns.index[i]! < 0 ? 0 : width - 1;
    columns.weight[i] = 0;
  }
  const rows = findTaps(size.height, size.scale);
  const cut = (row: number): number => Math.min(Math.max(row, 0), height - 1);
  for (const [channel, shifted] of SHIFTED.entries()) {
    const stretchRow = (row: number, into: Float32Array): void => {
      for (let i = 0; i < size.width; i += 1) {
        const at = (row * width + columns.index[i]!) * 3 + channel;
        const weight = columns.weight[i]!;
        const value = shifted[pixels[at]!]!;
        const next = weight === 0 ? 0 : shifted[pixels[at + 3]!]!;
        into[i] = fround(value * fround(1 - weight)) + fround(next * weight);
      }
    };
    let [upper, lower] = [new Float32Array(size.width), new Float32Array(size.width)];
    let [upperRow, lowerRow] = [-1, -1];
    for (let y = 0; y < size.height; y += 1) {
      const [first, second] = [cut(rows.index[y]!), cut(rows.index[y]! + 1)];
      if (first !== upperRow) {
        if (first === lowerRow) [upper, lower, upperRow, lowerRow] = [lower, upper, lowerRow, upperRow];
        else stretchRow(first, upper);
        upperRow = first;
      }
      if (second !== lowerRow) {
        if (second === upperRow) lower.set(upper);
        else stretchRow(second, lower);
        lowerRow = second;
      }
      const weight = rows.weight[y]!;
      const rest = fround(1 - weight);
      const start = channel * plane + y * size.width;
      for (let i = 0; i < size.width; i += 1) {
        data[start + i] = fround(upper[i]! * rest) + fround(lower[i]! * weight);
      }
    }
  }
  return data;
}

function halveBitmap({ height, width, pixels }: Bitmap, size: Size): Float32Array {
  const data = new Float32Array(3 * size.height * size.width);
  let filled = 0;
  for (const [channel, shifted] of SHIFTED.entries()) {
    for (let y = 0; y < 2 * size.height; y += 2) {
      for (let x = 0; x < 2 * size.width; x += 2) {
        let sum = 0;
        let count = 0;
        for (let row = y; row < Math.min(y + 2, height); row += 1) {
          for (let column = x; column < Math.min(x + 2, width); column += 1) {
            sum = fround(sum + shifted[pixels[(row * width + column) * 3 + channel]!]!);
            count += 1;
          }
        }
        data[filled] = sum / count;
        filled += 1;
      }
    }
  }
  return data;
}
