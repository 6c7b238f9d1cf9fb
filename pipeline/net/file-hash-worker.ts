import { createHash, type Hash } from 'node:crypto';
import { readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import type { FileHashReply, FileHashRequest } from './file-hasher.ts';

/** Small enough to be in the processor's cache still when it is hashed. */
const READ_BYTES = 512 << 10;
const buffer = Buffer.alloc(READ_BYTES);
let sha256 = createHash('sha256');
let md5: Hash | undefined;
let position = 0;

function hashUpTo({ fd, end, wantsMd5 }: FileHashRequest): void {
  if (wantsMd5) md5 ??= createHash('md5');
  while (position < end) {
    const read = readSync(fd, buffer, 0, Math.min(READ_BYTES, end - position), position);
    if (read === 0) throw new Error(`the partial file ends at ${position} of ${end} bytes`);
    sha256.update(buffer.subarray(0, read));
    md5?.update(buffer.subarray(0, read));
    position += read;
  }
}

parentPort?.on('message', (request: FileHashRequest) => {
  hashUpTo(request);
  const reply: FileHashReply = request.isLast
    ? { sha256: sha256.digest('hex'), md5: md5?.digest('hex') }
    : undefined;
  if (request.isLast) {
    sha256 = createHash('sha256');
    md5 = undefined;
    position = 0;
  }
  parentPort?.postMessage(reply);
});
