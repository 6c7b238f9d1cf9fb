import { type FileHandle, mkdir, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, LxmertDataError } from '../errors.ts';
import { isRunning } from '../files/processes.ts';
import { decodeRow } from '../rows/decode-row.ts';
import type { RowProblem } from '../problem.ts';
import { RECORD_BYTES, rowRecordAt } from '../rows/row-record.ts';
import { FEATURE_BYTES, OBJ36 } from '../rows/row-shape.ts';
import type { DetectorName } from './contract.ts';

const LF = 10;
const READ_BYTES = 1 << 20;
/** A row with an id of 255 bytes is shorter. */
const MAX_ROW_BYTES = 500_000;

/** Where a valid row is. */
export interface RowSpan {
  readonly file: string;
  readonly offset: number;
  readonly length: number;
}

/**
 * Rows of an extraction under way. What is done is known from the rows themselves: a row counts when it is complete and valid, whatever
 * was going on when its writer stopped.
 */
export class RowFolder {
  readonly path: string;
  /** Valid rows by img_id. */
  readonly rows = new Map<string, RowSpan>();
  #nextFile = 0;
  /** Rows are decoded to validate them; the result is not kept. */
  readonly #features = new Uint8Array(FEATURE_BYTES);
  readonly #record = rowRecordAt(new ArrayBuffer(RECORD_BYTES), 0);

  private constructor(path: string) {
    this.path = path;
  }

  /** Opens or makes the folder, indexes its rows, and cuts off a torn last one. */
  static async open(path: string, note: (message: string) => void): Promise<RowFolder> {
    await mkdir(path, { recursive: true });
    await holdAlone(path);
    const folder = new RowFolder(path);
    for (const name of (await readdir(path)).filter(file => /^rows-\d+\.tsv$/.test(file)).sort()) {
      const torn = await folder.addFile(name);
      if (torn > 0) note(`${join(path, name)}: ${torn} bytes of a torn last row cut off`);
      folder.#nextFile = Math.max(folder.#nextFile, Number(/\d+/.exec(name)![0]) + 1);
    }
    return folder;
  }

  /** Fails where the existing rows come from another detector; a store has one only. */
  async holdTo(detector: DetectorName): Promise<void> {
    await checkDetector(this.path, detector);
  }

  /** The detector that the rows here come from, if there were any. */
  async readDetector(): Promise<DetectorName | undefined> {
    const text = await readFile(join(this.path, 'detector.json'), 'utf8').catch(() => undefined);
    return text === undefined ? undefined : (JSON.parse(text) as DetectorName);
  }

  /** Removes the folder with all rows. */
  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }

  /** Name of a file that no writer has used. */
  newFile(): string {
    return `rows-${String(this.#nextFile++).padStart(6, '0')}.tsv`;
  }

  /** Takes in the valid rows of a file from `from` on; returns the bytes of a torn last row, which are cut off. */
  async addFile(name: string, from = 0): Promise<number> {
    const file = await open(join(this.path, name), 'r');
    let end: number;
    let size: number;
    try {
      size = (await file.stat()).size;
      end = await this.readRows(name, file, from);
    } finally {
      await file.close();
    }
    if (end < size) await truncate(join(this.path, name), end);
    return size - end;
  }

  /** Reads whole rows from `from` on; returns where the last one ends. Invalid rows are not taken. */
  async readRows(
    name: string,
    file: FileHandle,
    from: number,
    onBad: (imgId: string | null, problem: RowProblem) => void = () => undefined,
  ): Promise<number> {
    let rest: Buffer = Buffer.alloc(0);
    let offset = from;
    for (let position = from; ;) {
      const chunk = Buffer.allocUnsafe(READ_BYTES);
      const { bytesRead } = await file.read(chunk, 0, chunk.length, position);
      if (bytesRead === 0) return offset;
      position += bytesRead;
      const read = chunk.subarray(0, bytesRead);
      rest = rest.length === 0 ? read : Buffer.concat([rest, read]);
      for (let stop = rest.indexOf(LF); stop >= 0; stop = rest.indexOf(LF)) {
        const line = rest.subarray(0, stop + 1);
        this.#take(name, offset, line, onBad);
        offset += line.length;
        rest = rest.subarray(stop + 1);
      }
      if (rest.length > MAX_ROW_BYTES) {
        throw new LxmertDataError('ERR_ROW', {
          what: 'this is not a file of rows',
          where: join(this.path, name),
          hint: 'remove this file',
        });
      }
    }
  }

  async close(): Promise<void> {
    await rm(join(this.path, 'owner'), { force: true });
  }

  #take(
    file: string,
    offset: number,
    line: Buffer,
    onBad: (imgId: string | null, problem: RowProblem) => void,
  ): void {
    const features = this.#features;
    const record = this.#record;
    let first: RowProblem | undefined;
    const row = decodeRow(line, OBJ36, { features, scratch: features, dtype: 'f32', record }, problem => {
      if (problem.severity === 'error') first ??= problem;
    });
    if (row.status === 'ok') this.rows.set(row.imgId!, { file, offset, length: line.length });
    else if (first !== undefined) onBad(row.imgId, first);
  }
}

/** Two extractions into one folder would compute the same rows twice. */
async function holdAlone(path: string): Promise<void> {
  const owner = join(path, 'owner');
  try {
    await writeFile(owner, String(process.pid), { flag: 'wx' });
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
    const pid = Number(await readFile(owner, 'utf8'));
    if (pid > 0 && pid !== process.pid && isRunning(pid)) {
      throw new LxmertDataError('ERR_INPUT', {
        what: `process ${pid} is extracting to the same folder`,
        where: path,
        hint: 'wait for it, or stop it',
      });
    }
    await writeFile(owner, String(process.pid));
  }
}

async function checkDetector(path: string, detector: DetectorName): Promise<void> {
  const file = join(path, 'detector.json');
  const text = `${JSON.stringify(detector)}\n`;
  const before = await readFile(file, 'utf8').catch(() => undefined);
  if (before === undefined) await writeFile(file, text);
  else if (before !== text) {
    throw new LxmertDataError('ERR_INPUT', {
      what: 'the existing rows come from another detector',
      where: path,
      expected: before.trim(),
      got: text.trim(),
      hint: 'continue with the same weights and options, or remove the folder to start over',
    });
  }
}
