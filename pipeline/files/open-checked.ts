import { type BigIntStats, closeSync, constants, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isErrno, LxmertDataError } from '../errors.ts';
import { formatBytes } from './format-bytes.ts';
import { type FileIdentity, isSameFile } from './identity.ts';

export interface OpenOptions {
  /** Open for reading and writing; default: for reading. */
  readonly write?: boolean | undefined;
  /** More than this is refused. */
  readonly maxBytes?: number | undefined;
}

// Missing on Windows, although the type declarations have them.
const FLAGS: Partial<typeof constants> = constants;
export const NO_FOLLOW = FLAGS.O_NOFOLLOW ?? 0;
/** A FIFO without a writer would otherwise hold `open` for ever. */
export const NO_WAIT = FLAGS.O_NONBLOCK ?? 0;
/** Writes past the page cache; undefined on macOS and Windows. */
export const DIRECT = FLAGS.O_DIRECT;

/**
 * Opens a file that this tool, or an extractor that it started, wrote at a path that others can foresee: a download to be
 * resumed, its journal, rows of an extraction. Refuses (ERR_IO) whatever somebody else could have put there to have
 * other files read or overwritten: links, files with a second hard link, special files, and files of other users.
 *
 * A file may belong to the user who runs this, to root, or to the owner of its folder, who can replace
 * anything in it in any case. So root can continue what a user began in a folder of that user's, and files planted by a
 * third are refused.
 */
export async function openOwn(path: string, options: OpenOptions = {}): Promise<FileHandle> {
  const access = options.write === true ? constants.O_RDWR : constants.O_RDONLY;
  let file: FileHandle;
  try {
    file = await open(path, access | NO_FOLLOW | NO_WAIT);
  } catch (error) {
    // ELOOP and EMLINK: a link; ENXIO: a socket, or a FIFO without a reader.
    if (isErrno(error, 'ELOOP', 'EMLINK')) throw refusal(path, 'a symbolic link');
    if (isErrno(error, 'ENXIO', 'EISDIR')) throw refusal(path, 'something else');
    throw error;
  }
  return await keepOrClose(file, async () => {
    const found = await checkRegular(path, file, options);
    const owner = ownerToCheck(path, found);
    if (owner !== undefined && owner !== (await stat(dirname(path), { bigint: true })).uid) {
      throw refusal(path, `a file of user ${owner}`);
    }
  });
}

/** The content of a small file, with the checks of `openOwn`, without the thread pool; undefined where it is not one of ours. */
export function readOwnSync(path: string, maxBytes: number): Buffer | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, constants.O_RDONLY | NO_FOLLOW | NO_WAIT);
    const found = fstatSync(file, { bigint: true });
    if (!found.isFile() || found.size > BigInt(maxBytes)) return undefined;
    const owner = ownerToCheck(path, found);
    if (owner !== undefined && owner !== statSync(dirname(path), { bigint: true }).uid) return undefined;
    return readFileSync(file);
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** The owner of a file that only the owner of its folder may be; undefined for this user and root. Refuses other names. */
function ownerToCheck(path: string, { nlink, uid: owner }: BigIntStats): bigint | undefined {
  if (nlink > 1n) throw refusal(path, `a file with ${nlink} hard links`);
  const uid = process.getuid?.();
  return uid === undefined || owner === BigInt(uid) || owner === 0n ? undefined : owner;
}

/** Creates a file, open for reading and writing, that nothing stood in the place of; fails with EEXIST otherwise. */
export async function createOwn(path: string, mode = 0o600): Promise<FileHandle> {
  return await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | NO_FOLLOW, mode);
}

/** Opens a file as `openOwn` does, for reading and writing; where it is missing, a new one is created. */
export async function openOrCreateOwn(path: string): Promise<FileHandle> {
  try {
    return await openOwn(path, { write: true });
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    return await createOwn(path, 0o666);
  }
}

/**
 * Opens a file for reading that the user named, by whatever links and whoever owns it. Refuses (ERR_INPUT) what is not a
 * regular file: a FIFO would hang, a device may never end.
 */
export async function openRegular(
  path: string,
  options: Pick<OpenOptions, 'maxBytes'> = {},
): Promise<FileHandle> {
  const file = await open(path, constants.O_RDONLY | NO_WAIT);
  return await keepOrClose(file, async () => {
    await checkRegular(path, file, options);
  });
}

/** The content of a file opened by `openRegular`. */
export async function readRegular(
  path: string,
  options: Pick<OpenOptions, 'maxBytes'> = {},
): Promise<Buffer> {
  const file = await openRegular(path, options);
  return await file.readFile().finally(() => file.close());
}

/** Opens once more, with other flags, the file that `handle` has open. Fails (ERR_IO) where its name leads elsewhere by now. */
export async function reopen(path: string, flags: number, handle: FileHandle): Promise<FileHandle> {
  const own: FileIdentity = await handle.stat({ bigint: true });
  const file = await open(path, flags | NO_FOLLOW | NO_WAIT);
  return await keepOrClose(file, async () => {
    if (!isSameFile(await file.stat({ bigint: true }), own)) throw refusal(path, 'another file');
  });
}

async function keepOrClose(file: FileHandle, check: () => Promise<void>): Promise<FileHandle> {
  try {
    await check();
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function checkRegular(path: string, file: FileHandle, { maxBytes }: OpenOptions) {
  const found = await file.stat({ bigint: true });
  if (!found.isFile()) {
    throw new LxmertDataError('ERR_INPUT', {
      what: 'this is not a regular file',
      where: path,
      got: found.isDirectory() ? 'a folder' : found.isFIFO() ? 'a FIFO' : 'a special file',
    });
  }
  if (maxBytes !== undefined && found.size > BigInt(maxBytes)) {
    throw new LxmertDataError('ERR_INPUT', {
      what: 'this file is too large',
      where: path,
      expected: `at most ${formatBytes(maxBytes)}`,
      got: formatBytes(Number(found.size)),
    });
  }
  return found;
}

function refusal(path: string, got: string): LxmertDataError {
  return new LxmertDataError('ERR_IO', {
    what: 'what has this name was not written by this tool, and is left alone',
    where: path,
    expected: 'a regular file of yours without other names',
    got,
    hint: 'find out who made it, then remove it and run this again',
  });
}
