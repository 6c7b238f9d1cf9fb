import { mkdir, stat, writeFile } from 'node:fs/promises';
import { basename, join, posix } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import { createPartialFolder } from '../files/atomic.ts';
import { checkFreeSpace } from '../files/checks.ts';
import { openZipArchive } from '../inputs/zip-archive.ts';
import { isSafePath } from '../manifest/load.ts';

/** Larger files in an archive of images are something else. */
const MAX_FILE_BYTES = 2 ** 30;

/** The folder that an archive is unpacked to: its name without the ending. */
export function unpackedFolderOf(archive: string): string {
  return archive.replace(/\.zip$/i, '');
}

/**
 * Unpacks an archive to the folder beside it that has its name, checking every CRC-32; the folder appears when it is
 * whole. A single folder at the top of the archive is left out. Returns the number of files, or undefined where the folder
 * is there already. Throws ERR_ZIP, ERR_NO_SPACE, ERR_IO.
 */
export async function unpackArchive(path: string, context: StageContext): Promise<number | undefined> {
  const target = unpackedFolderOf(path);
  if ((await stat(target).catch(() => undefined)) !== undefined) return undefined;
  const archive = await openZipArchive(path);
  try {
    const files = archive.entries.filter(entry => !entry.path.startsWith('__MACOSX/'));
    const names = withoutTop(files.map(entry => entry.path));
    const unsafe = names.find(name => !isSafePath(name));
    if (unsafe !== undefined) {
      throw new LxmertDataError('ERR_ZIP', {
        what: 'a name in the archive leads out of its folder',
        where: path,
        got: JSON.stringify(unsafe),
        hint: 'do not unpack this archive; take it from where it was published',
      });
    }
    await checkFreeSpace(
      target,
      files.reduce((sum, entry) => sum + entry.uncompressedSize, 0),
    );
    const folder = await createPartialFolder(target, 'images');
    try {
      await Promise.all(
        [...new Set(names.map(name => posix.dirname(name)))].map(
          async name => await mkdir(join(folder.path, name), { recursive: true }),
        ),
      );
      for (const [index, entry] of files.entries()) {
        context.signal.throwIfAborted();
        const content = await archive.read(entry, MAX_FILE_BYTES);
        await writeFile(join(folder.path, names[index]!), content, { flag: 'wx' });
        context.emit({
          event: 'progress',
          stage: 'fetch',
          input: `unpack ${basename(path)}`,
          done: index + 1,
          total: files.length,
          unit: 'files',
        });
      }
      await folder.publish();
    } finally {
      await folder.discard();
    }
    return files.length;
  } finally {
    await archive.close();
  }
}

function withoutTop(paths: readonly string[]): readonly string[] {
  const top = paths[0]?.split('/')[0] ?? '';
  const isShared = paths.every(path => path.startsWith(`${top}/`));
  return isShared ? paths.map(path => path.slice(top.length + 1)) : paths;
}
