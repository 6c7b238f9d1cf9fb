import { lstat, mkdir } from 'node:fs/promises';
import { isErrno, LxmertDataError } from '../errors.ts';
import { type FileIdentity, identityOfName, isSameFile } from '../files/identity.ts';

const ONLY_OWNER = 0o700;
const WRITABLE_BY_OTHERS = 0o022;

/** A folder that nobody but the calling user can write to. */
export interface PrivateFolder {
  readonly path: string;
  /** Fails (ERR_IO) where another folder, or a link, has the name by now. */
  check(): Promise<void>;
}

/**
 * Makes a folder that only the calling user can look into, or takes one that exists. Fails (ERR_IO) where its name is a
 * link, where it belongs to another user, and where others can write to it.
 */
export async function openPrivateFolder(path: string): Promise<PrivateFolder> {
  await mkdir(path, { mode: ONLY_OWNER }).catch((error: unknown) => {
    if (!isErrno(error, 'EEXIST')) throw error;
  });
  const own = await checkPrivateFolder(path);
  return {
    path,
    check: async () => {
      if (!isSameFile(await identityOfName(path), own)) throw refusal(path, 'another folder than before');
    },
  };
}

/** Fails (ERR_IO) where a path is not a folder of the calling user that nobody else can write to. */
export async function checkPrivateFolder(path: string): Promise<FileIdentity> {
  const found = await lstat(path, { bigint: true });
  const uid = process.getuid?.();
  if (!found.isDirectory()) throw refusal(path, found.isSymbolicLink() ? 'a symbolic link' : 'a file');
  if (uid === undefined) return found;
  if (found.uid !== BigInt(uid)) throw refusal(path, `a folder of user ${found.uid}`);
  if ((Number(found.mode) & WRITABLE_BY_OTHERS) !== 0) {
    throw refusal(
      path,
      'a folder that others can write to',
      `chmod go-w ${path}, if you trust what is in it`,
    );
  }
  return found;
}

function refusal(path: string, got: string, instead?: string): LxmertDataError {
  return new LxmertDataError('ERR_IO', {
    what: 'rows of an extraction are not kept here, because others could change them',
    where: path,
    expected: 'a folder of your own that only you can write to',
    got,
    hint: `${instead ?? 'find out who made it'}, or remove it, or give another --out`,
  });
}
