import type { FileHandle } from 'node:fs/promises';
import { errorText, LxmertDataError } from '../errors.ts';
import { openFile } from '../inputs/open-file.ts';
import { type FeatureDtype, storedFeatureBytes } from '../rows/feature-dtype.ts';
import {
  imageIdOf,
  RECORD_BYTES,
  recordColumnSpan,
  rowCrc,
  rowCrcOf,
  type RowRecord,
  rowRecordAt,
  setImageId,
} from '../rows/row-record.ts';
import type { RowShape } from '../rows/row-shape.ts';
import { readHeader, type StoreHeader } from './parse-header.ts';
import { parseSourceForm, PLAIN_FORM, type SourceForm } from './source-form.ts';
import type { Provenance } from './metadata.ts';
import type { TensorName } from './layout.ts';

const DIGIT_0 = 48;
const DIGIT_9 = 57;

/** Rows of a store as they stand in the file: features in the store's dtype, the rest as records. */
export interface StoredRows {
  readonly begin: number;
  readonly count: number;
  readonly features: Buffer;
  readonly records: readonly RowRecord[];
}

/** An open store: positional reads and nothing kept but the header. */
export class StoreFile {
  readonly path: string;
  readonly header: StoreHeader;
  readonly #file: FileHandle;

  private constructor(path: string, header: StoreHeader, file: FileHandle) {
    this.path = path;
    this.header = header;
    this.#file = file;
  }

  /** Opens a store and checks header and size; fails with ERR_STORE where they are not those of docs/format.md. */
  static async open(path: string): Promise<StoreFile> {
    const { file, stat } = await openFile(path, 'a .safetensors file');
    try {
      return new StoreFile(path, await readHeader(file, path, stat.size), file);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get rows(): number {
    return this.header.rows;
  }

  get dtype(): FeatureDtype {
    return this.header.dtype;
  }

  get shape(): RowShape {
    return this.header.shape;
  }

  get provenance(): Provenance {
    return this.header.provenance;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** Bytes of rows `begin` to `begin + count` of one tensor, into `into` where given. */
  async readTensor(name: TensorName, begin: number, count: number, into?: Buffer): Promise<Buffer> {
    const span = this.header.tensors.get(name);
    if (span === undefined) {
      throw new LxmertDataError('ERR_STORE', { what: `the store has no ${name}`, where: this.path });
    }
    const rowBytes = (span.end - span.begin) / span.shape[0]!;
    const bytes = into?.subarray(0, count * rowBytes) ?? Buffer.allocUnsafeSlow(count * rowBytes);
    const position = this.header.dataStart + span.begin + begin * rowBytes;
    for (let done = 0; done < bytes.length;) {
      const { bytesRead } = await this.#file
        .read(bytes, done, bytes.length - done, position + done)
        .catch((error: unknown) => {
          throw describeReadFailure(this.path, position + done, error);
        });
      if (bytesRead === 0) {
        throw new LxmertDataError('ERR_STORE', {
          what: 'the file was cut short while it was read',
          where: this.path,
          expected: `data at byte ${position + done}`,
        });
      }
      done += bytesRead;
    }
    return bytes;
  }

  /** Records of rows `begin` to `begin + count`; line ends and edges, which stores do not keep, are zero. */
  async readRecords(begin: number, count: number): Promise<readonly RowRecord[]> {
    const memory = Buffer.alloc(count * RECORD_BYTES);
    const records = Array.from({ length: count }, (_, index) =>
      rowRecordAt(memory.buffer, memory.byteOffset + index * RECORD_BYTES),
    );
    for (const name of this.header.tensors.keys()) {
      if (name === 'features' || name === 'source_form') continue;
      const column = await this.readTensor(name, begin, count);
      const rowBytes = column.length / count;
      for (const [index, record] of records.entries()) {
        const bytes = column.subarray(index * rowBytes, (index + 1) * rowBytes);
        if (name === 'img_id') setImageId(record, trimZeros(bytes));
        else record.bytes.set(bytes, recordColumnSpan(name).at);
      }
    }
    return records;
  }

  /** All rows in order, `count` at a time; the memory is used again for the next ones. */
  async *readRows(count = 32): AsyncGenerator<StoredRows> {
    const memory = Buffer.allocUnsafeSlow(count * storedFeatureBytes(this.dtype));
    for (let begin = 0; begin < this.rows; begin += count) {
      const some = Math.min(count, this.rows - begin);
      const features = await this.readTensor('features', begin, some, memory);
      yield { begin, count: some, features, records: await this.readRecords(begin, some) };
    }
  }

  /** Every img_id, in order. */
  async readImageIds(): Promise<readonly string[]> {
    const ids = await this.readTensor('img_id', 0, this.rows);
    const width = ids.length / this.rows;
    return Array.from({ length: this.rows }, (_, row) =>
      trimZeros(ids.subarray(row * width, (row + 1) * width)).toString('utf8'),
    );
  }

  /** Whether any img_id consists of digits only, so that it can be confused with a row number; decodes no id. */
  async hasNumericIds(): Promise<boolean> {
    const ids = await this.readTensor('img_id', 0, this.rows);
    const width = ids.length / this.rows;
    for (let begin = 0; begin < ids.length; begin += width) {
      let end = begin;
      while (end < begin + width && ids[end]! >= DIGIT_0 && ids[end]! <= DIGIT_9) end++;
      if (end > begin && (end === begin + width || ids[end] === 0)) return true;
    }
    return false;
  }

  /** How the source rows were written. */
  async readSourceForm(): Promise<SourceForm> {
    const span = this.header.tensors.get('source_form');
    if (span === undefined) return PLAIN_FORM;
    const bytes = await this.readTensor('source_form', 0, span.shape[0]!);
    const form = parseSourceForm(bytes.toString('utf8'), this.rows, this.shape.binary.length + 1);
    if (form !== undefined) return form;
    throw new LxmertDataError('ERR_STORE', {
      what: 'source_form cannot be read',
      where: this.path,
      expected: 'JSON with eol, eol_runs and odd',
    });
  }
}

function describeReadFailure(path: string, position: number, cause: unknown): LxmertDataError {
  return new LxmertDataError('ERR_IO', {
    what: `reading failed at byte ${position} (${errorText(cause)})`,
    where: path,
    cause,
  });
}

/** An id without its padding. Bytes behind the first zero byte are kept, so that damage there shows. */
function trimZeros(bytes: Buffer): Buffer {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return bytes.subarray(0, end);
}

/** Holds a row that was read to its checksum. @throws LxmertDataError ERR_STORE naming the image */
export function requireIntactRow(
  store: StoreFile,
  row: number,
  features: Uint8Array,
  record: RowRecord,
): void {
  if (rowCrc(features, record, store.shape.binaryNames) === rowCrcOf(record)) return;
  throw new LxmertDataError('ERR_STORE', {
    what: `image ${imageIdOf(record)} (row ${row}) is damaged`,
    where: store.path,
    hint: 'run verify to see all damage, then convert again',
  });
}
