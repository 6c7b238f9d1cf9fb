import { open, readdir, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { isErrno } from '../errors.ts';
import { isRunning } from './processes.ts';

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
