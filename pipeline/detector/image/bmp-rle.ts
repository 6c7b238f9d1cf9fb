import { type BmpHeader, bmpTooShort, refuse } from './bmp-header.ts';

const END_OF_LINE = 0;
const END_OF_BITMAP = 1;
const DELTA = 2;

/**
 * Expands RLE8 or RLE4 to one palette index a pixel, rows from the bottom up. Pixels that the data jumps over have
 * index 0.
 *
 * @throws LxmertDataError ERR_IMAGE where runs leave the picture, or the data ends before all pixels are there.
 */
export function expandRle(bytes: Buffer, { width, height, coding, offset }: BmpHeader): Uint8Array {
  const indices = new Uint8Array(width * height);
  const isNibbles = coding === 'rle4';
  let position = offset;
  let x = 0;
  let y = 0;
  const nextByte = (): number => {
    if (position >= bytes.length) throw bmpTooShort(position + 1, bytes.length);
    return bytes[position++]!;
  };
  const put = (count: number, pick: (i: number) => number): void => {
    if (y >= height || x + count > width) throw outside(x + count, y);
    for (let i = 0; i < count; i += 1) indices[y * width + x + i] = pick(i);
    x += count;
  };
  const putLiteral = (count: number): void => {
    const length = isNibbles ? Math.ceil(count / 2) : count;
    if (position + length > bytes.length) throw bmpTooShort(position + length, bytes.length);
    const start = position;
    put(count, isNibbles ? i => nibble(bytes[start + (i >> 1)]!, i) : i => bytes[start + i]!);
    // Literal runs fill whole words.
    position += length + (length & 1);
  };
  const outside = (column: number, row: number): Error =>
    refuse('a run leaves the picture', `${width} x ${height} pixels`, `column ${column} of row ${row}`);

  // The mark at the end may be missing where every pixel is there.
  while (!(position >= bytes.length && isFull(x, y))) {
    const count = nextByte();
    const value = nextByte();
    if (count > 0) put(count, isNibbles ? i => nibble(value, i) : () => value);
    else if (value === END_OF_BITMAP) break;
    else if (value === END_OF_LINE) [x, y] = [0, y + 1];
    else if (value === DELTA) {
      x += nextByte();
      y += nextByte();
      if (x > width || y > height) throw outside(x, y);
    } else putLiteral(value);
  }
  return indices;

  function isFull(column: number, row: number): boolean {
    return row >= height || (row === height - 1 && column === width);
  }
}

/** The upper half of a byte for pixels of even position, the lower for others. */
function nibble(byte: number, i: number): number {
  return i % 2 === 0 ? byte >> 4 : byte & 15;
}
