import { NO_WAIT } from '../files/open-checked.ts';
import { constants, lstatSync, type Stats } from 'node:fs';
import { nameSystemError } from '../files/system-error.ts';
import { type FileHandle, open } from 'node:fs/promises';
import { errorText, isErrno, LxmertDataError } from '../errors.ts';

/** Opens a file for reading; fails with ERR_INPUT where there is none or it is something else, `expected` says what it should be. */
export async function openFile(
  path: string,
  expected: string,
): Promise<{ readonly file: FileHandle; readonly stat: Stats }> {
  const file = await open(path, constants.O_RDONLY | NO_WAIT).catch((error: unknown) => {
    throw describeOpenFailure(path, error);
  });
  const stat = await file.stat();
  if (stat.isFile()) return { file, stat };
  await file.close();
  const got = stat.isDirectory() ? 'a folder' : 'something else';
  throw new LxmertDataError('ERR_INPUT', { what: 'this is not a file', where: path, expected, got });
}

/** Why a file cannot be opened; `expected` says what it should be, where its name alone does not. */
export function describeOpenFailure(path: string, cause: unknown, expected?: string): LxmertDataError {
  if (isErrno(cause, 'ENOENT')) {
    const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
    const what = isLink ? 'this link leads to nothing' : 'there is no such file';
    return new LxmertDataError('ERR_INPUT', { what, where: path, expected, cause });
  }
  const named = nameSystemError(cause);
  if (!(named instanceof LxmertDataError))
    return new LxmertDataError('ERR_INPUT', {
      what: `the file cannot be opened (${errorText(cause)})`,
      where: path,
      cause,
    });
  return new LxmertDataError('ERR_INPUT', {
    ...named.parts,
    what: `the file cannot be opened: ${named.parts.what}`,
    where: path,
  });
}
