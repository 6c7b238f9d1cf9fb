import { readFile } from 'node:fs/promises';
import { sharp, type Sharp } from './sharp.ts';
import { errorText, LxmertDataError } from '../../errors.ts';
import { decodeBmp, isBmp } from './decode-bmp.ts';
import { convertInvertedCmyk, hasAdobeMarker, invert, swapRedAndBlue } from './pixel-order.ts';
import type { Bitmap } from './network-input.ts';

/** sharp's placeholder when libvips gives no message. */
const WORDLESS = 'Unknown error';
const ATTEMPTS = 10;

/**
 * Decodes an image to the pixels that OpenCV's imread gives: 8 bits, three channels, turned by its EXIF orientation,
 * colour profile ignored, alpha dropped (not blended), the first frame of an animation.
 *
 * @throws LxmertDataError ERR_IMAGE with the reason if the file is not a readable image.
 */
export async function decodeImage(path: string): Promise<Bitmap> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await decode(path);
    } catch (error) {
      // libvips has one error buffer for the whole process; another image may clear it. Decoding again gives the message.
      if (error instanceof Error && error.message === WORDLESS && attempt < ATTEMPTS) continue;
      throw explain(error, path);
    }
  }
}

function explain(error: unknown, path: string): LxmertDataError {
  if (error instanceof LxmertDataError) return error;
  const message = errorText(error);
  // Images that fail at the same time append to the same buffer.
  const lines = new Set(message.replace(`${path}: `, '').split('\n'));
  const got = [...lines].join(' ').trim().replaceAll(/\s+/g, ' ');
  return new LxmertDataError('ERR_IMAGE', { what: 'cannot read the image', where: path, got, cause: error });
}

async function decode(path: string): Promise<Bitmap> {
  const bytes = await readFile(path);
  if (bytes.length === 0) {
    throw new LxmertDataError('ERR_IMAGE', { what: 'the image file is empty', where: path });
  }
  if (isBmp(bytes)) return decodeBmp(bytes);
  // A picture with a damaged spot is read as OpenCV reads it; a file that ends early is refused.
  const image = sharp(bytes, { ignoreIcc: true, failOn: 'error' });
  const { space, format } = await image.metadata();
  const oriented = image.autoOrient().removeAlpha();
  if (space === 'cmyk') {
    const { height, width, pixels } = await readPixels(
      oriented.pipelineColourspace('cmyk').toColourspace('cmyk'),
      4,
    );
    // libvips turns the inverted values of Adobe's JPEGs around, OpenCV takes every JPEG's as they are.
    const isPlainJpeg = format === 'jpeg' && !hasAdobeMarker(bytes);
    return { height, width, pixels: convertInvertedCmyk(isPlainJpeg ? pixels : invert(pixels)) };
  }
  const bitmap = await readPixels(oriented.toColourspace('srgb'), 3);
  return { ...bitmap, pixels: swapRedAndBlue(bitmap.pixels) };
}

async function readPixels(image: Sharp, channels: number): Promise<Bitmap> {
  const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  if (info.channels !== channels) {
    throw new LxmertDataError('ERR_IMAGE', {
      what: 'the image has colours of an unknown kind',
      got: `${info.channels} channels`,
    });
  }
  const pixels = new Uint8Array(data.buffer, data.byteOffset, data.length);
  return { height: info.height, width: info.width, pixels };
}
