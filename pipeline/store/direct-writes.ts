import { DIRECT } from '../files/open-checked.ts';
import { constants, writeSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { isErrno } from '../errors.ts';
import { reopen } from '../files/open-checked.ts';

/** Alignment of memory, position and length that direct writes need at most. */
export const DIRECT_ALIGNMENT = 4096;
/** Memory blocks are at least so much aligned themselves. */
const STEP = 16;

/**
 * Opens an existing file for writes that go past the page cache. A store is synced before it is published, so its bytes reach the disk anyhow; without the detour through the
 * cache they cost a tenth of the processor time, and the cache keeps what other programs need. Undefined where the system or file system has no such writes.
 */
export async function openForDirectWrites(file: {
  readonly path: string;
  readonly handle: FileHandle;
}): Promise<FileHandle | undefined> {
  if (DIRECT === undefined) return undefined;
  try {
    return await reopen(file.path, constants.O_WRONLY | DIRECT, file.handle);
  } catch (error) {
    if (isErrno(error, 'EINVAL', 'ENOTSUP', 'EPERM')) return undefined;
    throw error;
  }
}

/**
 * Offset into `memory` from which direct writes work. JavaScript cannot see addresses, so it is found by trying, on the first
 * bytes of the file, which the header will replace. 0 where no offset works.
 */
export function findDirectOffset(file: FileHandle, memory: SharedArrayBuffer): number {
  const likely = DIRECT_ALIGNMENT - STEP;
  for (let tried = 0; tried < DIRECT_ALIGNMENT; tried += STEP) {
    const offset = (likely + tried) % DIRECT_ALIGNMENT;
    try {
      writeSync(file.fd, new Uint8Array(memory, offset, DIRECT_ALIGNMENT), 0, DIRECT_ALIGNMENT, 0);
      return offset;
    } catch (error) {
      if (!isErrno(error, 'EINVAL')) throw error;
    }
  }
  return 0;
}
