import { basename } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { openFile } from './open-file.ts';

/** A TSV on disk. */
export async function openTsvFile(path: string): Promise<ByteSource> {
  const { file, stat } = await openFile(path, 'a .tsv or .zip file');
  let position = 0;
  return {
    name: basename(path),
    label: path,
    size: stat.size,
    async read(into) {
      // Not further, so that a file that still grows comes to an end and is then refused.
      const length = Math.min(into.length, stat.size - position);
      const { bytesRead } = await file.read(into, 0, length, position);
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
