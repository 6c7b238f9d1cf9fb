import { readBmpHeader } from './bmp-header.ts';
import { readImageFile } from './read-image.ts';
import { sharp } from './sharp.ts';

/** Pixels that an image has by its header; 0 where that cannot be read, for which decoding gives the reason. */
export async function countPixels(path: string): Promise<number> {
  try {
    const { bytes, format } = await readImageFile(path);
    const { width, height } =
      format === 'BMP' ? readBmpHeader(bytes) : await sharp(bytes, { limitInputPixels: false }).metadata();
    return width * height;
  } catch {
    return 0;
  }
}
