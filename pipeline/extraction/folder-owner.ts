import { rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isErrno, LxmertDataError } from '../errors.ts';
import { writeAtomically } from '../files/atomic.ts';
import { openOwn } from '../files/open-checked.ts';
import { isRunning } from '../files/processes.ts';
import { v } from '../schema.ts';

const MAX_BYTES = 4096;
const MINUTE_MS = 60_000;
const POLL_MS = 200;

/** Releases before 0.2 wrote the number of the process alone. */
const ownerSchema = v.union([
  v.pipe(
    v.number(),
    v.transform(pid => ({ pid, host: hostname(), started: undefined })),
  ),
  v.object({ pid: v.number(), host: v.string(), started: v.optional(v.number()) }),
]);

/** Another process holds the claim on a folder. */
class FolderInUse extends LxmertDataError {}

/**
 * Keeps two extractions from computing the same rows twice; returns the function that ends the claim. A claim of a
 * process that is gone is taken over; one of another process is waited for, up to `waitMs`. Fails (ERR_INPUT) where
 * another process still holds it then, or one of another machine may.
 */
export async function claimFolder(path: string, waitMs = 0): Promise<() => Promise<void>> {
  const until = Date.now() + waitMs;
  for (;;) {
    try {
      return await claimNow(path);
    } catch (error) {
      if (!(error instanceof FolderInUse) || Date.now() >= until) throw error;
    }
    await delay(POLL_MS);
  }
}

async function claimNow(path: string): Promise<() => Promise<void>> {
  const file = join(path, 'owner');
  const owner = JSON.stringify({ pid: process.pid, host: hostname(), started: Date.now() });
  for (;;) {
    try {
      // Never seen without its content: a claim that cannot be read counts as that of a dead process.
      await writeAtomically(file, 'owner', handle => handle.writeFile(owner));
      return async () => await rm(file, { force: true });
    } catch (error) {
      if (!(error instanceof LxmertDataError) || error.code !== 'ERR_OUTPUT_EXISTS') throw error;
    }
    await checkOwner(path, file);
    await rm(file, { force: true });
  }
}

async function checkOwner(path: string, file: string): Promise<void> {
  const handle = await openOwn(file, { maxBytes: MAX_BYTES }).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  });
  // It was given up in the meantime.
  if (handle === undefined) return;
  const { mtimeMs } = await handle.stat();
  const text = await handle.readFile('utf8').finally(() => handle.close());
  const owner = v.safeParse(v.pipe(v.string(), v.parseJson(), ownerSchema), text);
  // Its writer was killed before it had written.
  if (!owner.success) return;
  const { pid, host, started = mtimeMs } = owner.output;
  if (host !== hostname()) {
    const minutes = Math.max(0, Math.round((Date.now() - started) / MINUTE_MS));
    throw new FolderInUse('ERR_INPUT', {
      what: `process ${pid} of the machine ${JSON.stringify(host)} is extracting to the same folder`,
      where: path,
      got: `a claim that is ${minutes} minutes old, and cannot be checked from here`,
      hint: `wait for it; if that process has ended, take over: rm ${file}`,
    });
  }
  if (pid > 0 && pid !== process.pid && isRunning(pid)) {
    throw new FolderInUse('ERR_INPUT', {
      what: `process ${pid} is extracting to the same folder`,
      where: path,
      hint: 'wait for it, or stop it',
    });
  }
}
