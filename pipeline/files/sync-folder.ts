import { open } from 'node:fs/promises';
import { isErrno } from '../errors.ts';

/** What file systems and systems answer that cannot open or sync a folder. */
const REFUSALS = ['EINVAL', 'EPERM', 'EISDIR', 'ENOTSUP', 'ENOSYS', 'EBADF', 'EACCES'];

/**
 * Makes the names in a folder durable. Some file systems, and Windows, cannot sync a folder; a rename is then as durable
 * as they make it, so their refusal is not a failure. A failing disk (EIO) is one.
 */
export async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (error) {
    if (!isErrno(error, ...REFUSALS)) throw error;
  }
}
