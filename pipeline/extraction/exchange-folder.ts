import { lstat, mkdir, opendir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, LxmertDataError } from '../errors.ts';
import { formatBytes } from '../files/format-bytes.ts';
import { createOwn, openOwn } from '../files/open-checked.ts';
import { RowBatch, type RowKeeper } from './row-batch.ts';
import { MAX_ROW_BYTES } from './row-lines.ts';

const BATCH_FILE = /^rows-\d+\.tsv$/;
/** What an extractor may keep here for itself. */
const OTHER_BYTES = 256 * 2 ** 20;
const MAX_ENTRIES = 10_000;
const BLOCK_BYTES = 512;

/** The folder in an extraction's folder that extractors see. */
export function exchangeFolderOf(rowFolder: string): string {
  return join(rowFolder, 'exchange');
}

/** What extractors can write to: a file for each batch that is out. Nothing in it is believed. */
export class ExchangeFolder {
  readonly path: string;
  #nextFile = 0;
  /** Bytes that the batches which are out may have. */
  #expected = 0;

  constructor(path: string) {
    this.path = path;
  }

  /** Removes what is left of an earlier run. */
  async empty(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
    await mkdir(this.path, { mode: 0o700 });
  }

  /** Copies whole, valid rows of `wanted` images that a killed run did not get to. */
  async takeLeft(
    keeper: RowKeeper,
    wanted: ReadonlySet<string>,
    note: (message: string) => void,
  ): Promise<void> {
    const names = await readdir(this.path).catch((error: unknown) => {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return [];
      throw error;
    });
    for (const name of names.filter(file => BATCH_FILE.test(file)).sort()) {
      const path = join(this.path, name);
      try {
        const batch = new RowBatch({ path, handle: await openOwn(path), imgIds: [...wanted] }, keeper);
        await batch.takeNew().finally(() => batch.close());
      } catch (error) {
        if (!(error instanceof LxmertDataError)) throw error;
        note(`${error.parts.where ?? path}: ${error.parts.what}; its rows are computed again`);
      }
    }
  }

  async openBatch(keeper: RowKeeper, imgIds: readonly string[]): Promise<RowBatch> {
    const path = join(this.path, `rows-${String(this.#nextFile++).padStart(6, '0')}.tsv`);
    const handle = await createOwn(path);
    const maxBytes = (imgIds.length + 1) * MAX_ROW_BYTES;
    this.#expected += maxBytes;
    const onClose = async (): Promise<void> => {
      this.#expected -= maxBytes;
      // Whatever has this name by now.
      await rm(path, { recursive: true, force: true });
    };
    return new RowBatch({ path, handle, imgIds, maxBytes, onClose }, keeper);
  }

  /** Fails (ERR_EXTRACTOR) where an extractor fills the folder with more than the rows of its batches. */
  async checkSize(): Promise<void> {
    const most = this.#expected + OTHER_BYTES;
    let [bytes, entries] = [0, 0];
    const folders = [this.path];
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
      const listing = await opendir(folder).catch(() => undefined);
      if (listing === undefined) continue;
      for await (const entry of listing) {
        const path = join(folder, entry.name);
        // Batches come and go.
        const found = await lstat(path).catch(() => undefined);
        bytes += (found?.blocks ?? 0) * BLOCK_BYTES;
        entries++;
        if (entry.isDirectory()) folders.push(path);
        if (bytes > most || entries > MAX_ENTRIES) throw this.#flooded(most);
      }
    }
  }

  #flooded(most: number): LxmertDataError {
    return new LxmertDataError('ERR_EXTRACTOR', {
      what: 'the extractor writes more than the rows that it was asked for',
      where: this.path,
      expected: `at most ${formatBytes(most)} in ${MAX_ENTRIES} files`,
      got: 'more than that',
      hint: 'do not use this extractor; finished rows are kept',
    });
  }
}
