import type { StageContext } from '../events.ts';
import type { DecodedBlock, StreamedLine } from '../rows/decoder/row-decoder.ts';
import type { ExpectedRows } from '../manifest/expected-rows.ts';
import { RowDecoder } from '../rows/decoder/row-decoder.ts';
import { imageIdBytes, recordColumn, type RowRecord } from '../rows/row-record.ts';
import { StoreFile } from './reader.ts';
import { openRowSource } from '../inputs/open-source.ts';
import { ProblemLog, type ProblemSummary } from '../rows/problem-log.ts';
import { RowScanner } from '../rows/scan-rows.ts';

export interface RowDifference {
  readonly img_id: string;
  readonly line: number;
  /** Columns that differ, or why the row could not be compared. */
  readonly differs: readonly string[];
}

/** The rows that a store is compared with. */
export interface SourceFiles {
  /** .tsv or .zip files. */
  readonly files: readonly string[];
  /** The TSV to read inside zips that hold several. */
  readonly member?: string | undefined;
  /** Rows that files have when whole, by name: a part of them is noted, and compared like any other. */
  readonly expectedRows?: ExpectedRows | undefined;
}

export interface SourceComparison extends ProblemSummary {
  readonly ok: boolean;
  readonly compared: number;
  readonly differences: readonly RowDifference[];
  /** Ids of the source that the store lacks, and of the store that the source lacks. */
  readonly missing: readonly string[];
  readonly extra: readonly string[];
}

/** Compares a store with the rows it should have come from, byte by byte; rows of an f16 or bf16 store are rounded first. */
export async function compareWithSource(
  path: string,
  { files, member, expectedRows }: SourceFiles,
  context: StageContext,
): Promise<SourceComparison> {
  const store = await StoreFile.open(path);
  const decoder = new RowDecoder({ dtype: store.dtype });
  const log = new ProblemLog(context.emit);
  try {
    const comparison = new Comparison(store, await store.readImageIds());
    const scanner = new RowScanner(decoder, log, context, { stage: 'compare', expectedRows, subset: true });
    for (const file of files) {
      const source = await openRowSource(file, member);
      try {
        await scanner.scan(source, (block, accepted) => comparison.take(block, accepted));
      } finally {
        await source.close();
      }
    }
    const outcome = await comparison.end();
    const problems = log.summary();
    const ok =
      problems.errors + outcome.differences.length + outcome.missing.length + outcome.extra.length === 0;
    return { ok, ...outcome, ...problems };
  } finally {
    await decoder.close();
    await store.close();
  }
}

class Comparison {
  readonly #store: StoreFile;
  readonly #rows: Map<string, number>;
  readonly #differences: RowDifference[] = [];
  readonly #missing: string[] = [];
  #compared = 0;
  #work: Promise<void> = Promise.resolve();

  constructor(store: StoreFile, ids: readonly string[]) {
    this.#store = store;
    this.#rows = new Map(ids.map((id, row) => [id, row]));
  }

  take(block: DecodedBlock, accepted: readonly boolean[]): void {
    const lines = block.lines.filter((_, index) => accepted[index] === true);
    const compared = this.#work.then(async () => await this.#compareBlock(block, lines));
    compared.catch(() => undefined);
    this.#work = compared.finally(() => block.release());
    this.#work.catch(() => undefined);
  }

  async end(): Promise<Pick<SourceComparison, 'compared' | 'differences' | 'missing' | 'extra'>> {
    await this.#work;
    const extra = [...this.#rows.keys()];
    return { compared: this.#compared, differences: this.#differences, missing: this.#missing, extra };
  }

  async #compareBlock(block: DecodedBlock, lines: readonly StreamedLine[]): Promise<void> {
    for (const line of lines) {
      const imgId = line.imgId!;
      const row = this.#rows.get(imgId);
      if (row === undefined) {
        this.#missing.push(imgId);
        continue;
      }
      this.#rows.delete(imgId);
      this.#compared++;
      const features = await this.#store.readTensor('features', row, 1);
      const [record] = await this.#store.readRecords(row, 1);
      const differs = differingColumns(block.record(line.slot), record!, block.shape.columns);
      if (!features.equals(block.features(line.slot, 1))) differs.push('features');
      if (differs.length > 0) this.#differences.push({ img_id: imgId, line: line.line, differs });
    }
  }
}

function differingColumns(source: RowRecord, stored: RowRecord, columns: readonly string[]): string[] {
  const names = ['objects_id', 'attrs_id', 'boxes', 'objects_conf', 'attrs_conf'] as const;
  const differs: string[] = names.filter(
    name => columns.includes(name) && !recordColumn(source, name).equals(recordColumn(stored, name)),
  );
  if (!recordColumn(source, 'image_size').equals(recordColumn(stored, 'image_size')))
    differs.push('image_size');
  if (!imageIdBytes(source).equals(imageIdBytes(stored))) differs.push('img_id');
  return differs;
}
