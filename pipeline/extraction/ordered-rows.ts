import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { ByteSource } from '../inputs/byte-source.ts';
import type { RowFolder, RowPlace } from './row-folder.ts';

/** Rows of a folder in the order of `imgIds` as one TSV, whatever files they stand in. Ids without a row are left out. */
export function openOrderedRows(folder: RowFolder, imgIds: readonly string[], name: string): ByteSource {
  const places = imgIds.flatMap(id => folder.rows.get(id) ?? []);
  const files = new Map<string, FileHandle>();
  let row = 0;
  let within = 0;
  const fileOf = async ({ file }: RowPlace): Promise<FileHandle> => {
    const known = files.get(file);
    if (known !== undefined) return known;
    // Neighbours stand in the same file or the next one, so few need to be open.
    if (files.size > 16) await closeFiles();
    const opened = await open(join(folder.path, file), 'r');
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
    size: places.reduce((sum, place) => sum + place.length, 0),
    async read(into) {
      const place = places[row];
      if (place === undefined) return 0;
      const length = Math.min(into.length, place.length - within);
      const { bytesRead } = await (await fileOf(place)).read(into, 0, length, place.offset + within);
      within += bytesRead;
      if (within === place.length) {
        row++;
        within = 0;
      }
      return bytesRead;
    },
    finish: () => Promise.resolve(),
    close: closeFiles,
  };
}
