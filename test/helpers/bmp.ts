/** What `makeBmp` builds; bytes of pixels and palette as they stand in the file. */
export interface BmpParts {
  readonly width: number;
  /** Negative: from the top down. */
  readonly height: number;
  readonly bits: number;
  readonly data: Buffer;
  readonly compression?: number;
  /** 12 and 64: OS/2; 40 and more: Windows. */
  readonly headerSize?: number;
  /** Blue, green, red of each entry. */
  readonly palette?: readonly (readonly [number, number, number])[];
  /** Red, green, blue. */
  readonly masks?: readonly [number, number, number];
  /** Unused bytes between the palette and the pixels. */
  readonly gap?: number;
}

/** A BMP file with the given header. */
export function makeBmp(parts: BmpParts): Buffer {
  const { width, height, bits, data, palette = [], masks, headerSize = 40, gap = 0, compression = 0 } = parts;
  const header = Buffer.alloc(headerSize);
  header.writeUInt32LE(headerSize, 0);
  if (headerSize === 12) {
    for (const [i, value] of [width, height, 1, bits].entries()) header.writeUInt16LE(value, 4 + 2 * i);
  } else {
    header.writeInt32LE(width, 4);
    header.writeInt32LE(height, 8);
    header.writeUInt16LE(1, 12);
    header.writeUInt16LE(bits, 14);
    if (headerSize >= 40) {
      header.writeUInt32LE(compression, 16);
      header.writeUInt32LE(palette.length, 32);
    }
  }
  const maskBytes = Buffer.from(Uint32Array.from(masks ?? []).buffer);
  const colours = Buffer.from(palette.flatMap(colour => (headerSize === 12 ? colour : [...colour, 0])));
  const before = Buffer.concat([header, maskBytes, colours, Buffer.alloc(gap, 0xee)]);
  const start = Buffer.alloc(14);
  start.write('BM');
  start.writeUInt32LE(start.length + before.length + data.length, 2);
  start.writeUInt32LE(start.length + before.length, 10);
  return Buffer.concat([start, before, data]);
}
