import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { createHttpClient } from '../../pipeline/net/client.ts';
import type { DownloadOptions } from '../../pipeline/net/download-file.ts';
import type { FileShape } from '../../pipeline/net/file-shape.ts';
import type { WatchdogOptions } from '../../pipeline/net/receive-range.ts';
import type { RemoteFile } from '../../pipeline/net/remote-file.ts';
import type { RetryPolicy } from '../../pipeline/net/retry-delay.ts';

/** The real policy, in milliseconds instead of seconds. */
export const FAST_RETRY: RetryPolicy = {
  attempts: 6,
  firstDelayMs: 1,
  maxDelayMs: 20,
  maxRetryAfterMs: 1500,
};

/** For connections that are to stall; others would stall too on a busy machine. */
export const FAST_WATCHDOG: WatchdogOptions = { idleMs: 200, minBytes: 100 };

/** Bytes that look like a zip at first and repeat nowhere, the same for a seed on every run. */
export function makeZipLike(size: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(Math.ceil(size / 4) * 4);
  let state = seed * 2654435761;
  for (let at = 0; at < bytes.length; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeInt32LE(state | 0, at);
  }
  bytes.write('PK\x03\x04', 'latin1');
  return bytes.subarray(0, size);
}

export async function makeTemporaryFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'lxmert-fetch-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export function makePlainRemote(
  t: ExecutionContext,
  url: string,
  options: Partial<RemoteFile> & { shape?: FileShape } = {},
): RemoteFile {
  const client = createHttpClient({ environment: {} });
  t.teardown(() => client.close());
  return {
    identity: `test ${new URL(url).pathname}`,
    description: url,
    shape: 'zip',
    maxConnections: 8,
    open: ({ headers, signal }) => client.request({ url, headers, signal, allowHttp: true }),
    ...options,
  };
}

export function fastOptions(path: string, options: Partial<DownloadOptions> = {}): DownloadOptions {
  return {
    path,
    retry: FAST_RETRY,
    signal: new AbortController().signal,
    ...options,
  };
}
