import { rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { isErrno, LxmertDataError } from '../errors.ts';
import { createOwn, openOwn } from '../files/open-checked.ts';
import { isRunning } from '../files/processes.ts';
import { v } from '../schema.ts';

const MAX_BYTES = 4096;
const MINUTE_MS = 60_000;

/** Releases before 0.2 wrote the number of the process alone. */
const ownerSchema = v.union([
  v.pipe(
    v.number(),
    v.transform(pid => ({ pid, host: hostname(), started: undefined })),
  ),
  v.object({ pid: v.number(), host: v.string(), started: v.optional(v.number()) }),
]);

/**
 * Keeps two extractions from computing the same rows twice; returns the function that ends the claim. A claim of a
 * process that is gone is taken over. Fails (ERR_INPUT) where another process holds it, or one of another machine may.
 */
export async function claimFolder(path: string): Promise<() => Promise<void>> {
  const file = join(path, 'owner');
  for (;;) {
    try {
      const handle = await createOwn(file);
      const owner = { pid: process.pid, host: hostname(), started: Date.now() };
      await handle.writeFile(JSON.stringify(owner)).finally(() => handle.close());
      return async () => await rm(file, { force: true });
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
    }
    await checkOwner(path, file);
    await rm(file, { force: true });
  }
}

async function checkOwner(path: string, file: string): Promise<void> {
  const handle = await openOwn(file, { maxBytes: MAX_BYTES });
  const { mtimeMs } = await handle.stat();
  const text = await handle.readFile('utf8').finally(() => handle.close());
  const owner = v.safeParse(v.pipe(v.string(), v.parseJson(), ownerSchema), text);
  // Its writer was killed before it had written.
  if (!owner.success) return;
  const { pid, host, started = mtimeMs } = owner.output;
  if (host !== hostname()) {
    const minutes = Math.max(0, Math.round((Date.now() - started) / MINUTE_MS));
    throw new LxmertDataError('ERR_INPUT', {
      what: `process ${pid} of the machine ${JSON.stringify(host)} is extracting to the same folder`,
      where: path,
      got: `a claim that is ${minutes} minutes old, and cannot be checked from here`,
      hint: `wait for it; if that process has ended, take over: rm ${file}`,
    });
  }
  if (pid > 0 && pid !== process.pid && isRunning(pid)) {
    throw new LxmertDataError('ERR_INPUT', {
      what: `process ${pid} is extracting to the same folder`,
      where: path,
      hint: 'wait for it, or stop it',
    });
  }
}
