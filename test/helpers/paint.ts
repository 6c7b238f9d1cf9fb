import sharp from 'sharp';
import { seededRandom } from '../../pipeline/rows/synthetic-row.ts';

/** Noise in blocks, so that there is something to see. */
export async function paint(path: string, width: number, height: number): Promise<void> {
  const random = seededRandom(height * width);
  const blocks = Buffer.from(Array.from({ length: 12 * 16 * 3 }, () => random() * 256));
  const image = sharp(blocks, { raw: { height: 12, width: 16, channels: 3 } });
  await image.resize(width, height, { fit: 'fill', kernel: 'nearest' }).png().toFile(path);
}
