import { open, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { isErrno, LxmertDataError } from './errors.ts';

const HOST = hostname()
  .replace(/[^A-Za-z0-9-]/g, '-')
  .slice(0, 40);

/** Temporary name beside `path`, of this process: `X.<host>-<pid>.<kind>.partial`. */
export function partialPath(path: string, kind: string): string {
  return join(dirname(path), `${basename(path)}.${HOST}-${process.pid}.${kind}.partial`);
}

/** Removes temporary files of `path` that processes of this machine left behind when they were killed. */
export async function removeStalePartials(path: string): Promise<readonly string[]> {
  const folder = dirname(path);
  const pattern = new RegExp(`^${escapeRegExp(`${basename(path)}.${HOST}`)}-([0-9]+)\\.[a-z]+\\.partial$`);
  const removed: string[] = [];
  for (const name of await readdir(folder)) {
    const pid = Number(pattern.exec(name)?.[1]);
    if (Number.isNaN(pid) || (pid !== process.pid && isRunning(pid))) continue;
    await rm(join(folder, name), { force: true, recursive: true });
    removed.push(name);
  }
  return removed;
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** Whether a process of this machine is still there. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it runs, under another user.
    return isErrno(error, 'EPERM');
  }
}

/** Fails where `path` exists already and `force` is not set, or where its folder does not exist. */
export async function checkOutput(path: string, force: boolean): Promise<void> {
  const folder = await stat(dirname(path)).catch(() => undefined);
  if (folder?.isDirectory() !== true) {
    throw new LxmertDataError('ERR_IO', {
      what: 'the output folder does not exist',
      where: dirname(path),
      hint: `create it: mkdir -p ${dirname(path)}`,
    });
  }
  const existing = await stat(path).catch(() => undefined);
  if (existing === undefined) return;
  if (existing.isDirectory()) {
    throw new LxmertDataError('ERR_IO', {
      what: 'the output is a folder',
      where: path,
      expected: 'a file name',
    });
  }
  if (force) return;
  throw new LxmertDataError('ERR_OUTPUT_EXISTS', {
    what: 'the output exists already',
    where: path,
    hint: 'give another name with --out, or replace it with --force',
  });
}

/** Fails where `path` is one of the files that will be read, by whatever name. */
export async function checkNotInput(path: string, inputs: readonly string[]): Promise<void> {
  const output = await stat(path).catch(() => undefined);
  if (output === undefined) return;
  for (const input of inputs) {
    const found = await stat(input).catch(() => undefined);
    if (found?.ino !== output.ino || found.dev !== output.dev) continue;
    throw new LxmertDataError('ERR_USAGE', {
      what: 'the output is one of the inputs',
      where: path,
      hint: 'give another name',
    });
  }
}

/** Fails where the file system of `path` has less than `needed` bytes left. */
export async function checkFreeSpace(path: string, needed: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(path));
  const free = bavail * bsize;
  if (free < needed) throw noSpace(path, needed, free);
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

/** Names a failed write: a full disk says how much is missing, `remaining` being the bytes still to be written, 0 where that is not known. */
export async function describeWriteFailure(
  path: string,
  remaining: number,
  error: unknown,
): Promise<unknown> {
  if (isErrno(error, 'ENOSPC', 'EDQUOT')) {
    if (remaining === 0) {
      return new LxmertDataError('ERR_NO_SPACE', {
        what: 'not enough disk space',
        where: dirname(path),
        hint: 'free some, or choose another disk with --out',
        cause: error,
      });
    }
    const { bavail, bsize } = await statfs(dirname(path));
    return noSpace(path, remaining, Math.min(bavail * bsize, remaining), error);
  }
  if (
    error instanceof LxmertDataError ||
    !isErrno(error, 'EIO', 'EACCES', 'EPERM', 'EROFS', 'EFBIG', 'EMFILE')
  )
    return error;
  return new LxmertDataError('ERR_IO', {
    what: `writing failed (${error.message})`,
    where: path,
    cause: error,
  });
}

/** Gives a finished and synced file its name and makes the name itself durable. */
export async function publish(partial: string, path: string): Promise<void> {
  await rename(partial, path);
  const folder = await open(dirname(path), 'r').catch(() => undefined);
  if (folder === undefined) return;
  try {
    await folder.sync();
  } catch (error) {
    // Some file systems (and Windows) cannot sync a folder; the rename is then as durable as they make it.
    if (!isErrno(error, 'EINVAL', 'EPERM', 'EISDIR', 'ENOTSUP', 'EBADF')) throw error;
  } finally {
    await folder.close();
  }
}

/** Decimal units, as disk makers and LXMERT's sizes in bytes use them. */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return unit === 0 ? `${bytes} bytes` : `${value.toFixed(value < 10 ? 2 : 1)} ${units[unit]!}`;
}
