import type { StageContext } from '../events.ts';
import { createPartial, type PublishOptions } from '../files/atomic.ts';
import { describeWriteFailure } from '../files/checks.ts';
import { storedFeatureBytes, widenFeatures } from '../rows/feature-dtype.ts';
import { recordColumn, type RowRecord } from '../rows/row-record.ts';
import { OBJ36, type RowShape, typicalRowBytes } from '../rows/row-shape.ts';
import { requireIntactRow, type StoredRows, type StoreFile } from './reader.ts';
import type { SourceForm } from './source-form.ts';
import { plainParts } from './store-filler.ts';

/** Sees the rows as they are written, and is published before the TSV: an index, or the note of its detector. */
export interface Companion {
  add(rows: readonly Buffer[]): void;
  publish(): Promise<void>;
}

export interface WriteTsvOptions extends PublishOptions {
  readonly companions?: readonly Companion[] | undefined;
}

/** Bytes that a store's rows take as a TSV, about. */
export function typicalTsvBytes(rows: number): number {
  return rows * typicalRowBytes(OBJ36);
}

/**
 * Writes a store's rows as TSV: from an f32 store the bytes it was converted from. Every row is checked against its
 * checksum. Returns the size in bytes. Fails with ERR_STORE, ERR_OUTPUT_EXISTS, ERR_NO_SPACE, ERR_IO.
 */
export async function writeTsv(
  store: StoreFile,
  out: string,
  { companions = [], force }: WriteTsvOptions,
  context: StageContext,
): Promise<number> {
  const form = new RowForm(await store.readSourceForm(), store.rows);
  const partial = await createPartial(out, 'tsv', { force }).catch(async (error: unknown) => {
    throw await describeWriteFailure(out, typicalTsvBytes(store.rows), error);
  });
  let written = 0;
  try {
    for await (const rows of store.readRows()) {
      context.signal.throwIfAborted();
      const lines = formatRows(store, rows, form).map(line => Buffer.from(line, 'utf8'));
      const text = Buffer.concat(lines);
      for (const companion of companions) companion.add(lines);
      await partial.handle.writeFile(text).catch(async (error: unknown) => {
        throw await describeWriteFailure(out, typicalTsvBytes(store.rows - rows.begin), error);
      });
      written += text.length;
      const done = rows.begin + rows.count;
      const progress = { input: store.path, done, total: store.rows, unit: 'images' } as const;
      context.emit({ event: 'progress', stage: 'export', ...progress });
    }
    // These first: without the TSV they are leftovers, the TSV without them would be taken for whole.
    for (const companion of companions) await companion.publish();
    await partial.publish();
  } finally {
    await partial.discard();
  }
  return written;
}

/** Answers how row `row` was written; rows must be asked in order. */
class RowForm {
  readonly #form: SourceForm;
  readonly #odd: ReadonlyMap<number, readonly string[]>;
  readonly #last: number;
  #run = 0;

  constructor(form: SourceForm, rows: number) {
    this.#form = form;
    this.#last = rows - 1;
    this.#odd = new Map(form.odd);
  }

  parts(row: number, record: RowRecord, shape: RowShape): readonly string[] {
    const parts = this.#writtenParts(row, record, shape);
    const end = parts.at(-1) ?? '';
    // The last row of a source may lack its line end; with other rows behind it here it needs one.
    if (row === this.#last || end.endsWith('\n')) return parts;
    return [...parts.slice(0, -1), `${end}\r\n`];
  }

  #writtenParts(row: number, record: RowRecord, shape: RowShape): readonly string[] {
    const odd = this.#odd.get(row);
    if (odd !== undefined) return odd;
    while ((this.#form.eol_runs[this.#run]?.[1] ?? Infinity) <= row) this.#run++;
    const run = this.#form.eol_runs[this.#run];
    return plainParts(record, shape, run !== undefined && run[0] <= row ? run[2] : this.#form.eol);
  }
}

/** One text a row. */
function formatRows(store: StoreFile, rows: StoredRows, form: RowForm): readonly string[] {
  const { shape, dtype } = store;
  const featureBytes = storedFeatureBytes(dtype);
  return rows.records.map((record, index) => {
    let text = '';
    const features = rows.features.subarray(index * featureBytes, (index + 1) * featureBytes);
    requireIntactRow(store, rows.begin + index, features, record);
    const parts = form.parts(rows.begin + index, record, shape);
    for (const [index, field] of shape.binary.entries()) {
      text +=
        (parts[index] ?? '') +
        (field.name === 'features'
          ? encodeFeatures(features, dtype)
          : recordColumn(record, field.name).toString('base64'));
    }
    return text + (parts.at(-1) ?? '');
  });
}

function encodeFeatures(stored: Buffer, dtype: StoreFile['dtype']): string {
  if (dtype === 'f32') return stored.toString('base64');
  const wide = widenFeatures(stored, dtype);
  return Buffer.from(wide.buffer, wide.byteOffset, wide.byteLength).toString('base64');
}
