import { LxmertDataError } from '../errors.ts';

/** What the system's error codes mean to the person who reads them, and what to do. */
const REASONS: Readonly<Record<string, readonly [reason: string, hint: string]>> = {
  EACCES: ['permission denied', 'check its owner and mode (ls -ld), or name another path'],
  EPERM: ['not permitted', 'check its owner and mode (ls -ld), or name another path'],
  ENOENT: ['no such file or folder', 'check the path; a link may lead nowhere'],
  ENOTDIR: ['a part of the path is a file, not a folder', 'check the path'],
  EISDIR: ['this is a folder', 'name a file'],
  EEXIST: ['it exists already', 'move it away, or name another path'],
  ENOTEMPTY: ['the folder is not empty', 'move it away, or name another path'],
  ELOOP: ['too many links, or a link where none is allowed', 'name the file itself'],
  ENAMETOOLONG: ['the name is too long', 'name a shorter path'],
  EROFS: ['the file system is read-only', 'name a path on another file system'],
  ENOSPC: ['no space is left on the file system', 'free some, or name a path on another file system'],
  EDQUOT: ['your disk quota is used up', 'free some, or name a path on another file system'],
  EFBIG: ['the file is larger than the file system or a limit allows', 'check ulimit -f and the file system'],
  EMFILE: ['too many open files', 'raise the limit: ulimit -n 4096'],
  ENFILE: ['too many open files on this machine', 'close other programs'],
  ENOMEM: ['not enough memory', 'raise the limit of address space (ulimit -v), or free memory'],
  EIO: ['the disk or its connection failed', 'check the disk and the system log, then run the command again'],
  ESTALE: ['the network file system lost the file', 'mount it again, then run the command again'],
  EBUSY: ['it is in use', 'close what uses it, then run the command again'],
  EXDEV: ['it is on another file system', 'name a path on the same file system'],
  ENXIO: ['it is a special file that nobody serves', 'name a regular file'],
};

/** An error of the operating system as one of ours; every other error as it is. */
export function nameSystemError(error: unknown): unknown {
  if (error instanceof LxmertDataError || !isSystemError(error)) return error;
  const [reason, hint] = REASONS[error.code] ?? [`the system reports ${error.code}`, undefined];
  return new LxmertDataError(error.code === 'ENOSPC' || error.code === 'EDQUOT' ? 'ERR_NO_SPACE' : 'ERR_IO', {
    what: reason,
    where: error.path,
    got: `${error.code} from ${error.syscall}${error.dest === undefined ? '' : ` to ${error.dest}`}`,
    hint,
    cause: error,
  });
}

type SystemError = Error & {
  readonly code: string;
  readonly syscall: string;
  readonly path?: string;
  readonly dest?: string;
};

/** Only calls that name a file: a failed connection has a code too, and is described where it is made. */
function isSystemError(error: unknown): error is SystemError {
  if (!(error instanceof Error) || !('code' in error) || !('syscall' in error)) return false;
  const path = 'path' in error ? error.path : undefined;
  const { code, syscall } = error;
  const isFile =
    typeof path === 'string' ||
    ['read', 'write', 'writev', 'fsync', 'fdatasync', 'ftruncate', 'fstat', 'futime', 'fchmod'].includes(
      String(syscall),
    );
  return typeof code === 'string' && typeof syscall === 'string' && !syscall.startsWith('spawn') && isFile;
}
