import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorText, LxmertDataError } from '../../errors.ts';
import { digestHandle } from '../../files/digest.ts';
import { openRegular } from '../../files/open-checked.ts';

/** A .sif begins with a line that starts it, and this. */
const MAGIC = { offset: 32, text: 'SIF_MAGIC' } as const;

/** How an image is made where no registry can be reached. */
export const SIF_RECIPE =
  'where Docker is: docker save NAME -o IMAGE.tar; here: apptainer build X.sif docker-archive:IMAGE.tar';

/**
 * Names an image for the rows it makes: the sha256 of a .sif, nothing for a folder. Throws ERR_INPUT where it is
 * neither, and where it does not exist.
 */
export async function identifyImage(path: string): Promise<string | undefined> {
  const found = await stat(path).catch((error: unknown) => {
    throw unusable(path, errorText(error), error);
  });
  if (found.isDirectory()) {
    const isImage = await stat(join(path, '.singularity.d')).then(
      () => true,
      () => false,
    );
    if (isImage) return undefined;
    throw unusable(path, 'a folder without .singularity.d');
  }
  const file = await openRegular(path);
  try {
    const begin = Buffer.alloc(MAGIC.offset + MAGIC.text.length);
    const { bytesRead } = await file.read(begin, 0, begin.length, 0);
    if (begin.toString('latin1', MAGIC.offset, bytesRead) !== MAGIC.text)
      throw unusable(path, 'another file');
    return `sha256:${(await digestHandle(file)).sha256}`;
  } finally {
    await file.close();
  }
}

function unusable(where: string, got: string, cause?: unknown): LxmertDataError {
  return new LxmertDataError('ERR_INPUT', {
    what: 'this is no image that apptainer can run',
    where,
    expected: 'a .sif, or a folder made by apptainer build --sandbox',
    got,
    hint: SIF_RECIPE,
    cause,
  });
}
