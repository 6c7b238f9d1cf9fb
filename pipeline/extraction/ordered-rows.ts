import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import { openOwn } from '../files/open-checked.ts';
import type { ByteSource } from '../inputs/byte-source.ts';
import type { RowFolder, RowSpan } from './row-folder.ts';

/** Rows of a folder in the order of `imgIds` as one TSV, whatever files they are in. Ids without a row are left out. */
export function openOrderedRows(folder: RowFolder, imgIds: readonly string[], name: string): ByteSource {
  const spans = imgIds.flatMap(id => folder.rows.get(id) ?? []);
  const files = new Map<string, FileHandle>();
  let row = 0;
  let within = 0;
  const fileOf = async ({ file }: RowSpan): Promise<FileHandle> => {
    const known = files.get(file);
    if (known !== undefined) return known;
    // Neighbours are in the same file or the next one, so few need to be open.
    if (files.size > 16) await closeFiles();
    const opened = await openOwn(join(folder.path, file));
    files.set(file, opened);
    return opened;
  };
  const closeFiles = async (): Promise<void> => {
    await Promise.all([...files.values()].map(async file => await file.close()));
    files.clear();
  };
  return {
    name,
    label: `${folder.path} (${name})`,
    size: spans.reduce((sum, span) => sum + span.length, 0),
    async read(into) {
      const span = spans[row];
      if (span === undefined) return 0;
      const length = Math.min(into.length, span.length - within);
      const { bytesRead } = await (await fileOf(span)).read(into, 0, length, span.offset + within);
      if (bytesRead === 0 && length > 0) throw cutOff(join(folder.path, span.file));
      within += bytesRead;
      if (within === span.length) {
        row++;
        within = 0;
      }
      return bytesRead;
    },
    finish: () => Promise.resolve(),
    close: closeFiles,
  };
}

function cutOff(where: string): LxmertDataError {
  return new LxmertDataError('ERR_IO', {
    what: 'rows of this extraction were cut off while they were published',
    where,
    hint: 'find out what changed the file, then run the same command again',
  });
}
