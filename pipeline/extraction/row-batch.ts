import type { FileHandle } from 'node:fs/promises';
import { LxmertDataError } from '../errors.ts';
import { formatBytes } from '../files/format-bytes.ts';
import { RowLineReader } from './row-lines.ts';

/** Who keeps the rows that were checked. */
export interface RowKeeper {
  readonly rows: ReadonlyMap<string, unknown>;
  append(imgId: string, line: Buffer): Promise<void>;
  sync(): Promise<void>;
}

export interface BatchFile {
  /** As this machine sees it. */
  readonly path: string;
  readonly handle: FileHandle;
  /** Images whose rows are taken; others are refused. */
  readonly imgIds: readonly string[];
  readonly maxBytes?: number | undefined;
  readonly onClose?: (() => Promise<void>) | undefined;
}

/** Rows that were not taken. */
export interface RefusedRows {
  /** Why rows are invalid, by img_id where it could be read. */
  readonly bad: ReadonlyMap<string | null, string>;
  /** Images that the batch does not have. */
  readonly notAsked: ReadonlySet<string>;
}

/** Different ids of refused rows that are remembered. */
const MAX_REFUSED = 100;

/** Follows a file that an extractor appends rows to, and has each new row kept as soon as it is whole. */
export class RowBatch {
  readonly path: string;
  readonly #file: BatchFile;
  readonly #keeper: RowKeeper;
  readonly #imgIds: ReadonlySet<string>;
  readonly #lines = new RowLineReader();
  #offset = 0;
  #isClosed = false;

  constructor(file: BatchFile, keeper: RowKeeper) {
    this.path = file.path;
    this.#file = file;
    this.#keeper = keeper;
    this.#imgIds = new Set(file.imgIds);
  }

  /** Takes in what was appended since. Fails (ERR_EXTRACTOR, ERR_ROW) where it is more than rows of these images can be. */
  async takeNew(): Promise<RefusedRows> {
    const bad = new Map<string | null, string>();
    const notAsked = new Set<string>();
    const { handle, maxBytes = Infinity } = this.#file;
    const { size } = await handle.stat();
    if (size > maxBytes) throw this.#tooLong(size, maxBytes);
    for await (const row of this.#lines.read(handle, this.path, this.#offset)) {
      this.#offset = row.offset + row.line.length;
      if (this.#offset > maxBytes) throw this.#tooLong(this.#offset, maxBytes);
      if (row.imgId !== null && row.isValid) await this.#keep(row.imgId, row.line, notAsked);
      else if (row.problem !== undefined && bad.size < MAX_REFUSED) {
        const { code, column, got } = row.problem;
        bad.set(row.imgId, `${code}${column === null ? '' : ` ${column}`}: ${got}`);
      }
    }
    return { bad, notAsked };
  }

  /** Makes what was taken durable and removes the file; does nothing when called again. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#file.handle.close();
    await this.#keeper.sync();
    await this.#file.onClose?.();
  }

  async #keep(imgId: string, line: Buffer, notAsked: Set<string>): Promise<void> {
    if (!this.#imgIds.has(imgId)) {
      if (notAsked.size < MAX_REFUSED) notAsked.add(imgId);
    } else if (!this.#keeper.rows.has(imgId)) await this.#keeper.append(imgId, line);
  }

  #tooLong(got: number, most: number): LxmertDataError {
    return new LxmertDataError('ERR_EXTRACTOR', {
      what: 'the extractor writes more than the rows that it was asked for',
      where: this.path,
      expected: `at most ${formatBytes(most)} for ${this.#imgIds.size} images`,
      got: formatBytes(got),
      hint: 'do not use this extractor; finished rows are kept',
    });
  }
}
