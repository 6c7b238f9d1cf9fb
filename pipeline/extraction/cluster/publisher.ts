import { rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { LxmertDataError } from '../../errors.ts';
import { v } from '../../schema.ts';
import { readJsonFile, writeJsonFile } from './json-file.ts';

const TOUCH_MS = 2000;
const POLL_MS = 250;
/** A publisher that shows no life for this long, watched from here, is taken for dead. */
const SILENCE_MS = 30_000;

const publisherSchema = v.object({ host: v.string(), pid: v.number() });

/** The right to publish; or, without `release`, who has it. */
export type PublicationClaim =
  { readonly release: () => Promise<void> } | { readonly release?: undefined; readonly holder: string };

/**
 * Lets one process publish a plan, so that others need not read all rows too. A holder that shows life is named; one that
 * shows none while it is watched is replaced. No clocks of two hosts are compared. Whoever is wrongly replaced does no
 * harm: two publications of a plan make the same bytes, and the second finds the first.
 */
export async function claimPublication(folder: string, signal: AbortSignal): Promise<PublicationClaim> {
  const path = join(folder, 'publisher');
  let seen: number | undefined;
  let since = Date.now();
  for (;;) {
    if (await create(path)) return { release: keepAlive(path) };
    const time = (await stat(path).catch(() => undefined))?.mtimeMs;
    if (time !== undefined && seen !== undefined && time !== seen) {
      const holder = await readJsonFile(path, publisherSchema).catch(() => undefined);
      if (holder !== undefined) return { holder: `process ${holder.pid} of the machine ${holder.host}` };
    }
    seen = time;
    if (Date.now() - since >= SILENCE_MS) {
      await rm(path, { force: true });
      since = Date.now();
    } else await delay(POLL_MS, undefined, { signal });
  }
}

async function create(path: string): Promise<boolean> {
  try {
    await writeJsonFile(path, { host: hostname(), pid: process.pid }, true);
    return true;
  } catch (error) {
    if (error instanceof LxmertDataError && error.code === 'ERR_OUTPUT_EXISTS') return false;
    throw error;
  }
}

function keepAlive(path: string): () => Promise<void> {
  const touch = setInterval(() => {
    const now = Date.now() / 1000;
    utimes(path, now, now).catch(() => undefined);
  }, TOUCH_MS);
  return async () => {
    clearInterval(touch);
    await rm(path, { force: true });
  };
}
