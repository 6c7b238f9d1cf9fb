import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { isErrno, LxmertDataError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';

/** A TSV on disk. */
export async function openTsvFile(path: string): Promise<ByteSource> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw describeOpenFailure(path, error);
  });
  const stat = await file.stat();
  if (!stat.isFile()) {
    await file.close();
    const got = stat.isDirectory() ? 'a folder' : 'something else';
    throw new LxmertDataError('ERR_INPUT', {
      what: 'this is not a file',
      where: path,
      expected: 'a .tsv or .zip file',
      got,
    });
  }
  let position = 0;
  return {
    name: basename(path),
    label: path,
    size: stat.size,
    async read(into) {
      const { bytesRead } = await file.read(into, 0, into.length, position);
      position += bytesRead;
      return bytesRead;
    },
    async finish() {
      const now = await file.stat();
      if (now.size === stat.size && now.mtimeMs === stat.mtimeMs && position === stat.size) return;
      throw new LxmertDataError('ERR_INPUT', {
        what: 'the file changed while it was read',
        where: path,
        expected: `${stat.size} bytes`,
        got:
          position === now.size
            ? `${now.size} bytes, written since`
            : `${position} bytes read, ${now.size} there now`,
        hint: 'wait until whatever writes it has finished, then run this again',
      });
    },
    async close() {
      await file.close();
    },
  };
}

export function describeOpenFailure(path: string, cause: unknown): LxmertDataError {
  const what = isErrno(cause, 'ENOENT')
    ? 'there is no such file'
    : isErrno(cause, 'EACCES', 'EPERM')
      ? 'the file may not be read'
      : `the file cannot be opened (${cause instanceof Error ? cause.message : String(cause)})`;
  return new LxmertDataError('ERR_INPUT', { what, where: path, cause });
}
