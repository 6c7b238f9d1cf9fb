import sharp from 'sharp';
import type { Bitmap } from './network-input.ts';

export async function decodeImage(path: string): Promise<Bitmap> {
  const { data, info } = await sharp(path, { ignoreIcc: true, failOn: 'error' })
    .autoOrient()
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  const pixels = new Uint8Array(data.buffer, data.byteOffset, data.length);
  for (let i = 0; i < pixels.length; i += 3) {
    const red = pixels[i]!;
    pixels[i] = pixels[i + 2]!;
    pixels[i + 2] = red;
  }
  return { height: info.height, width: info.width, pixels };
}
