import { lstat, stat } from 'node:fs/promises';

/** What distinguishes one file or folder from another. BigInts: inode numbers of some file systems exceed 2^53. */
export interface FileIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
}

export function isSameFile(a: FileIdentity | undefined, b: FileIdentity | undefined): boolean {
  return a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino;
}

/** Identity of what `path` leads to, through links; undefined where nothing is found. */
export async function identityOf(path: string): Promise<FileIdentity | undefined> {
  return await stat(path, { bigint: true }).catch(() => undefined);
}

/** Identity of the entry with this name itself, even if it is a link. */
export async function identityOfName(path: string): Promise<FileIdentity | undefined> {
  return await lstat(path, { bigint: true }).catch(() => undefined);
}
