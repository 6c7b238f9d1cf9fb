import { open, rm } from 'node:fs/promises';
import { LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import {
  checkFreeSpace,
  checkNotInput,
  checkOutput,
  describeWriteFailure,
  partialPath,
  publish,
  removeStalePartials,
} from '../files.ts';
import { storedFeatureBytes, widenFeatures } from '../format/feature-dtype.ts';
import { imageIdOf, recordColumn, rowCrc, rowCrcOf, type RowRecord } from '../format/row-record.ts';
import type { RowShape } from '../format/row-shape.ts';
import type { SourceForm } from '../format/store/source-form.ts';
import { type StoredRows, StoreFile } from '../format/store/store-reader.ts';
import { plainParts } from './store-filler.ts';

const ROW_BYTES = 395_182;

export interface ExportTsvOptions {
  readonly store: string;
  readonly out: string;
  readonly force?: boolean | undefined;
}

export interface ExportResult {
  readonly ok: true;
  readonly out: string;
  readonly rows: number;
  readonly bytes: number;
  /** False for f16 and bf16 stores, whose features were rounded. */
  readonly lossless: boolean;
}

/** Writes a store's rows as TSV: from an f32 store the bytes it was converted from. Every row is checked against its checksum on the way. */
export async function exportTsv(options: ExportTsvOptions, context: StageContext): Promise<ExportResult> {
  const store = await StoreFile.open(options.store);
  try {
    await checkOutput(options.out, options.force === true);
    await checkNotInput(options.out, [options.store]);
    await removeStalePartials(options.out);
    await checkFreeSpace(options.out, store.rows * ROW_BYTES);
    const bytes = await writeRows(store, options.out, context);
    return { ok: true, out: options.out, rows: store.rows, bytes, lossless: store.dtype === 'f32' };
  } finally {
    await store.close();
  }
}

async function writeRows(store: StoreFile, out: string, context: StageContext): Promise<number> {
  const form = new RowForm(await store.readSourceForm(), store.rows);
  const partial = partialPath(out, 'tsv');
  const file = await open(partial, 'w').catch(async (error: unknown) => {
    throw await describeWriteFailure(out, store.rows * ROW_BYTES, error);
  });
  let written = 0;
  try {
    for await (const rows of store.readRows()) {
      context.signal.throwIfAborted();
      const text = Buffer.from(formatRows(store, rows, form), 'utf8');
      await file.writeFile(text).catch(async (error: unknown) => {
        const remaining = (store.rows - rows.begin) * ROW_BYTES;
        throw await describeWriteFailure(out, remaining, error);
      });
      written += text.length;
      const done = rows.begin + rows.count;
      context.emit({
        event: 'progress',
        stage: 'export',
        input: store.path,
        done,
        total: store.rows,
        unit: 'images',
      });
    }
    await file.sync();
  } catch (error) {
    await file.close();
    await rm(partial, { force: true });
    throw error;
  }
  await file.close();
  await publish(partial, out);
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
    const end = parts.at(-1)!;
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

function formatRows(store: StoreFile, rows: StoredRows, form: RowForm): string {
  const { shape, dtype } = store;
  const featureBytes = storedFeatureBytes(dtype);
  const columns = new Set<string>(shape.binary.map(field => field.name));
  let text = '';
  for (const [index, record] of rows.records.entries()) {
    const features = rows.features.subarray(index * featureBytes, (index + 1) * featureBytes);
    if (rowCrc(features, record, columns) !== rowCrcOf(record)) {
      throw new LxmertDataError('ERR_STORE', {
        what: `image ${imageIdOf(record)} (row ${rows.begin + index}) is damaged`,
        where: store.path,
        hint: `run verify to see all damage, then convert again`,
      });
    }
    const parts = form.parts(rows.begin + index, record, shape);
    for (const [place, field] of shape.binary.entries()) {
      text +=
        parts[place]! +
        (field.name === 'features'
          ? encodeFeatures(features, dtype)
          : recordColumn(record, field.name).toString('base64'));
    }
    text += parts.at(-1)!;
  }
  return text;
}

function encodeFeatures(stored: Buffer, dtype: StoreFile['dtype']): string {
  if (dtype === 'f32') return stored.toString('base64');
  const wide = widenFeatures(stored, dtype);
  return Buffer.from(wide.buffer, wide.byteOffset, wide.byteLength).toString('base64');
}
