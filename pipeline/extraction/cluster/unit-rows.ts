import type { FileHandle } from 'node:fs/promises';
import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, LxmertDataError } from '../../errors.ts';
import { moveAtomically, writeAtomically } from '../../files/atomic.ts';
import { describeWriteFailure } from '../../files/checks.ts';
import { createOwn, openOwn } from '../../files/open-checked.ts';
import type { DetectorName } from '../contract.ts';
import { holdToDetector } from '../detector-file.ts';
import type { ExchangeFolder } from '../exchange-folder.ts';
import type { ListedImage } from '../list-images.ts';
import type { RowBatch, RowKeeper } from '../row-batch.ts';
import { RowLineReader } from '../row-lines.ts';
import type { RowTarget } from '../run-extractors.ts';
import { writeJsonFile } from './json-file.ts';
import { failedFile, partialFolder, unitFile, unitName } from './layout.ts';
import { removeClaim } from './schedule.ts';

interface Span {
  readonly offset: number;
  readonly length: number;
}

export interface UnitAttempt {
  /** X.rows. */
  readonly folder: string;
  readonly unit: number;
  readonly images: readonly ListedImage[];
  /** Names host, job and process; no other attempt has it. */
  readonly attempt: string;
  readonly exchange: ExchangeFolder;
}

/**
 * One attempt at a unit: rows as they come, in a file of its own, which becomes the unit's when all images have a row or
 * a reason. Several attempts at a unit do not disturb each other; they end in the same bytes.
 */
export class UnitRows implements RowTarget, RowKeeper {
  readonly rows = new Map<string, Span>();
  readonly exchange: ExchangeFolder;
  readonly #attempt: UnitAttempt;
  readonly #path: string;
  readonly #handle: FileHandle;
  #size = 0;
  #isInOrder = true;
  #last = -1;
  #writing: Promise<void> = Promise.resolve();
  readonly #positions: ReadonlyMap<string, number>;

  private constructor(attempt: UnitAttempt, path: string, handle: FileHandle) {
    this.#attempt = attempt;
    this.exchange = attempt.exchange;
    this.#path = path;
    this.#handle = handle;
    this.#positions = new Map(attempt.images.map(({ img_id: id }, index) => [id, index]));
  }

  /** Begins an attempt, with the valid rows that earlier ones left. */
  static async open(attempt: UnitAttempt): Promise<UnitRows> {
    const { folder, unit } = attempt;
    const path = join(partialFolder(folder), `${unitName(unit)}.${attempt.attempt}.tsv`);
    await rm(path, { force: true });
    const rows = new UnitRows(attempt, path, await createOwn(path));
    try {
      for (const other of await listPartials(folder, unit)) if (other !== path) await rows.#takeOver(other);
      return rows;
    } catch (error) {
      await rows.discard();
      throw error;
    }
  }

  async holdTo(detector: DetectorName): Promise<void> {
    await holdToDetector(this.#attempt.folder, detector);
  }

  async openBatch(imgIds: readonly string[]): Promise<RowBatch> {
    return await this.exchange.openBatch(this, imgIds);
  }

  async append(imgId: string, line: Buffer): Promise<void> {
    this.#writing = this.#writing.then(async () => await this.#append(imgId, line));
    await this.#writing;
  }

  async sync(): Promise<void> {
    await this.#writing;
    await this.#handle.datasync();
  }

  /** Shows others that this attempt is alive. */
  async touch(now: number): Promise<void> {
    await utimes(this.#path, now / 1000, now / 1000).catch(() => undefined);
  }

  /**
   * Makes the unit: its rows in the order of the plan, and the images without one. Where another attempt was first, this
   * one is dropped; where both are at it, equal bytes replace equal bytes.
   */
  async publish(failures: ReadonlyMap<string, string>): Promise<void> {
    const { folder, unit, images } = this.#attempt;
    await this.#writing;
    if (await isFile(unitFile(folder, unit))) {
      await this.discard();
      return;
    }
    const missing = images.filter(({ img_id: id }) => !this.rows.has(id));
    const facts = missing.map(({ img_id, path }) => {
      const reason = failures.get(img_id);
      if (reason !== undefined) return { img_id, path, reason };
      throw new LxmertDataError('ERR_INTERNAL', {
        what: 'an image has neither a row nor a reason',
        where: unitFile(folder, unit),
        got: img_id,
        hint: 'run this worker again; nothing was recorded',
      });
    });
    try {
      // Before the rows: a unit counts as done when its rows are there.
      if (facts.length > 0) await writeJsonFile(failedFile(folder, unit), facts);
      else await rm(failedFile(folder, unit), { force: true });
      if (this.#isInOrder)
        await moveAtomically(this.#path, unitFile(folder, unit), { force: true, handle: this.#handle });
      else await this.#writeInOrder();
    } catch (error) {
      // Whoever finished the unit first may have removed this attempt.
      if (!isGone(error) || !(await isFile(unitFile(folder, unit))))
        throw await describeWriteFailure(unitFile(folder, unit), 0, error);
    }
    await this.discard();
    for (const left of await listPartials(folder, unit)) await rm(left, { force: true });
    removeClaim(folder, unit);
  }

  /** Ends the attempt; its rows stay for the next one. */
  async close(): Promise<void> {
    await this.#writing.catch(() => undefined);
    await this.#handle.datasync().catch(() => undefined);
    await this.#handle.close().catch(() => undefined);
    if (this.rows.size === 0) await rm(this.#path, { force: true });
  }

  /** Ends the attempt and removes its rows. */
  async discard(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
    await rm(this.#path, { force: true });
  }

  async #append(imgId: string, line: Buffer): Promise<void> {
    try {
      for (let written = 0; written < line.length;) {
        const { bytesWritten } = await this.#handle.write(
          line,
          written,
          line.length - written,
          this.#size + written,
        );
        written += bytesWritten;
      }
    } catch (error) {
      throw await describeWriteFailure(this.#path, 0, error);
    }
    this.rows.set(imgId, { offset: this.#size, length: line.length });
    this.#size += line.length;
    const position = this.#positions.get(imgId) ?? -1;
    if (position < this.#last) this.#isInOrder = false;
    this.#last = position;
  }

  /** Copies valid rows of another attempt, dead or alive: what is whole there is right. */
  async #takeOver(path: string): Promise<void> {
    let file: FileHandle;
    try {
      file = await openOwn(path);
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return;
      throw error;
    }
    try {
      for await (const { line, imgId, isValid } of new RowLineReader().read(file, path, 0)) {
        if (imgId === null || !isValid || !this.#positions.has(imgId) || this.rows.has(imgId)) continue;
        await this.append(imgId, line);
      }
    } finally {
      await file.close();
    }
  }

  async #writeInOrder(): Promise<void> {
    const { folder, unit, images } = this.#attempt;
    const buffer = Buffer.allocUnsafe(1 << 20);
    await writeAtomically(
      unitFile(folder, unit),
      'unit',
      async file => {
        for (const { img_id: id } of images) {
          const span = this.rows.get(id);
          if (span === undefined) continue;
          const { bytesRead } = await this.#handle.read(buffer, 0, span.length, span.offset);
          await file.writeFile(buffer.subarray(0, bytesRead));
        }
      },
      { force: true },
    );
  }
}

/** Files of all attempts at a unit. */
async function listPartials(folder: string, unit: number): Promise<readonly string[]> {
  const start = `${unitName(unit)}.`;
  const names = await readdir(partialFolder(folder));
  return names
    .filter(name => name.startsWith(start) && name.endsWith('.tsv'))
    .map(name => join(partialFolder(folder), name));
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

function isGone(error: unknown): boolean {
  return isErrno(error, 'ENOENT') || (error instanceof LxmertDataError && error.code === 'ERR_IO');
}
