import type { ByteSource } from '../../pipeline/inputs/byte-source.ts';

/** Everything that a source gives, its end checked; the source is closed. */
export async function readAll(source: ByteSource): Promise<Buffer> {
  const pieces: Buffer[] = [];
  try {
    for (;;) {
      const piece = Buffer.alloc(1 << 20);
      const read = await source.read(piece);
      if (read === 0) break;
      pieces.push(piece.subarray(0, read));
    }
    await source.finish();
    return Buffer.concat(pieces);
  } finally {
    await source.close();
  }
}
