import { access, constants, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isErrno, LxmertDataError } from '../errors.ts';
import { formatBytes } from './format-bytes.ts';
import { identityOf, isSameFile } from './identity.ts';
import { nameSystemError } from './system-error.ts';

/** Fails where `path`, named by `option`, exists already and `force` is not set, or where its folder does not exist. */
export async function checkOutput(path: string, force: boolean, option = '--out'): Promise<void> {
  const folder = await stat(dirname(path)).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw nameSystemError(error);
  });
  if (folder === undefined) {
    throw new LxmertDataError('ERR_IO', {
      what: 'the output folder does not exist',
      where: dirname(path),
      hint: `create it: mkdir -p ${dirname(path)}`,
    });
  }
  if (!folder.isDirectory()) {
    throw new LxmertDataError('ERR_IO', {
      what: 'the output folder is a file',
      where: dirname(path),
      expected: 'a folder',
    });
  }
  await checkWritable(dirname(path));
  const existing = await stat(path).catch(() => undefined);
  if (existing === undefined) return;
  if (existing.isDirectory()) {
    throw new LxmertDataError('ERR_IO', {
      what: 'the output is a folder',
      where: path,
      expected: 'a file name',
    });
  }
  if (!force) throw outputExists(path, option);
}

/** Fails where no file can be made in a folder, before hours of work end there. */
async function checkWritable(folder: string): Promise<void> {
  await access(folder, constants.W_OK | constants.X_OK).catch((error: unknown) => {
    const named = nameSystemError(error);
    if (!(named instanceof LxmertDataError)) throw error;
    throw new LxmertDataError(named.code, {
      ...named.parts,
      what: `the output folder cannot be written: ${named.parts.what}`,
      where: folder,
    });
  });
}

export function outputExists(path: string, option = '--out'): LxmertDataError {
  return new LxmertDataError('ERR_OUTPUT_EXISTS', {
    what: 'the output exists already',
    where: path,
    hint: `give another name with ${option}, or replace it with --force`,
  });
}

/** Fails where `path` is one of the files that will be read, by whatever name. */
export async function checkNotInput(path: string, inputs: readonly string[]): Promise<void> {
  const output = await identityOf(path);
  for (const input of inputs) {
    if (!isSameFile(await identityOf(input), output)) continue;
    throw new LxmertDataError('ERR_USAGE', {
      what: 'the output is one of the inputs',
      where: path,
      hint: 'give another name',
    });
  }
}

/** Fails where the file system of `path` has less than `needed` bytes left. */
export async function checkFreeSpace(path: string, needed: number): Promise<void> {
  const free = await readFreeBytes(dirname(path));
  if (free !== undefined && free < needed) throw noSpace(path, needed, free);
}

/** Bytes free for this user on the disk of a folder; undefined where the file system does not say, as some network ones. */
export async function readFreeBytes(folder: string): Promise<number | undefined> {
  const { blocks, bavail, bsize } = await statfs(folder);
  return blocks === 0 ? undefined : bavail * bsize;
}

function noSpace(path: string, needed: number, free: number, cause?: unknown): LxmertDataError {
  return new LxmertDataError('ERR_NO_SPACE', {
    what: 'not enough disk space',
    where: dirname(path),
    expected: `${formatBytes(needed)} free`,
    got: `${formatBytes(free)} free`,
    hint: `free ${formatBytes(Math.max(needed - free, 1))} more, or choose another disk with --out`,
    cause,
  });
}

/** Describes a failed write. For a full disk it says how much is missing; `remaining` is the bytes still to write, 0 if unknown. */
export async function describeWriteFailure(
  path: string,
  remaining: number,
  error: unknown,
): Promise<unknown> {
  if (isErrno(error, 'ENOSPC', 'EDQUOT')) {
    const free = remaining === 0 ? undefined : await readFreeBytes(dirname(path));
    if (free === undefined) {
      return new LxmertDataError('ERR_NO_SPACE', {
        what: 'not enough disk space',
        where: dirname(path),
        hint: 'free some, or choose another disk with --out',
        cause: error,
      });
    }
    return noSpace(path, remaining, Math.min(free, remaining), error);
  }
  const named = nameSystemError(error);
  if (!(named instanceof LxmertDataError) || named === error) return error;
  const what = `writing failed: ${named.parts.what}`;
  return new LxmertDataError(named.code, { ...named.parts, what, where: path });
}
