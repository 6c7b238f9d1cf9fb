import { decode } from 'bmp-ts';
import type { Bitmap } from './network-input.ts';

const WIDTH_AT = 18;
const HEIGHT_AT = 22;
const HEADER_BYTES = 26;
/** As libvips: larger images are damaged files or attacks. */
const MAX_PIXELS = 2 ** 28;

export function isBmp(bytes: Buffer): boolean {
  return bytes.length > HEADER_BYTES && bytes.toString('latin1', 0, 2) === 'BM';
}

/** Windows bitmaps, which libvips does not read and OpenCV does. */
export function decodeBmp(bytes: Buffer): Bitmap {
  const claimed = Math.abs(bytes.readInt32LE(WIDTH_AT) * bytes.readInt32LE(HEIGHT_AT));
  if (claimed > MAX_PIXELS) throw new RangeError(`${claimed} pixels are more than ${MAX_PIXELS}`);
  const { height, width, data } = decode(bytes);
  const pixels = new Uint8Array(height * width * 3);
  // Four bytes a pixel: alpha, blue, green, red.
  for (let i = 0; i < pixels.length; i += 1) pixels[i] = data[4 * Math.floor(i / 3) + 1 + (i % 3)]!;
  return { height, width, pixels };
}
