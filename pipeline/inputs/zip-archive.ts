import { LxmertDataError } from '../errors.ts';
import { openRandomAccess } from './random-access.ts';
import { readZipDirectory, type ZipEntry } from './zip-directory.ts';
import { readEntry } from './zip-member.ts';

/** A zip whose members are read whole, in any order. */
export interface ZipArchive {
  readonly path: string;
  /** Members that are not folders, in the order of the directory. */
  readonly entries: readonly ZipEntry[];
  /** A member's content, its CRC-32 checked. Throws ERR_ZIP where it is damaged or larger than `maxBytes`. */
  readonly read: (entry: ZipEntry, maxBytes: number) => Promise<Buffer>;
  readonly close: () => Promise<void>;
}

/** Opens a zip and reads its directory. Throws ERR_ZIP or ERR_INPUT. */
export async function openZipArchive(path: string): Promise<ZipArchive> {
  const access = await openRandomAccess([path]);
  try {
    const { entries } = await readZipDirectory(access);
    return {
      path,
      entries,
      async read(entry, maxBytes) {
        if (entry.uncompressedSize > maxBytes) {
          throw new LxmertDataError('ERR_ZIP', {
            what: 'the member is too large',
            where: `${path}:${entry.path}`,
            expected: `at most ${maxBytes} bytes`,
            got: `${entry.uncompressedSize} bytes`,
          });
        }
        return await readEntry(access, entry);
      },
      close: () => access.close(),
    };
  } catch (error) {
    await access.close();
    throw error;
  }
}
