import { errorText, LxmertDataError } from '../../errors.ts';
import { decodeBmp } from './decode-bmp.ts';
import { decodeJpeg } from './decode-jpeg.ts';
import { explainFailure, WORDLESS } from './explain-failure.ts';
import { MAX_PIXELS } from './image-format.ts';
import type { Bitmap } from './network-input.ts';
import { convertInvertedCmyk, hasAdobeMarker, invert, swapRedAndBlue } from './pixel-order.ts';
import { type ImageFile, readImageFile } from './read-image.ts';
import { sharp, type Sharp } from './sharp.ts';
import { hasRawYcbcr } from './tiff-tags.ts';

const ATTEMPTS = 10;

/**
 * Decodes an image to the pixels that OpenCV's imread gives: 8 bits, three channels, turned by its EXIF orientation,
 * colour profile ignored, alpha dropped (not blended), the first frame of an animation. Its content decides the format.
 *
 * @throws LxmertDataError ERR_IMAGE with the reason if the file is not a readable image.
 */
export async function decodeImage(path: string): Promise<Bitmap> {
  const file = await readImageFile(path);
  for (let attempt = 1; ; attempt++) {
    try {
      return await decode(file);
    } catch (error) {
      // libvips has one error buffer for the whole process; another image may clear it. Decoding again gives the message.
      if (errorText(error) === WORDLESS && attempt < ATTEMPTS) continue;
      throw explainFailure(error, path, file);
    }
  }
}

async function decode({ bytes, format }: ImageFile): Promise<Bitmap> {
  if (format === 'BMP') return decodeBmp(bytes);
  if (format === 'JPEG') return await decodeJpeg(bytes, decodeWithVips);
  if (format === 'TIFF' && hasRawYcbcr(bytes)) {
    throw new LxmertDataError('ERR_IMAGE', {
      what: 'the colours of this TIFF are not read',
      expected: 'RGB, grey or a palette, or YCbCr with JPEG compression',
      got: 'YCbCr without JPEG compression',
      hint: 'convert it to PNG',
    });
  }
  // libvips only warns where a frame of a GIF ends early, and leaves the rest empty. In other formats a picture with a
  // damaged spot is read as OpenCV reads it, and a file that ends early is refused.
  return await decodeWithVips(bytes, format === 'GIF' ? 'warning' : 'error');
}

async function decodeWithVips(bytes: Buffer, failOn: 'error' | 'warning'): Promise<Bitmap> {
  const image = sharp(bytes, { ignoreIcc: true, failOn, limitInputPixels: false });
  const { space, format, width, height } = await image.metadata();
  if (width * height > MAX_PIXELS) {
    throw new LxmertDataError('ERR_IMAGE', {
      what: 'the image is too large',
      expected: `at most ${MAX_PIXELS} pixels`,
      got: `${width * height} pixels (${width} x ${height})`,
      hint: 'make it smaller, or leave it out',
    });
  }
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
