import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { isErrno } from '../errors.ts';
import { createPartial, type PartialOutput, type PublishOptions } from '../files/atomic.ts';
import { describeWriteFailure } from '../files/checks.ts';
import { type FeatureDtype, storedFeatureBytes } from '../rows/feature-dtype.ts';
import { imageIdBytes, RECORD_BYTES, recordColumn, type RowRecord, rowRecordAt } from '../rows/row-record.ts';
import type { RowShape } from '../rows/row-shape.ts';
import type { SourceFormBuilder } from './source-form.ts';
import { encodeHeader, FORMAT_NAME, FORMAT_VERSION, hexCrc } from './header.ts';
import type { RawMetadata } from './metadata.ts';
import { findDirectOffset, openForDirectWrites } from './direct-writes.ts';
import { planLayout, storeBytesFor, type TensorSpan } from './layout.ts';

const MOVE_ROWS = 24;
const GATHER_ROWS = 2048;

export interface StoreEnd {
  readonly rows: number;
  readonly shape: RowShape;
  readonly form: SourceFormBuilder;
  /** Everything but what the writer knows itself: docs/format.md, Metadata. */
  readonly metadata: RawMetadata;
}

export interface WriterOptions extends PublishOptions {
  readonly dtype: FeatureDtype;
  /** Offset of the data section. */
  readonly dataStart: number;
  /** For the message about a full disk only. */
  readonly expectedRows: number;
}

interface WriterFiles {
  readonly store: PartialOutput;
  readonly records: PartialOutput;
  readonly direct: FileHandle | undefined;
}

/**
 * Writes a store under a temporary name and publishes it whole. Features go to their final offset at once, whatever the number of rows will
 * be; records wait in a second temporary file, because the offset of the other tensors is known only at the end.
 */
export class StoreWriter {
  readonly path: string;
  readonly #dtype: FeatureDtype;
  readonly #dataStart: number;
  readonly #expectedRows: number;
  readonly #partial: PartialOutput;
  readonly #partialRecords: PartialOutput;
  readonly #store: FileHandle;
  readonly #records: FileHandle;
  readonly #direct: FileHandle | undefined;
  #idBytes = 1;
  #written = 0;

  private constructor(path: string, options: WriterOptions, files: WriterFiles) {
    this.path = path;
    this.#dtype = options.dtype;
    this.#dataStart = options.dataStart;
    this.#expectedRows = options.expectedRows;
    this.#partial = files.store;
    this.#partialRecords = files.records;
    this.#direct = files.direct;
    this.#store = this.#partial.handle;
    this.#records = this.#partialRecords.handle;
  }

  static async create(path: string, options: WriterOptions): Promise<StoreWriter> {
    const partials: PartialOutput[] = [];
    try {
      const store = await createPartial(path, 'store', options);
      partials.push(store);
      const records = await createPartial(path, 'records');
      partials.push(records);
      const direct = await openForDirectWrites(store);
      return new StoreWriter(path, options, { store, records, direct });
    } catch (error) {
      for (const partial of partials) await partial.discard();
      throw await describeWriteFailure(path, storeBytesFor(options.expectedRows, options.dtype), error);
    }
  }

  /** Where features should begin in a block of memory so that they can be written directly: see `RowDecoderOptions.align`. */
  align(memory: SharedArrayBuffer): number {
    // What stands in the way of writing is told by the first write.
    try {
      return this.#direct === undefined ? 0 : findDirectOffset(this.#direct, memory);
    } catch {
      return 0;
    }
  }

  /** Writes consecutive rows from `row` on. The buffers may be reused when the promise is fulfilled. */
  async writeRows(row: number, features: Buffer, records: Buffer): Promise<void> {
    for (let at = 0; at < records.length; at += RECORD_BYTES) {
      const length = imageIdBytes(rowRecordAt(records.buffer, records.byteOffset + at)).length;
      this.#idBytes = Math.max(this.#idBytes, length);
    }
    await this.#guard(async () => {
      await Promise.all([
        this.#writeFeatures(features, this.#dataStart + row * storedFeatureBytes(this.#dtype)),
        writeFully(this.#records, records, row * RECORD_BYTES),
      ]);
    });
    this.#written += records.length / RECORD_BYTES;
  }

  async #writeFeatures(features: Buffer, position: number): Promise<void> {
    if (this.#direct !== undefined) {
      try {
        await writeFully(this.#direct, features, position);
        return;
      } catch (error) {
        // Memory that could not be aligned, or a short write that left an odd rest: the page cache takes everything.
        if (!isErrno(error, 'EINVAL')) throw error;
      }
    }
    await writeFully(this.#store, features, position);
  }

  /** Moves `count` rows down, to close a gap before them. */
  async moveRows(from: number, to: number, count: number): Promise<void> {
    const featureBytes = storedFeatureBytes(this.#dtype);
    const features = Buffer.allocUnsafe(MOVE_ROWS * featureBytes);
    const records = Buffer.allocUnsafe(MOVE_ROWS * RECORD_BYTES);
    for (let done = 0; done < count; done += MOVE_ROWS) {
      const rows = Math.min(MOVE_ROWS, count - done);
      const some = features.subarray(0, rows * featureBytes);
      const someRecords = records.subarray(0, rows * RECORD_BYTES);
      await this.#guard(async () => {
        await readFully(this.#store, some, this.#dataStart + (from + done) * featureBytes);
        await writeFully(this.#store, some, this.#dataStart + (to + done) * featureBytes);
        await readFully(this.#records, someRecords, (from + done) * RECORD_BYTES);
        await writeFully(this.#records, someRecords, (to + done) * RECORD_BYTES);
      });
    }
  }

  /** Adds the small tensors and the header, syncs, and gives the store its name. Returns its size in bytes. */
  async finish(end: StoreEnd): Promise<number> {
    const form = end.form.encode(end.rows);
    const tensors = planLayout({
      rows: end.rows,
      dtype: this.#dtype,
      shape: end.shape,
      idBytes: this.#idBytes,
      formBytes: form.length,
    });
    const size = this.#dataStart + tensors.at(-1)!.end;
    await this.#guard(async () => {
      const tableCrc = crc32(form, await this.#gather(tensors, end.rows));
      const span = tensors.find(tensor => tensor.name === 'source_form');
      if (span !== undefined) await writeFully(this.#store, form, this.#dataStart + span.begin);
      const metadata = {
        format: FORMAT_NAME,
        format_version: String(FORMAT_VERSION),
        rows: String(end.rows),
        dtype: this.#dtype,
        columns: JSON.stringify(end.shape.columns),
        ...end.metadata,
        crc32_table: hexCrc(tableCrc),
      };
      await writeFully(this.#store, encodeHeader(tensors, metadata, this.#dataStart), 0);
      // Rows that were moved down leave bytes behind the last tensor.
      await this.#store.truncate(size);
      await this.#store.sync();
    });
    await this.#direct?.close();
    // Before the store gets its name: a run killed in between leaves nothing that the next one would not remove.
    await this.#partialRecords.discard();
    await this.#partial.publish();
    return size;
  }

  /** Removes everything written; the final name was never touched. */
  async abort(): Promise<void> {
    await Promise.allSettled([
      this.#direct?.close(),
      this.#partial.discard(),
      this.#partialRecords.discard(),
    ]);
  }

  /** Turns records into columns; returns the CRC-32 of the `crc32` tensor. */
  async #gather(tensors: readonly TensorSpan[], rows: number): Promise<number> {
    const columns = tensors.filter(({ name }) => name !== 'features' && name !== 'source_form');
    const records = Buffer.allocUnsafeSlow(GATHER_ROWS * RECORD_BYTES);
    let tableCrc = 0;
    for (let row = 0; row < rows; row += GATHER_ROWS) {
      const count = Math.min(GATHER_ROWS, rows - row);
      await readFully(this.#records, records.subarray(0, count * RECORD_BYTES), row * RECORD_BYTES);
      for (const span of columns) {
        const bytesPerRow = (span.end - span.begin) / rows;
        const column = Buffer.alloc(count * bytesPerRow);
        for (let index = 0; index < count; index++) {
          const record = rowRecordAt(records.buffer, records.byteOffset + index * RECORD_BYTES);
          column.set(columnBytes(record, span), index * bytesPerRow);
        }
        if (span.name === 'crc32') tableCrc = crc32(column, tableCrc);
        await writeFully(this.#store, column, this.#dataStart + span.begin + row * bytesPerRow);
      }
    }
    return tableCrc;
  }

  async #guard(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      const remaining = storeBytesFor(Math.max(1, this.#expectedRows - this.#written), this.#dtype);
      throw await describeWriteFailure(this.path, remaining, error);
    }
  }
}

function columnBytes(record: RowRecord, { name }: TensorSpan): Buffer {
  if (name === 'img_id') return imageIdBytes(record);
  if (name === 'features' || name === 'source_form') throw new RangeError(`${name} is not part of a record`);
  return recordColumn(record, name);
}

async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

export async function readFully(file: FileHandle, into: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < into.length;) {
    const { bytesRead } = await file.read(into, done, into.length - done, position + done);
    if (bytesRead === 0) throw new Error(`unexpected end of file at byte ${position + done}`);
    done += bytesRead;
  }
}
