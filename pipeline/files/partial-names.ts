import { randomBytes } from 'node:crypto';
import { lstat, readdir, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { isRunning } from './processes.ts';

const HOST = hostname()
  .replace(/[^A-Za-z0-9-]/g, '-')
  .slice(0, 40);

/** Paths this process is writing now. */
const inUse = new Set<string>();

/**
 * A new temporary name beside `path`: `X.<host>-<pid>-<random>.<kind>.partial`. The random part keeps others from
 * planting something at a name that they can foresee; host and process let a later run remove what a killed one left.
 */
export function claimPartialPath(path: string, kind: string): string {
  const name = `${basename(path)}.${HOST}-${process.pid}-${randomBytes(6).toString('hex')}.${kind}.partial`;
  const claimed = join(dirname(path), name);
  inUse.add(resolve(claimed));
  return claimed;
}

export function releasePartialPath(partial: string): void {
  inUse.delete(resolve(partial));
}

/**
 * Removes temporary files and folders of `path` that killed processes of this machine left, and returns their names.
 * Leaves links, what belongs to another user, and what processes on other machines write.
 */
export async function removeStalePartials(path: string): Promise<readonly string[]> {
  const folder = dirname(path);
  const start = escapeRegExp(`${basename(path)}.${HOST}`);
  // Releases before 0.2 had no random part.
  const pattern = new RegExp(`^${start}-([0-9]+)(?:-[0-9a-f]{12})?\\.[a-z]+\\.partial$`);
  const removed: string[] = [];
  for (const name of await readdir(folder)) {
    const pid = Number(pattern.exec(name)?.[1]);
    const partial = join(folder, name);
    if (Number.isNaN(pid) || inUse.has(resolve(partial))) continue;
    // Process numbers come again, in containers often the same one: our own, not in use, is an earlier run's.
    if (pid !== process.pid && isRunning(pid)) continue;
    if (!(await isOurs(partial))) continue;
    await rm(partial, { force: true, recursive: true });
    removed.push(name);
  }
  return removed;
}

/** A temporary file or folder that another machine, or a container with a name of its own, is writing or has left. */
export interface DistantPartial {
  readonly path: string;
  readonly host: string;
  readonly bytes: number;
  /** Seconds since it was written to. */
  readonly age: number;
}

const PARTIAL = /\.([A-Za-z0-9-]{1,40})-[0-9]+-[0-9a-f]{12}\.[a-z]+\.partial$/;

/** Those in a folder; whether their writers still run cannot be seen from here, so nothing removes them by itself. */
export async function findDistantPartials(folder: string): Promise<readonly DistantPartial[]> {
  const found: DistantPartial[] = [];
  for (const name of await readdir(folder).catch(() => [])) {
    const host = PARTIAL.exec(name)?.[1];
    if (host === undefined || host === HOST) continue;
    const path = join(folder, name);
    const entry = await lstat(path).catch(() => undefined);
    if (entry !== undefined)
      found.push({ path, host, bytes: entry.size, age: Math.max(0, (Date.now() - entry.mtimeMs) / 1000) });
  }
  return found;
}

async function isOurs(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined || !(found.isFile() || found.isDirectory())) return false;
  const uid = process.getuid?.();
  return uid === undefined || found.uid === uid;
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
