import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isErrno } from '../errors.ts';

/**
 * Makes a folder and those above it that are missing. Where the system refuses, the error names the folder that could not
 * be made and why: with `recursive`, Node.js reports ENOENT for some, a read-only file system among them.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    await makeEach(path);
  }
}

async function makeEach(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT') || dirname(path) === path) throw error;
    await makeEach(dirname(path));
    await mkdir(path);
  }
}
