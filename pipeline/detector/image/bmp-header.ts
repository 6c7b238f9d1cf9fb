import { LxmertDataError } from '../../errors.ts';
import { MAX_PIXELS } from './image-format.ts';

/** Sizes of the headers of OS/2 (12, 16, 64) and Windows (40 and up); 52 and 56 are written by Adobe's programs. */
const HEADER_SIZES: readonly number[] = [12, 16, 40, 52, 56, 64, 108, 124];
const FILE_HEADER = 14;
const CORE_HEADER = 12;
const MASKS_AT = 54;

export type BmpCoding = 'rgb' | 'rle8' | 'rle4' | 'bitfields';

export interface BmpHeader {
  readonly width: number;
  readonly height: number;
  readonly topDown: boolean;
  readonly bits: 1 | 2 | 4 | 8 | 16 | 24 | 32;
  readonly coding: BmpCoding;
  /** Blue, green, red for each of 256 indices; black where the file has no colour. */
  readonly palette: Uint8Array;
  /** Masks of blue, green and red in a pixel of 16 or 32 bits. */
  readonly masks: readonly [number, number, number];
  /** Where the pixels begin in the file. */
  readonly offset: number;
}

/**
 * Reads the headers and the palette of a Windows or OS/2 bitmap.
 *
 * @throws LxmertDataError ERR_IMAGE with the field that is invalid or not supported.
 */
export function readBmpHeader(bytes: Buffer): BmpHeader {
  const size = bytes.length < FILE_HEADER + 4 ? 0 : bytes.readUInt32LE(FILE_HEADER);
  if (!HEADER_SIZES.includes(size)) {
    throw refuse('its header has an unknown size', HEADER_SIZES.join(', '), `${size} bytes`);
  }
  if (bytes.length < FILE_HEADER + size) throw bmpTooShort(FILE_HEADER + size, bytes.length);
  const isCore = size === CORE_HEADER;
  const width = isCore ? bytes.readUInt16LE(18) : bytes.readInt32LE(18);
  const signedHeight = isCore ? bytes.readUInt16LE(20) : bytes.readInt32LE(22);
  const height = Math.abs(signedHeight);
  checkSize(width, height);
  const bits = readBits(bytes.readUInt16LE(isCore ? 24 : 28));
  const coding = readCoding(size >= 40 ? bytes.readUInt32LE(30) : 0, bits, size);
  const topDown = signedHeight < 0;
  if (topDown && coding.startsWith('rle')) throw refuse('it is compressed and stored from the top down');
  const offset = bytes.readUInt32LE(10);
  if (offset < FILE_HEADER + size) {
    throw refuse('its pixels begin inside its header', `${FILE_HEADER + size} or more`, `${offset}`);
  }
  const palette = bits > 8 ? new Uint8Array(0) : readPalette(bytes, { size, bits, offset });
  return { width, height, topDown, bits, coding, palette, masks: readMasks(bytes, bits, coding), offset };
}

function checkSize(width: number, height: number): void {
  if (width < 1 || height < 1) throw refuse('it has no pixels', undefined, `${width} x ${height}`);
  if (width * height <= MAX_PIXELS) return;
  throw refuse(
    'it is too large',
    `at most ${MAX_PIXELS} pixels`,
    `${width * height} pixels are more than ${MAX_PIXELS}`,
  );
}

function readBits(value: number): BmpHeader['bits'] {
  switch (value) {
    case 1:
    case 2:
    case 4:
    case 8:
    case 16:
    case 24:
    case 32:
      return value;
    default:
      throw refuse('its pixels have an unknown size', '1, 2, 4, 8, 16, 24 or 32 bits', `${value} bits`);
  }
}

function readCoding(value: number, bits: number, headerSize: number): BmpCoding {
  // OS/2 gives 3 and 4 another meaning.
  const isOs2 = headerSize === 64;
  const hasMasks = [3, 6].includes(value) && [16, 32].includes(bits) && !isOs2;
  if (value === 0) return 'rgb';
  if (value === 1 && bits === 8) return 'rle8';
  if (value === 2 && bits === 4) return 'rle4';
  if (hasMasks) return 'bitfields';
  const names: Readonly<Record<number, string>> = isOs2
    ? { 3: 'Huffman 1D', 4: 'RLE24' }
    : { 4: 'an embedded JPEG', 5: 'an embedded PNG' };
  throw refuse(
    'its compression is not supported',
    'none, RLE8, RLE4 or bit fields',
    `${names[value] ?? `number ${value}`} with ${bits} bits a pixel`,
  );
}

function readPalette(
  bytes: Buffer,
  { size, bits, offset }: { readonly size: number; readonly bits: number; readonly offset: number },
): Uint8Array {
  const palette = new Uint8Array(256 * 3);
  const entry = size === CORE_HEADER ? 3 : 4;
  const start = FILE_HEADER + size;
  const used = size >= 40 ? bytes.readUInt32LE(46) : 0;
  const wanted = used === 0 ? 2 ** bits : Math.min(used, 2 ** bits);
  const count = Math.min(wanted, Math.floor((Math.min(offset, bytes.length) - start) / entry));
  for (let i = 0; i < count; i += 1) {
    palette.set(bytes.subarray(start + i * entry, start + i * entry + 3), 3 * i);
  }
  return palette;
}

function readMasks(bytes: Buffer, bits: number, coding: BmpCoding): BmpHeader['masks'] {
  if (coding !== 'bitfields') return bits === 16 ? [0x1f, 0x3e0, 0x7c00] : [0xff, 0xff00, 0xff0000];
  if (bytes.length < MASKS_AT + 12) throw bmpTooShort(MASKS_AT + 12, bytes.length);
  const masks = [8, 4, 0].map(position => bytes.readUInt32LE(MASKS_AT + position));
  const [blue = 0, green = 0, red = 0] = masks;
  // The bits of a mask are adjacent: with its trailing zeros filled, the mask is one less than a power of two.
  const isRun = (mask: number): boolean => {
    const whole = BigInt(mask);
    const filled = whole | (whole - 1n);
    return mask !== 0 && (filled & (filled + 1n)) === 0n && filled < 1n << BigInt(bits);
  };
  if (masks.every(isRun)) return [blue, green, red];
  throw refuse(
    'the masks of its colours are invalid',
    'adjacent bits of a pixel',
    masks.map(toHex).join(', '),
  );
}

function toHex(value: number): string {
  return `0x${value.toString(16)}`;
}

/** The error for a bitmap that ends before what its header promises. */
export function bmpTooShort(expected: number, got: number): LxmertDataError {
  return refuse('the file ends early', `at least ${expected} bytes`, `${got} bytes`);
}

/** The error for a bitmap that is invalid or not supported. */
export function refuse(reason: string, expected?: string, got?: string): LxmertDataError {
  return new LxmertDataError('ERR_IMAGE', {
    what: `cannot read the image, a BMP file: ${reason}`,
    expected,
    got,
    hint: 'convert it to PNG from its original, or leave it out',
  });
}
