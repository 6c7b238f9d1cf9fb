import { type FileHandle, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import { describeWriteFailure } from '../files/checks.ts';
import { createOwn, openOwn } from '../files/open-checked.ts';
import type { DetectorName } from './contract.ts';
import { holdToDetector, readDetectorFile } from './detector-file.ts';
import { exchangeFolderOf, ExchangeFolder } from './exchange-folder.ts';
import { claimFolder } from './folder-owner.ts';
import { openPrivateFolder, type PrivateFolder } from './private-folder.ts';
import type { RowBatch } from './row-batch.ts';
import { RowLineReader } from './row-lines.ts';

const ROW_FILE = /^rows-\d+\.tsv$/;

/** Where a valid row is. */
export interface RowSpan {
  readonly file: string;
  readonly offset: number;
  readonly length: number;
}

/**
 * Rows of an extraction under way, in files of the host's own. Extractors see only the folder `exchange` in it; the host
 * checks what they write there and copies it. What is done is known from the rows themselves: a row counts when it is
 * complete and valid, whatever was going on when its writer stopped.
 */
export class RowFolder {
  readonly path: string;
  readonly exchange: ExchangeFolder;
  /** Valid rows by img_id. */
  readonly rows = new Map<string, RowSpan>();
  readonly #lines = new RowLineReader();
  readonly #private: PrivateFolder;
  readonly #release: () => Promise<void>;
  #nextFile = 0;
  #file: { readonly name: string; readonly handle: FileHandle; size: number } | undefined;
  #writing: Promise<void> = Promise.resolve();
  #holding: Promise<void> = Promise.resolve();

  private constructor(folder: PrivateFolder, release: () => Promise<void>) {
    this.path = folder.path;
    this.#private = folder;
    this.#release = release;
    this.exchange = new ExchangeFolder(exchangeFolderOf(folder.path));
  }

  /**
   * Opens or makes the folder, indexes its rows, cuts off a torn last one, and takes in what extractors of a killed run
   * left for the images of `wanted`. Fails (ERR_IO, ERR_INPUT) where others can write to the folder or are at work in it.
   */
  static async open(
    path: string,
    wanted: ReadonlySet<string>,
    note: (message: string) => void,
  ): Promise<RowFolder> {
    const own = await openPrivateFolder(path);
    const release = await claimFolder(path);
    const folder = new RowFolder(own, release);
    try {
      await checkNoPlan(path);
      for (const name of (await readdir(path)).filter(file => ROW_FILE.test(file)).sort()) {
        const torn = await folder.#indexFile(name);
        if (torn > 0) note(`${join(path, name)}: ${torn} bytes of a torn last row cut off`);
        folder.#nextFile = Math.max(folder.#nextFile, Number(/\d+/.exec(name)![0]) + 1);
      }
      await folder.exchange.takeLeft(folder, wanted, note);
      await folder.exchange.empty();
      return folder;
    } catch (error) {
      await release();
      throw error;
    }
  }

  /** Fails where the existing rows come from another detector; a store has one only. */
  async holdTo(detector: DetectorName): Promise<void> {
    // Several extractors are ready at the same time.
    const held = this.#holding.then(async () => await this.#holdTo(detector));
    this.#holding = held.catch(() => undefined);
    await held;
  }

  /** The detector that the rows here come from, if there were any. */
  async readDetector(): Promise<DetectorName | undefined> {
    return await readDetectorFile(this.path);
  }

  /** A file for the rows of these images, which an extractor can write to. */
  async openBatch(imgIds: readonly string[]): Promise<RowBatch> {
    await this.#private.check();
    return await this.exchange.openBatch(this, imgIds);
  }

  /** Keeps a checked row. */
  async append(imgId: string, line: Buffer): Promise<void> {
    // One after the other: a row that is cut off by a crash must be the last one.
    this.#writing = this.#writing.then(async () => await this.#append(imgId, line));
    await this.#writing;
  }

  /** Makes rows durable. */
  async sync(): Promise<void> {
    await this.#writing;
    await this.#file?.handle.datasync();
  }

  /** Removes the folder with all rows. */
  async remove(): Promise<void> {
    await this.#private.check();
    await this.#closeFile();
    await rm(this.path, { recursive: true, force: true });
  }

  /** Ends the claim on the folder; where nothing was extracted the folder goes too. */
  async close(): Promise<void> {
    await this.#closeFile();
    await this.#release();
    if (this.rows.size === 0) await this.remove().catch(() => undefined);
  }

  async #holdTo(detector: DetectorName): Promise<void> {
    await this.#private.check();
    await holdToDetector(this.path, detector);
  }

  async #append(imgId: string, line: Buffer): Promise<void> {
    try {
      this.#file ??= await this.#createFile();
      const { name, handle, size } = this.#file;
      for (let written = 0; written < line.length;) {
        const { bytesWritten } = await handle.write(line, written, line.length - written, size + written);
        written += bytesWritten;
      }
      this.#file.size += line.length;
      this.rows.set(imgId, { file: name, offset: size, length: line.length });
    } catch (error) {
      throw await describeWriteFailure(this.path, 0, error);
    }
  }

  async #createFile(): Promise<{ name: string; handle: FileHandle; size: number }> {
    await this.#private.check();
    const name = `rows-${String(this.#nextFile++).padStart(6, '0')}.tsv`;
    return { name, handle: await createOwn(join(this.path, name)), size: 0 };
  }

  async #closeFile(): Promise<void> {
    await this.#writing.catch(() => undefined);
    await this.#file?.handle.close();
    this.#file = undefined;
  }

  /** Takes in the valid rows of a file; returns the bytes of a torn last row, which are cut off. */
  async #indexFile(name: string): Promise<number> {
    const path = join(this.path, name);
    const file = await openOwn(path, { write: true });
    try {
      const { size } = await file.stat();
      let end = 0;
      for await (const { line, offset, imgId, isValid } of this.#lines.read(file, path, 0)) {
        if (isValid) this.rows.set(imgId!, { file: name, offset, length: line.length });
        end = offset + line.length;
      }
      if (end < size) await file.truncate(end);
      return size - end;
    } finally {
      await file.close();
    }
  }
}

/** Fails (ERR_INPUT) where several machines are planned to work in a folder and have not published: their rows would go. */
async function checkNoPlan(path: string): Promise<void> {
  const names = await readdir(path);
  if (!names.includes('plan.json') || names.includes('published.json')) return;
  throw new LxmertDataError('ERR_INPUT', {
    what: 'an extraction for several machines is planned here',
    where: join(path, 'plan.json'),
    hint: `finish it with lxmert-data extract --plan ${path} --worker 1/1, then --publish; or remove ${path}`,
  });
}
