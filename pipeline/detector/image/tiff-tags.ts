const COMPRESSION = 259;
const PHOTOMETRIC = 262;
const YCBCR = 6;
/** Old and new JPEG inside TIFF: the decoder of the JPEG converts colours. */
const JPEG_CODINGS: readonly number[] = [6, 7];

/** Whether the first picture of a TIFF has YCbCr colours that nothing converts: libvips gives them as if they were RGB. */
export function hasRawYcbcr(tiff: Buffer): boolean {
  const tags = readTags(tiff);
  return tags.get(PHOTOMETRIC) === YCBCR && !JPEG_CODINGS.includes(tags.get(COMPRESSION) ?? 1);
}

/** Tags of the first directory with their first value, as a number of 16 bits; empty where it cannot be read. */
function readTags(tiff: Buffer): Map<number, number> {
  const tags = new Map<number, number>();
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.length);
  const little = tiff[0] === 0x49;
  const isBig = view.getUint16(2, little) === 43;
  try {
    const start = isBig ? Number(view.getBigUint64(8, little)) : view.getUint32(4, little);
    const count = isBig ? Number(view.getBigUint64(start, little)) : view.getUint16(start, little);
    const [countBytes, entryBytes, valueAt] = isBig ? [8, 20, 12] : [2, 12, 8];
    for (let i = 0; i < count; i += 1) {
      const entry = start + countBytes + i * entryBytes;
      tags.set(view.getUint16(entry, little), view.getUint16(entry + valueAt, little));
    }
  } catch {
    // The directory lies beyond the end of the file; libvips gives the reason when it decodes.
  }
  return tags;
}
