import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { NO_FOLLOW } from './open-checked.ts';
import { syncFolder } from './sync-folder.ts';

/** Syncs all files below a folder and the folders themselves; links are not followed. */
export async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else if (entry.isFile()) await syncFile(path);
  }
  await syncFolder(folder);
}

async function syncFile(path: string): Promise<void> {
  // Windows syncs only what is open for writing.
  const access = process.platform === 'win32' ? constants.O_RDWR : constants.O_RDONLY;
  const file = await open(path, access | NO_FOLLOW);
  await file.sync().finally(() => file.close());
}
