import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import { openZipArchive, type ZipArchive } from '../inputs/zip-archive.ts';
import type { ZipEntry } from '../inputs/zip-directory.ts';
import { imageFault } from './image-checker.ts';
import type { ListedImage } from './list-images.ts';
import { openPrivateFolder } from './private-folder.ts';
import type { Extractors } from './run-extractors.ts';

/** Larger files in an archive are no photographs. */
const MAX_IMAGE_BYTES = 512 * 2 ** 20;
const ARCHIVE = /^(.*?\.zip)\/(.*)$/is;

/** Whether a path names a zip archive. Throws what `stat` throws. */
export async function isArchive(path: string): Promise<boolean> {
  return path.toLowerCase().endsWith('.zip') && (await stat(path)).isFile();
}

/** Where images of archives are files while an extractor has them. */
export function unpackedFolder(rowFolder: string): string {
  return join(rowFolder, 'unpacked');
}

/** Members of an archive, as `ARCHIVE/MEMBER`: paths that only ImageArchives can open. */
export async function listArchive(path: string): Promise<string[]> {
  const archive = await openZipArchive(path);
  await archive.close();
  return archive.entries.map(entry => `${path}/${entry.path}`);
}

/**
 * Images inside zip archives, for extractors that open files. Each is unpacked when it is given out and removed when it
 * is done, so no more than the images under way are on the disk.
 */
export class ImageArchives {
  readonly #folder: string;
  readonly #keepFolder: boolean;
  readonly #archives: ReadonlyMap<string, OpenArchive>;

  private constructor(folder: string, archives: ReadonlyMap<string, OpenArchive>, keepFolder: boolean) {
    this.#folder = folder;
    this.#keepFolder = keepFolder;
    this.#archives = archives;
  }

  /**
   * Opens the archives that images lie in, and makes an empty folder for them below `rowFolder`; undefined where all are
   * files. With `keepFolder` the folder stays when they are closed, for containers that see it. Throws ERR_ZIP, ERR_IO.
   */
  static async open(
    images: readonly { readonly path: string }[],
    rowFolder: string,
    keepFolder = false,
  ): Promise<ImageArchives | undefined> {
    const paths = new Set<string>();
    const files = new Set<string>();
    for (const { path } of images) {
      const archive = ARCHIVE.exec(path)?.[1];
      if (archive === undefined || paths.has(archive) || files.has(archive)) continue;
      // A folder may have such a name too.
      if (await isArchive(archive)) paths.add(archive);
      else files.add(archive);
    }
    if (paths.size === 0) return undefined;
    await openPrivateFolder(rowFolder);
    const folder = unpackedFolder(rowFolder);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await emptyFolder(folder);
    const archives = new Map<string, OpenArchive>();
    for (const path of paths) {
      const archive = await openZipArchive(path);
      archives.set(path, { archive, entries: new Map(archive.entries.map(entry => [entry.path, entry])) });
    }
    return new ImageArchives(folder, archives, keepFolder);
  }

  /** Where the file of an image is while an extractor has it. */
  fileOf(path: string): string {
    // img_ids are base names, so these are unique.
    return this.#find(path) === undefined ? path : join(this.#folder, basename(path));
  }

  /** Puts the file of an image in place; says what is wrong with it where that cannot be. */
  async unpack(path: string): Promise<string | undefined> {
    const found = this.#find(path);
    if (found === undefined) return undefined;
    try {
      const content = await found.archive.read(found.entry, MAX_IMAGE_BYTES);
      await writeFile(this.fileOf(path), content, { mode: 0o600 });
      return undefined;
    } catch (error) {
      if (!(error instanceof LxmertDataError) || error.code !== 'ERR_ZIP') throw error;
      const { what, got } = error.parts;
      return imageFault(new LxmertDataError('ERR_IMAGE', { what, got }));
    }
  }

  /** Removes the file of an image that no extractor needs any more. */
  async remove(path: string): Promise<void> {
    if (this.#find(path) !== undefined) await rm(this.fileOf(path), { force: true });
  }

  async close(): Promise<void> {
    for (const { archive } of this.#archives.values()) await archive.close();
    if (this.#keepFolder) await emptyFolder(this.#folder);
    else await rm(this.#folder, { recursive: true, force: true });
  }

  #find(path: string): { readonly archive: ZipArchive; readonly entry: ZipEntry } | undefined {
    const [, archivePath = '', member = ''] = ARCHIVE.exec(path) ?? [];
    const open = this.#archives.get(archivePath);
    const entry = open?.entries.get(member);
    return open === undefined || entry === undefined ? undefined : { archive: open.archive, entry };
  }
}

async function emptyFolder(folder: string): Promise<void> {
  for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true, force: true });
}

interface OpenArchive {
  readonly archive: ZipArchive;
  readonly entries: ReadonlyMap<string, ZipEntry>;
}

interface Plan {
  readonly images: readonly ListedImage[];
  readonly rowFolder: string;
}

/** Makes extractors ready for a plan whose images may lie in archives; they see files, which come and go. */
export async function withArchives<SomePlan extends Plan>(
  plan: SomePlan,
  prepare: (plan: SomePlan) => Promise<Extractors>,
): Promise<Extractors> {
  const archives = await ImageArchives.open(plan.images, plan.rowFolder);
  if (archives === undefined) return await prepare(plan);
  const images = plan.images.map(({ img_id, path }) => ({ img_id, path: archives.fileOf(path) }));
  try {
    return { ...(await prepare({ ...plan, images })), archives };
  } catch (error) {
    await archives.close();
    throw error;
  }
}
