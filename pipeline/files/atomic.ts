import { constants } from 'node:fs';
import { copyFile, type FileHandle, link, lstat, mkdir, open, rename, rm, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isErrno, LxmertDataError } from '../errors.ts';
import { describeWriteFailure, outputExists } from './checks.ts';
import { type FileIdentity, identityOf, identityOfName, isSameFile } from './identity.ts';
import { createOwn, openOwn } from './open-checked.ts';
import { claimPartialPath, releasePartialPath, removeStalePartials } from './partial-names.ts';
import { syncFolder } from './sync-folder.ts';
import { syncTree } from './sync-tree.ts';

/*
 * Every file that gets a final name gets it here: written under a temporary name beside it, synced, checked to be still
 * the file that was written, renamed, and the folder synced. Nothing half-written ever has a final name, and nothing is
 * written through a link that somebody else planted.
 */

export interface PublishOptions {
  /** Replace a file that has the name already; without it such a file stays and ERR_OUTPUT_EXISTS is thrown. */
  readonly force?: boolean | undefined;
}

/** A new file that has no final name yet. */
export interface PartialOutput {
  /** Its temporary path, for those that must open it again. */
  readonly path: string;
  readonly handle: FileHandle;
  /** Syncs the file, gives it its final name, makes the name durable, and closes the handle. */
  publish(): Promise<void>;
  /** Closes and removes it; does nothing once published. */
  discard(): Promise<void>;
}

/**
 * Creates a temporary file beside `path`, open for reading and writing. `kind` (a-z) becomes part of its name. The caller
 * ends with `publish` or `discard`; `discard` in a `finally` does for both.
 */
export async function createPartial(
  path: string,
  kind: string,
  { force = false }: PublishOptions = {},
): Promise<PartialOutput> {
  const guard = await guardFolder(path);
  const partial = claimPartialPath(path, kind);
  let handle: FileHandle;
  try {
    handle = await createOwn(partial, 0o666);
  } catch (error) {
    releasePartialPath(partial);
    throw error;
  }
  const own = await handle.stat({ bigint: true });
  let isOver = false;
  return {
    path: partial,
    handle,
    publish: async () => {
      await handle.sync();
      await guard.check();
      await checkSame(partial, own);
      await handle.close();
      await giveName(partial, path, force);
      isOver = true;
      releasePartialPath(partial);
      await syncFolder(dirname(path));
    },
    discard: async () => {
      if (isOver) return;
      isOver = true;
      await handle.close();
      // Anything else that has the name by now is not ours to remove.
      if (isSameFile(await identityOfName(partial), own)) await rm(partial, { force: true });
      releasePartialPath(partial);
    },
  };
}

/**
 * Writes a file whole or not at all, and returns what `write` returns. Leftovers of killed runs are removed first. What
 * `write` throws is passed on, with failures of the disk described.
 */
export async function writeAtomically<T>(
  path: string,
  kind: string,
  write: (handle: FileHandle, partialPath: string) => Promise<T>,
  options: PublishOptions = {},
): Promise<T> {
  let partial: PartialOutput | undefined;
  try {
    await removeStalePartials(path);
    partial = await createPartial(path, kind, options);
    const result = await write(partial.handle, partial.path);
    await partial.publish();
    return result;
  } catch (error) {
    throw await describeWriteFailure(path, 0, error);
  } finally {
    await partial?.discard();
  }
}

/** Copies a file under its final name, sharing its blocks where the file system can. `check` sees the copy before it is published. */
export async function copyAtomically(
  from: string,
  path: string,
  options: PublishOptions & { readonly check?: (copy: FileHandle) => Promise<void> } = {},
): Promise<void> {
  await writeAtomically(
    path,
    'copy',
    async handle => {
      await copyInto(from, handle);
      await options.check?.(handle);
    },
    options,
  );
}

/**
 * Gives a finished file on the same file system, such as a download, its final name; on another file system it is copied
 * there and removed. The file must be ours. `handle` is the open file where there is one.
 */
export async function moveAtomically(
  from: string,
  path: string,
  { handle, ...options }: PublishOptions & { readonly handle?: FileHandle | undefined } = {},
): Promise<void> {
  const guard = await guardFolder(path);
  const file = handle ?? (await openOwn(from));
  try {
    await file.sync();
    await guard.check();
    await checkSame(from, await file.stat({ bigint: true }));
  } finally {
    if (handle === undefined) await file.close();
  }
  try {
    await giveName(from, path, options.force === true);
  } catch (error) {
    if (!isErrno(error, 'EXDEV')) throw error;
    await copyAtomically(from, path, options);
    await rm(from);
    return;
  }
  await syncFolder(dirname(path));
  if (dirname(from) !== dirname(path)) await syncFolder(dirname(from));
}

/** A new folder that has no final name yet. */
export interface PartialFolder {
  /** Where its files are written. */
  readonly path: string;
  /** Syncs all files in it, and gives the folder its name. Throws ERR_OUTPUT_EXISTS where one of that name has files in it. */
  publish(): Promise<void>;
  /** Removes it; does nothing once published. */
  discard(): Promise<void>;
}

/** Creates a temporary folder beside `path` that only its owner can look into until it is published. */
export async function createPartialFolder(path: string, kind: string): Promise<PartialFolder> {
  const guard = await guardFolder(path);
  const shell = claimPartialPath(path, kind);
  try {
    await mkdir(shell, { mode: 0o700 });
  } catch (error) {
    releasePartialPath(shell);
    throw error;
  }
  const own = await lstat(shell, { bigint: true });
  // A folder within, which is renamed out: it has the usual mode, and the shell keeps others away from it.
  const content = join(shell, basename(path));
  await mkdir(content);
  let isOver = false;
  const discard = async (): Promise<void> => {
    if (isOver) return;
    isOver = true;
    if (isSameFile(await identityOfName(shell), own)) await rm(shell, { recursive: true, force: true });
    releasePartialPath(shell);
  };
  return {
    path: content,
    publish: async () => {
      await guard.check();
      await checkSame(shell, own);
      await syncTree(content);
      await guard.check();
      try {
        await rename(content, path);
      } catch (error) {
        // EPERM is what Windows answers.
        if (isErrno(error, 'ENOTEMPTY', 'EEXIST', 'ENOTDIR', 'EPERM')) throw outputExists(path);
        throw error;
      }
      await discard();
      await syncFolder(dirname(path));
    },
    discard,
  };
}

/** Remembers the folder of `path`, to find out before publishing whether it was replaced. */
async function guardFolder(path: string): Promise<{ check(): Promise<void> }> {
  const folder = dirname(path);
  const before = await identityOf(folder);
  return {
    check: async () => {
      // A folder that is missing altogether is reported by the rename.
      const now = await identityOf(folder);
      if (now !== undefined && before !== undefined && !isSameFile(now, before)) throw replaced(folder);
    },
  };
}

async function checkSame(path: string, own: FileIdentity): Promise<void> {
  if (!isSameFile(await identityOfName(path), own)) throw replaced(path);
}

function replaced(path: string): LxmertDataError {
  return new LxmertDataError('ERR_IO', {
    what: 'another program replaced or removed this while it was in use',
    where: path,
    hint: 'write to a folder that only you can change, and run it again',
  });
}

/** Codes of file systems without hard links, and of files with as many as there may be. */
const NO_LINK = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EACCES', 'EINVAL'];

async function giveName(partial: string, path: string, force: boolean): Promise<void> {
  if (force) {
    await rename(partial, path);
    return;
  }
  try {
    // A link never replaces anything, unlike a rename.
    await link(partial, path);
  } catch (error) {
    if (isErrno(error, 'EEXIST')) throw outputExists(path);
    if (!isErrno(error, ...NO_LINK)) throw error;
    if ((await identityOfName(path)) !== undefined) throw outputExists(path);
    await rename(partial, path);
    return;
  }
  await unlink(partial);
}

async function copyInto(from: string, handle: FileHandle): Promise<void> {
  if (process.platform === 'linux') {
    try {
      // By descriptor, so that the bytes go to the open file whatever happened to its name.
      await copyFile(from, `/proc/self/fd/${handle.fd}`, constants.COPYFILE_FICLONE);
      return;
    } catch (error) {
      // Without /proc; ENOENT of the source shows again below.
      if (!isErrno(error, 'ENOENT')) throw error;
    }
  }
  const source = await open(from, 'r');
  await pipeline(source.createReadStream(), handle.createWriteStream({ start: 0, autoClose: false }));
}
