import { errorText, LxmertDataError } from '../../errors.ts';
import { findScans } from './jpeg-scans.ts';
import type { Bitmap } from './network-input.ts';

const END = Buffer.from([0xff, 0xd9]);
const ATTEMPTS = 10;
const ENDS_EARLY = /premature end/i;
/** What sharp says where libvips' message is gone. */
const NO_REASON = /^(Unknown error|Warning treated as error due to failOn setting)$/;

/** Coded data of no meaning, without markers. */
const NOISE = Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 167 + (i >> 3) * 59 + 90) % 251));

/** Decodes a whole JPEG; `warning` fails on everything that a decoder notices, `error` on what it cannot go past. */
export type DecodeWhole = (jpeg: Buffer, failOn: 'error' | 'warning') => Promise<Bitmap>;

/**
 * Decodes a JPEG of which every pixel is there. A JPEG that lacks nothing but its end marker is read, and one with a
 * damaged spot as OpenCV reads it; one whose pixels end early is refused, with an end marker or without.
 *
 * @throws LxmertDataError ERR_IMAGE where pixels are missing; else what `decode` throws.
 */
export async function decodeJpeg(jpeg: Buffer, decode: DecodeWhole): Promise<Bitmap> {
  const { hasEnd, isComplete, scanEnds } = findScans(jpeg);
  if (!isComplete) throw missingPixels(jpeg);
  const whole = hasEnd ? jpeg : Buffer.concat([jpeg, END]);
  for (let attempt = 1; ; attempt += 1) {
    let message: string;
    try {
      return await decode(whole, 'warning');
    } catch (error) {
      // Nothing but its end may be missing, and its last pixels cannot be told from damage.
      if (!hasEnd) throw missingPixels(jpeg, error);
      message = errorText(error);
    }
    // Another image that fails at the same time may take this one's message or add its own: decode again.
    if (NO_REASON.test(message) && attempt < ATTEMPTS) continue;
    if (!ENDS_EARLY.test(message) && !NO_REASON.test(message)) break;
    if (attempt > 1) throw missingPixels(jpeg, message);
  }
  const bitmap = await decode(whole, 'error');
  // libjpeg reports its first warning only, which may hide that of an early end.
  if (await takesMore(whole, scanEnds, bitmap, decode)) throw missingPixels(jpeg);
  return bitmap;
}

/**
 * Whether a decoder takes more data than the scans have: then pixels follow from whatever stands behind it. Data behind
 * a whole scan is skipped.
 */
async function takesMore(
  jpeg: Buffer,
  scanEnds: readonly number[],
  bitmap: Bitmap,
  decode: DecodeWhole,
): Promise<boolean> {
  const parts = [0, ...scanEnds].map((from, index) => jpeg.subarray(from, scanEnds[index]));
  const longer = Buffer.concat(parts.flatMap(part => [part, NOISE]).slice(0, -1));
  const other = await decode(longer, 'error').catch(() => undefined);
  return (
    other !== undefined &&
    !Buffer.from(other.pixels.buffer, other.pixels.byteOffset, other.pixels.length).equals(bitmap.pixels)
  );
}

function missingPixels(jpeg: Buffer, cause?: unknown): LxmertDataError {
  return new LxmertDataError('ERR_IMAGE', {
    what: 'pixels of this JPEG are missing',
    expected: 'a whole JPEG',
    got: `premature end of JPEG data; the file has ${jpeg.length} bytes`,
    hint: 'download or copy it again, or leave it out',
    cause,
  });
}
