import type { Bitmap } from './network-input.ts';
import { type BmpHeader, bmpTooShort, readBmpHeader } from './bmp-header.ts';
import { expandRle } from './bmp-rle.ts';

/**
 * Decodes a Windows or OS/2 bitmap, which libvips does not read: 1 to 32 bits, palettes, RLE4, RLE8 and bit fields.
 * A fourth channel is ignored. Colours of fewer than 8 bits are shifted up and not stretched, as OpenCV does it.
 *
 * @throws LxmertDataError ERR_IMAGE with what is invalid or missing.
 */
export function decodeBmp(bytes: Buffer): Bitmap {
  const header = readBmpHeader(bytes);
  const { width, height } = header;
  const readRow = header.coding.startsWith('rle') ? rleRows(bytes, header) : storedRows(bytes, header);
  const pixels = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y += 1) {
    const row = header.topDown ? y : height - 1 - y;
    readRow(y, pixels.subarray(row * width * 3, (row + 1) * width * 3));
  }
  return { height, width, pixels };
}

/** Writes row `y` of the file, as blue, green, red, into `to`. */
type ReadRow = (y: number, to: Uint8Array) => void;

function rleRows(bytes: Buffer, header: BmpHeader): ReadRow {
  const { width, palette } = header;
  const indices = expandRle(bytes, header);
  return (y, to) => {
    for (let x = 0; x < width; x += 1) copyColour(palette, indices[y * width + x]!, to, x);
  };
}

function storedRows(bytes: Buffer, { width, height, bits, palette, masks, offset }: BmpHeader): ReadRow {
  // Rows begin at multiples of four bytes.
  const stride = Math.ceil((width * bits) / 32) * 4;
  // The padding of the last row may be missing.
  const end = offset + stride * (height - 1) + Math.ceil((width * bits) / 8);
  if (bytes.length < end) throw bmpTooShort(end, bytes.length);
  if (bits === 24) {
    return (y, to) => to.set(bytes.subarray(offset + y * stride, offset + y * stride + 3 * width));
  }
  if (bits <= 8) {
    return (y, to) => {
      for (let x = 0; x < width; x += 1) {
        const bit = x * bits;
        const byte = bytes[offset + y * stride + (bit >> 3)]!;
        copyColour(palette, (byte >> (8 - bits - (bit & 7))) & (2 ** bits - 1), to, x);
      }
    };
  }
  const channels = masks.map(takeBits);
  return (y, to) => {
    for (let x = 0; x < width; x += 1) {
      const position = offset + y * stride + (x * bits) / 8;
      const value = bits === 16 ? bytes.readUInt16LE(position) : bytes.readUInt32LE(position);
      for (let channel = 0; channel < 3; channel += 1) to[3 * x + channel] = channels[channel]!(value);
    }
  };
}

function copyColour(palette: Uint8Array, index: number, to: Uint8Array, x: number): void {
  for (let channel = 0; channel < 3; channel += 1) to[3 * x + channel] = palette[3 * index + channel]!;
}

/** Takes the bits of a mask out of a pixel, as the upper bits of a byte. */
function takeBits(mask: number): (value: number) => number {
  const top = 31 - Math.clz32(mask);
  return value => {
    const bits = (value & mask) >>> 0;
    return top >= 7 ? bits >>> (top - 7) : bits << (7 - top);
  };
}
