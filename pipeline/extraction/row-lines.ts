import type { FileHandle } from 'node:fs/promises';
import { LxmertDataError } from '../errors.ts';
import type { RowProblem } from '../problem.ts';
import { decodeRow } from '../rows/decode-row.ts';
import { RECORD_BYTES, rowRecordAt } from '../rows/row-record.ts';
import { FEATURE_BYTES, OBJ36 } from '../rows/row-shape.ts';

const LF = 10;
const READ_BYTES = 1 << 20;
/** A row with an id of 255 bytes is shorter. */
export const MAX_ROW_BYTES = 500_000;

/** A whole line of a file of rows. */
export interface RowLine {
  /** Valid until the next line is read. */
  readonly line: Buffer;
  readonly offset: number;
  readonly imgId: string | null;
  readonly isValid: boolean;
  /** Why it is not a valid row. */
  readonly problem: RowProblem | undefined;
}

/** Reads and checks whole rows of a file, from a position on. */
export class RowLineReader {
  /** Rows are decoded to check them; the result is not kept. */
  readonly #features = new Uint8Array(FEATURE_BYTES);
  readonly #record = rowRecordAt(new ArrayBuffer(RECORD_BYTES), 0);

  /** Lines from `from` on. Fails (ERR_ROW) where a line is longer than any row. */
  async *read(file: FileHandle, path: string, from: number): AsyncGenerator<RowLine, void, undefined> {
    let rest: Buffer = Buffer.alloc(0);
    let offset = from;
    for (let position = from; ;) {
      const chunk = Buffer.allocUnsafe(READ_BYTES);
      const { bytesRead } = await file.read(chunk, 0, chunk.length, position);
      if (bytesRead === 0) return;
      position += bytesRead;
      const read = chunk.subarray(0, bytesRead);
      rest = rest.length === 0 ? read : Buffer.concat([rest, read]);
      for (let stop = rest.indexOf(LF); stop >= 0; stop = rest.indexOf(LF)) {
        const line = rest.subarray(0, stop + 1);
        yield this.#check(line, offset);
        offset += line.length;
        rest = rest.subarray(stop + 1);
      }
      if (rest.length > MAX_ROW_BYTES) {
        throw new LxmertDataError('ERR_ROW', {
          what: 'this is not a file of rows',
          where: path,
          expected: `lines of at most ${MAX_ROW_BYTES} bytes`,
          got: `${rest.length} bytes without an end of line at byte ${offset}`,
          hint: 'remove this file',
        });
      }
    }
  }

  #check(line: Buffer, offset: number): RowLine {
    const target = {
      features: this.#features,
      scratch: this.#features,
      dtype: 'f32',
      record: this.#record,
    } as const;
    let problem: RowProblem | undefined;
    const row = decodeRow(line, OBJ36, target, found => {
      if (found.severity === 'error') problem ??= found;
    });
    return { line, offset, imgId: row.imgId, isValid: row.status === 'ok', problem };
  }
}
