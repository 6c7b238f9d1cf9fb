import { LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import type { ByteSource } from '../inputs/byte-source.ts';
import type { IdRule } from '../inputs/id-rule.ts';
import type { ExpectedRows } from '../manifest/expected-rows.ts';
import { fileProblem } from '../problem.ts';
import type { DecodedBlock, RowDecoder, StreamedLine } from './decoder/row-decoder.ts';
import { type Diagnosis, diagnoseRows } from './diagnose-rows.ts';
import type { ProblemLog } from './problem-log.ts';
import { EDGE, edgeOf, recordColumn, rowCrc, type RowRecord, setImageId, setRowCrc } from './row-record.ts';
import { OBJ36, type RowShape } from './row-shape.ts';

/** A file without one valid row in this many lines is not a feature TSV. */
const HOPELESS_LINES = 1000;
const LINE_LIMIT = 2 ** 32;
/** Rows that must all fail in the same way to say so of the file. */
const DIAGNOSED_ROWS = 8;

export interface SourceSummary {
  readonly name: string;
  readonly label: string;
  readonly size: number;
  readonly sha256: string;
  readonly rows: number;
  readonly rejected: number;
  /** Valid rows that were not asked for, and rows that got another img_id. */
  readonly left_out: number;
  readonly renamed: number;
  /** Rows whose boxes end exactly where Caffe clips them, and beyond. */
  readonly edge_exact: number;
  readonly edge_beyond: number;
  /** Why all rows of the file fail, where that is known. */
  readonly diagnosis: string | null;
  readonly shape: RowShape | undefined;
}

/** A summary as reports have it. */
export function withoutShape({
  shape,
  ...summary
}: SourceSummary): Omit<SourceSummary, 'shape'> & { columns: number } {
  return { ...summary, columns: shape?.columns.length ?? 0 };
}

/** Takes one block; `accepted[i]` is true where `block.lines[i]` is a row to keep. Must release the block in the end. */
export type BlockHandler = (block: DecodedBlock, accepted: readonly boolean[]) => void;

export interface ScanOptions {
  /** Name of the stage, for events. */
  readonly stage: string;
  /** Undefined where the caller decides how many rows there are. */
  readonly expectedRows?: ExpectedRows | undefined;
  /** Fewer rows than that are as wanted, and only noted. */
  readonly subset?: boolean | undefined;
  /** Which rows are taken, and under which img_id. Default: all, under their own. */
  readonly ids?: IdRule | undefined;
}

/** Counts of one source. */
class Tally {
  rows = 0;
  rejected = 0;
  left_out = 0;
  renamed = 0;
  lines = 0;
  edge_exact = 0;
  edge_beyond = 0;
  /** Whether any row has an attribute. */
  hasAttributes = false;

  count(keep: boolean, edge: number): void {
    this.lines++;
    if (!keep) {
      this.rejected++;
      return;
    }
    this.rows++;
    if (edge === EDGE.exact) this.edge_exact++;
    if (edge === EDGE.beyond) this.edge_beyond++;
  }

  get isHopeless(): boolean {
    return this.rows + this.left_out === 0 && this.lines >= HOPELESS_LINES;
  }
}

/** Reads sources one after the other, with everything that concerns all rows together: uniqueness, counts, progress. */
export class RowScanner {
  readonly #decoder: RowDecoder;
  readonly #log: ProblemLog;
  readonly #context: StageContext;
  readonly #options: ScanOptions;
  /** Source and line of each img_id, packed into one number. */
  readonly #seen = new Map<string, number>();
  readonly #labels: string[] = [];
  #shape: RowShape | undefined;

  constructor(decoder: RowDecoder, log: ProblemLog, context: StageContext, options: ScanOptions) {
    this.#decoder = decoder;
    this.#log = log;
    this.#context = context;
    this.#options = options;
  }

  /** Whether a row of this img_id was taken. */
  has(imgId: string): boolean {
    return this.#seen.has(imgId);
  }

  async scan(source: ByteSource, handle: BlockHandler): Promise<SourceSummary> {
    const { emit, signal } = this.#context;
    const { stage } = this.#options;
    const { name, label, size } = source;
    this.#labels.push(label);
    emit({ event: 'start', stage, input: label, bytes: size });
    for (const message of source.warnings ?? []) emit({ event: 'warning', message });
    const tally = new Tally();
    let done = 0;
    let shape: RowShape | undefined;
    let diagnosis: Diagnosis | undefined;
    for await (const decoded of this.#decoder.decode(source)) {
      signal.throwIfAborted();
      if (shape === undefined) diagnosis = this.#diagnose(decoded, label);
      const block = this.#applyIdRule(decoded, tally);
      shape = block.shape;
      this.#log.add(block.problems, block.counts);
      const accepted = block.lines.map(line => this.#accept(line, block, tally));
      done = block.lines.reduce((sum, line) => sum + line.length, done);
      this.#checkShape(shape, tally.rows, label);
      handle(block, accepted);
      const { rows } = tally;
      emit({ event: 'progress', stage, input: label, done, total: size, unit: 'bytes', rows });
      if (tally.isHopeless) break;
    }
    await this.#finish(source, tally, shape);
    const { rows, rejected, left_out, renamed, edge_exact, edge_beyond } = tally;
    const sha256 = await this.#decoder.digest();
    const counts = { rows, rejected, left_out, renamed, edge_exact, edge_beyond };
    // The size of what comes from a pipe is known at its end.
    return {
      name,
      label,
      size: Math.max(size, done),
      sha256,
      ...counts,
      diagnosis: diagnosis?.what ?? null,
      shape,
    };
  }

  /** Explains a file whose first rows all fail, before their problems are listed one by one. */
  #diagnose(block: DecodedBlock, label: string): Diagnosis | undefined {
    const indices = [...block.lines.keys()].filter(index => block.lines[index]?.status !== 'blank');
    const first = indices.slice(0, DIAGNOSED_ROWS);
    if (first.length === 0 || first.some(index => block.lines[index]?.status !== 'bad')) return undefined;
    const diagnosis = diagnoseRows(
      first.map(index => block.text(index)),
      block.shape,
    );
    if (diagnosis === undefined) return undefined;
    const message = `${label}: ${diagnosis.what}; ${diagnosis.hint}`;
    this.#context.emit({ event: 'warning', message });
    return diagnosis;
  }

  /** Lines with the ids that the rule gives them; those of rows that are left out become blank. */
  #applyIdRule(block: DecodedBlock, tally: Tally): DecodedBlock {
    const { ids } = this.#options;
    if (ids === undefined) return block;
    const columns = block.shape.binaryNames;
    const lines = block.lines.map((line): StreamedLine => {
      if (line.status !== 'ok' || line.imgId === null) return line;
      const imgId = ids.apply(line.imgId);
      if (imgId === line.imgId) return line;
      if (imgId === undefined) {
        tally.left_out++;
        const { line: number, offset, slot, length } = line;
        return { status: 'blank', imgId: null, line: number, offset, slot, length };
      }
      tally.renamed++;
      const record = block.record(line.slot);
      setImageId(record, Buffer.from(imgId));
      setRowCrc(record, rowCrc(block.features(line.slot, 1), record, columns));
      // Literal texts hold the former id, so the row becomes a plain one.
      const { line: number, offset, slot, length } = line;
      return { status: 'ok', imgId, line: number, offset, slot, length };
    });
    return { ...block, lines };
  }

  #accept(line: StreamedLine, block: DecodedBlock, tally: Tally): boolean {
    if (line.status === 'blank') return false;
    const keep = line.status === 'ok' && this.#isNew(line);
    if (keep && !tally.hasAttributes) tally.hasAttributes = hasAttributes(block.record(line.slot));
    tally.count(keep, keep ? edgeOf(block.record(line.slot)) : EDGE.before);
    return keep;
  }

  #isNew({ imgId, line, offset }: StreamedLine): boolean {
    if (imgId === null) return false;
    const source = this.#labels.at(-1) ?? '';
    const first = this.#seen.get(imgId);
    if (first === undefined) {
      this.#seen.set(imgId, (this.#labels.length - 1) * LINE_LIMIT + line);
      return true;
    }
    const where = `${this.#labels[Math.floor(first / LINE_LIMIT)] ?? ''}:${first % LINE_LIMIT}`;
    const found = { expected: 'an img_id that occurs once', got: `one that is in ${where} already` };
    this.#log.add([{ ...fileProblem('duplicate', source, found), line, offset, img_id: imgId }]);
    return false;
  }

  #checkShape(shape: RowShape, rows: number, label: string): void {
    if (rows === 0) return;
    this.#shape ??= shape;
    if (this.#shape === shape) return;
    throw new LxmertDataError('ERR_INPUT', {
      what: 'inputs with different columns cannot become one store',
      where: label,
      expected: this.#shape.columns.join(', '),
      got: shape.columns.join(', '),
    });
  }

  async #finish(source: ByteSource, tally: Tally, shape: RowShape | undefined): Promise<void> {
    const { label, name, size } = source;
    const report = (expected: string, got: string, hint?: string): void =>
      this.#log.add([fileProblem('rows', label, { expected, got, hint })]);
    const { rows, rejected, lines } = tally;
    if (tally.isHopeless) {
      report('a feature TSV', `${lines} lines without one valid row; stopped there`);
      return;
    }
    await source.finish();
    if (lines + tally.left_out === 0) {
      report('at least one row', `${size} bytes without a row`);
      return;
    }
    if (rows > 0 && !tally.hasAttributes && shape === OBJ36) {
      const message = `${label}: attribute ids and confidences are zero in every row, so the detector had no attributes; LXMERT's pre-training would learn them`;
      this.#context.emit({ event: 'warning', message });
    }
    const expected = this.#options.expectedRows?.(name);
    const found = rows + rejected + tally.left_out;
    if (expected === undefined || found === expected) return;
    const isPart = found < expected;
    if (isPart && this.#options.subset === true) {
      const message = `${label}: a part, ${found} of the ${expected} rows that are published as ${name}`;
      this.#context.emit({ event: 'note', message });
      return;
    }
    const hint = isPart
      ? 'the file is incomplete; download it again, or allow a part with --subset'
      : undefined;
    report(`${expected} rows in ${name}`, `${found} rows`, hint);
  }
}

function hasAttributes(record: RowRecord): boolean {
  return (['attrs_id', 'attrs_conf'] as const).some(column =>
    recordColumn(record, column).some(byte => byte !== 0),
  );
}
