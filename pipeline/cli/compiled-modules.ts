import { lstatSync, mkdirSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * Keeps compiled modules for the next command, since starting is most of the time of a short one. They are code, so they lie
 * where only this user writes and not in Node's own folder below /tmp; where there is no such folder, nothing is kept.
 */
export function keepCompiledModules(): void {
  // Node has begun to keep them where the user wants it.
  if (process.env['NODE_COMPILE_CACHE'] !== undefined) return;
  try {
    const folder = join(cacheHome(), 'lxmert-data', 'compiled');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (!isPrivate(folder)) return;
    enableCompileCache(folder);
    // Worker threads and programs that this one starts read it.
    process.env['NODE_COMPILE_CACHE'] = folder;
  } catch {
    // A user without a home, or one that may not be written.
  }
}

function cacheHome(): string {
  const named = process.env['XDG_CACHE_HOME'] ?? '';
  return named === '' ? join(homedir(), '.cache') : named;
}

function isPrivate(folder: string): boolean {
  const { uid, mode } = lstatSync(folder);
  const isOwn = process.getuid === undefined || uid === process.getuid();
  return isOwn && (process.platform === 'win32' || (mode & 0o022) === 0);
}
