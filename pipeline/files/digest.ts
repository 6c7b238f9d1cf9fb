import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { openRegular } from './open-checked.ts';

export interface FileDigest {
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** Digest of a regular file. */
export async function digestFile(path: string, signal?: AbortSignal): Promise<FileDigest> {
  const file = await openRegular(path);
  return await digestHandle(file, signal).finally(() => file.close());
}

/** Digest of all that an open file holds. */
export async function digestHandle(file: FileHandle, signal?: AbortSignal): Promise<FileDigest> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const chunks: AsyncIterable<Buffer> = file.createReadStream({
    start: 0,
    highWaterMark: 1 << 20,
    autoClose: false,
    signal,
  });
  for await (const chunk of chunks) {
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  return { sizeBytes, sha256: hash.digest('hex') };
}
