import { open, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isErrno, LxmertDataError } from '../errors.ts';
import { readRegular } from '../files/open-checked.ts';
import { isRunning } from '../files/processes.ts';

const NAME = '.fetch-running';
const WRITE_MS = 200;
/** Process numbers come again, in containers often the same one: our own in a file is an earlier run's. */
const CLAIMED = new Set<string>();

/** Keeps two fetches from writing the same partial files. Returns the function that ends the claim. */
export async function claimDataRoot(dataRoot: string): Promise<() => Promise<void>> {
  const path = join(dataRoot, NAME);
  if (CLAIMED.has(path)) throw busy(dataRoot, 'this process');
  CLAIMED.add(path);
  try {
    const release = await claimFile(path, dataRoot);
    return async () => {
      CLAIMED.delete(path);
      await release();
    };
  } catch (error) {
    CLAIMED.delete(path);
    throw error;
  }
}

async function claimFile(path: string, dataRoot: string): Promise<() => Promise<void>> {
  const own = `${hostname()} ${process.pid}\n`;
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const file = await open(path, 'wx');
      await file.writeFile(own);
      await file.close();
      return async () => rm(path, { force: true });
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
    }
    const holder = await readHolder(path);
    const [host, pid] = holder.split(' ');
    if (holder !== '' && (host !== hostname() || isAlive(Number(pid)))) {
      throw busy(dataRoot, `${await describeAge(path)}process ${pid ?? '?'} on ${host ?? '?'}`);
    }
    // Left by a process that was killed.
    await rm(path, { force: true });
  }
  throw busy(dataRoot, 'one that began at this moment');
}

/** The claim's owner; empty if its process was killed while writing it. */
async function readHolder(path: string): Promise<string> {
  const read = async (): Promise<string> =>
    (await readRegular(path, { maxBytes: 4096 }).catch(() => '')).toString().trim();
  const holder = await read();
  if (holder !== '') return holder;
  // Another one may have just made the file and not yet written.
  await delay(WRITE_MS);
  return await read();
}

/** How old a claim is: one of another host cannot be checked, and may be left from a crash. */
async function describeAge(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return '';
  const minutes = Math.max(Math.round((Date.now() - found.mtimeMs) / 60_000), 0);
  return `claimed ${minutes < 120 ? `${minutes} minutes` : `${Math.round(minutes / 60)} hours`} ago by `;
}

function busy(dataRoot: string, got: string): LxmertDataError {
  const hint = `wait for it; if it no longer runs, take over by deleting ${join(dataRoot, NAME)}`;
  return new LxmertDataError('ERR_IO', {
    what: 'another fetch is using this data folder',
    where: dataRoot,
    got,
    hint,
  });
}

function isAlive(pid: number): boolean {
  return Number.isInteger(pid) && pid !== process.pid && isRunning(pid);
}
