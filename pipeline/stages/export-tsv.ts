import { LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import { createPartial } from '../files/atomic.ts';
import { removeStalePartials } from '../files/partial-names.ts';
import { checkFreeSpace, checkNotInput, checkOutput, describeWriteFailure } from '../files/checks.ts';
import { storedFeatureBytes, widenFeatures } from '../rows/feature-dtype.ts';
import { imageIdOf, recordColumn, rowCrc, rowCrcOf, type RowRecord } from '../rows/row-record.ts';
import type { RowShape } from '../rows/row-shape.ts';
import type { ExportResult } from '../export/export-result.ts';
import { LineIndex } from '../export/line-index.ts';
import type { SourceForm } from '../store/source-form.ts';
import { type StoredRows, StoreFile } from '../store/reader.ts';
import { plainParts } from '../store/store-filler.ts';

const ROW_BYTES = 395_182;

export interface ExportTsvOptions {
  readonly store: string;
  readonly out: string;
  readonly force?: boolean | undefined;
  /** Also writes X.lineidx beside X.tsv: where each row begins, in decimal, a line each. */
  readonly lineIndex?: boolean | undefined;
}

/** Writes a store's rows as TSV: from an f32 store the bytes it was converted from. Every row is checked against its checksum on the way. */
export async function exportTsv(options: ExportTsvOptions, context: StageContext): Promise<ExportResult> {
  const store = await StoreFile.open(options.store);
  try {
    await checkOutput(options.out, options.force === true);
    await checkNotInput(options.out, [options.store]);
    await removeStalePartials(options.out);
    const index = options.lineIndex === true ? LineIndex.plan(options.out) : undefined;
    await checkFreeSpace(options.out, store.rows * ROW_BYTES);
    warnOfUntrained(store, context);
    const bytes = await writeRows(store, options, index, context);
    return { ok: true, out: options.out, rows: store.rows, bytes, lossless: store.dtype === 'f32' };
  } finally {
    await store.close();
  }
}

function warnOfUntrained(store: StoreFile, context: StageContext): void {
  if (store.provenance.detector.weights !== 'untrained') return;
  const message = `${store.path}: these features come from an untrained detector, which a TSV cannot say; they are for trying things out, not for training`;
  context.emit({ event: 'warning', message });
}

async function writeRows(
  store: StoreFile,
  { out, force }: ExportTsvOptions,
  index: LineIndex | undefined,
  context: StageContext,
): Promise<number> {
  const form = new RowForm(await store.readSourceForm(), store.rows);
  const partial = await createPartial(out, 'tsv', { force }).catch(async (error: unknown) => {
    throw await describeWriteFailure(out, store.rows * ROW_BYTES, error);
  });
  let written = 0;
  try {
    for await (const rows of store.readRows()) {
      context.signal.throwIfAborted();
      const lines = formatRows(store, rows, form).map(line => Buffer.from(line, 'utf8'));
      const text = Buffer.concat(lines);
      index?.add(lines);
      await partial.handle.writeFile(text).catch(async (error: unknown) => {
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
    // The index first: without its TSV it is a leftover, the TSV without its index would be taken for whole.
    await index?.publish();
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

/** One text a row. */
function formatRows(store: StoreFile, rows: StoredRows, form: RowForm): readonly string[] {
  const { shape, dtype } = store;
  const featureBytes = storedFeatureBytes(dtype);
  const columns = new Set<string>(shape.binary.map(field => field.name));
  return rows.records.map((record, index) => {
    let text = '';
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
    return text + parts.at(-1)!;
  });
}

function encodeFeatures(stored: Buffer, dtype: StoreFile['dtype']): string {
  if (dtype === 'f32') return stored.toString('base64');
  const wide = widenFeatures(stored, dtype);
  return Buffer.from(wide.buffer, wide.byteOffset, wide.byteLength).toString('base64');
}
