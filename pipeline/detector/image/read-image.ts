import { errorText, isErrno, LxmertDataError } from '../../errors.ts';
import { readRegular } from '../../files/open-checked.ts';
import { type ImageFormat, imageKindOf, READ_FORMATS } from './image-format.ts';

/** Enough for the largest picture that is decoded, uncompressed. */
const MAX_BYTES = 2 ** 30;

export interface ImageFile {
  readonly bytes: Buffer;
  readonly format: ImageFormat;
}

/**
 * Reads an image file and recognises its format by its content. A FIFO or a device is refused and does not hang.
 *
 * @throws LxmertDataError ERR_IMAGE if it cannot be read, is too large, or is no image of a format that is decoded.
 */
export async function readImageFile(path: string): Promise<ImageFile> {
  const bytes = await readRegular(path, { maxBytes: MAX_BYTES }).catch((error: unknown) => {
    throw cannotRead(path, error);
  });
  if (bytes.length === 0) {
    throw new LxmertDataError('ERR_IMAGE', { what: 'the image file is empty', where: path });
  }
  const kind = imageKindOf(bytes);
  if (kind.format !== undefined) return { bytes, format: kind.format };
  throw new LxmertDataError('ERR_IMAGE', {
    what: 'this is not an image of a format that is read',
    where: path,
    expected: READ_FORMATS,
    got: kind.what,
    hint: kind.hint,
  });
}

function cannotRead(path: string, error: unknown): LxmertDataError {
  if (error instanceof LxmertDataError)
    return new LxmertDataError('ERR_IMAGE', { ...error.parts, cause: error });
  return new LxmertDataError('ERR_IMAGE', {
    what: 'cannot read the image',
    where: path,
    // ENXIO: a socket or a device without a driver.
    got: isErrno(error, 'ENXIO') ? 'a special file, not a regular one' : errorText(error),
    cause: error,
  });
}
