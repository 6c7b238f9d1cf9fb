import { stat } from 'node:fs/promises';
import { errorText } from '../errors.ts';
import { listImages } from '../extraction/list-images.ts';
import { readImageFile } from '../detector/image/read-image.ts';
import { sharp, type Sharp } from '../detector/image/sharp.ts';

/** Longest side up to which pictures are WebP. */
const WEBP_SIDE = 240;

export interface Picture {
  /** At most `side` pixels long on its longer side. */
  readonly bytes: Buffer;
  readonly type: 'jpeg' | 'webp';
  /** Said where the file is not of the size that the row names. */
  readonly note?: string;
}

export interface PictureFinder {
  /** Images whose picture was found so far. */
  readonly found: () => number;
  /** Image files below the folder; 0 where none was given. */
  readonly files: number;
  /** The picture of an image, made smaller; a sentence where there is none. */
  readonly find: (id: string, width: number, height: number, side: number) => Promise<Picture | string>;
}

/** Finds the pictures of images by img_id in a folder and its sub-folders, by the rule that extraction follows. */
export async function createPictureFinder(folder: string | undefined): Promise<PictureFinder> {
  if (folder === undefined) {
    const none = (): Promise<string> => Promise.resolve('no folder of images was given');
    return { files: 0, found: () => 0, find: none };
  }
  let found = 0;
  const { images } = await listImages(folder, true);
  const paths = new Map(images.map(({ img_id: id, path }) => [id, path]));
  return {
    files: images.length,
    found: () => found,
    async find(id, width, height, side) {
      const path = paths.get(id);
      if (path === undefined) return 'the folder has no such image';
      try {
        const picture = await readPicture(path, width, height, side);
        found++;
        return picture;
      } catch (error) {
        const reason = errorText(error).replaceAll(path, '').trim();
        const exists = await stat(path).catch(() => undefined);
        return exists === undefined ? 'the image is gone' : `the image cannot be read: ${reason}`;
      }
    },
  };
}

async function readPicture(path: string, width: number, height: number, side: number): Promise<Picture> {
  const { bytes: file } = await readImageFile(path);
  const open = (): Sharp => sharp(file, { failOn: 'error' });
  const { width: fileWidth, height: fileHeight, autoOrient } = await open().metadata();
  const turned = autoOrient.width === width && autoOrient.height === height;
  const asStored = fileWidth === width && fileHeight === height;
  const image = turned || !asStored ? open().autoOrient() : open();
  const scale = Math.min(1, side / Math.max(width, height));
  // The row's shape, whatever the file's: boxes are drawn to the row's pixels.
  const size = {
    width: Math.max(1, Math.round(width * scale)),
    height: Math.max(1, Math.round(height * scale)),
  };
  const small = image
    .resize({ ...size, fit: 'fill' })
    .flatten({ background: '#808080' })
    .toColourspace('srgb');
  // Of small pictures a JPEG's tables are a good part.
  const type = side <= WEBP_SIDE ? 'webp' : 'jpeg';
  const bytes = await (
    type === 'webp'
      ? small.webp({ quality: 60, effort: 2 })
      : small.jpeg({ quality: 74, chromaSubsampling: '4:2:0' })
  ).toBuffer();
  if (turned || asStored) return { bytes, type };
  const note = `the file is ${autoOrient.width} × ${autoOrient.height}, the row says ${width} × ${height}: not the image that the features are of, or resized since`;
  return { bytes, type, note };
}
