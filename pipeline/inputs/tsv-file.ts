import type { FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { openFile } from './open-file.ts';

/** Pieces that are asked for at the same time: disks are faster with several requests than with one. */
const PIECE_BYTES = 2 << 20;

/** Fills `into` from `position` on; returns the bytes that are there without a gap. */
async function readSideBySide(file: FileHandle, into: Uint8Array, position: number): Promise<number> {
  const pieces: Promise<{ readonly bytesRead: number; readonly asked: number }>[] = [];
  for (let at = 0; at < into.length; at += PIECE_BYTES) {
    const asked = Math.min(PIECE_BYTES, into.length - at);
    pieces.push(file.read(into, at, asked, position + at).then(({ bytesRead }) => ({ bytesRead, asked })));
  }
  let read = 0;
  for (const { bytesRead, asked } of await Promise.all(pieces)) {
    read += bytesRead;
    if (bytesRead < asked) break;
  }
  return read;
}

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
      const read = await readSideBySide(file, into.subarray(0, length), position);
      position += read;
      return read;
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
