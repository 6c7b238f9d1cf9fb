import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { RowFolder } from './row-folder.ts';

/** Follows a file of rows that an extractor appends to, and takes each row in as it arrives. */
export class BatchReader {
  readonly name: string;
  readonly #folder: RowFolder;
  #file: FileHandle | undefined;
  #offset = 0;

  constructor(folder: RowFolder, name: string) {
    this.#folder = folder;
    this.name = name;
  }

  /** Up to where rows were taken in. */
  get offset(): number {
    return this.#offset;
  }

  get path(): string {
    return join(this.#folder.path, this.name);
  }

  /** Takes in what was appended since; returns why rows are invalid, by img_id where it could be read. */
  async takeNew(): Promise<ReadonlyMap<string | null, string>> {
    const bad = new Map<string | null, string>();
    this.#file ??= await open(this.path, 'r').catch(() => undefined);
    if (this.#file === undefined) return bad;
    this.#offset = await this.#folder.readRows(this.name, this.#file, this.#offset, (imgId, problem) => {
      bad.set(imgId, `${problem.code}${problem.column === null ? '' : ` ${problem.column}`}: ${problem.got}`);
    });
    return bad;
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }
}
