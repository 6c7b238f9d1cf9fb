import { LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import type { ExpectedRows } from '../manifest/expected-rows.ts';
import type { Problem, ProblemCode } from '../problem.ts';
import type { DecodedBlock, RowDecoder } from './decoder/row-decoder.ts';
import { EDGE, edgeOf } from './row-record.ts';
import type { RowShape } from './row-shape.ts';
import type { ByteSource } from '../inputs/byte-source.ts';
import type { ProblemLog } from './problem-log.ts';

/** A file without one sound row in this many lines is something else than features. */
const HOPELESS_LINES = 1000;
const LINE_LIMIT = 2 ** 32;

export interface SourceSummary {
  readonly name: string;
  readonly label: string;
  readonly size: number;
  readonly sha256: string;
  readonly rows: number;
  readonly rejected: number;
  /** Rows whose boxes end exactly at Caffe's limits, and beyond them. */
  readonly edge_exact: number;
  readonly edge_beyond: number;
  readonly shape: RowShape | undefined;
}

/** A summary as reports have it. */
export function withoutShape({
  shape,
  ...summary
}: SourceSummary): Omit<SourceSummary, 'shape'> & { columns: number } {
  return { ...summary, columns: shape?.columns.length ?? 0 };
}

/** Takes one block; `accepted[i]` tells whether `block.lines[i]` is a row to keep. Must release the block in the end. */
export type BlockHandler = (block: DecodedBlock, accepted: readonly boolean[]) => void;

/** Reads sources one after the other, with everything that concerns all rows together: uniqueness, counts, progress. */
export class RowScanner {
  readonly #decoder: RowDecoder;
  readonly #log: ProblemLog;
  readonly #context: StageContext;
  readonly #stage: string;
  readonly #expectedRows: ExpectedRows | undefined;
  /** Source and line of each img_id, packed into one number. */
  readonly #seen = new Map<string, number>();
  readonly #labels: string[] = [];
  #shape: RowShape | undefined;

  /** `expectedRows` is undefined where the caller decides how many rows there are. */
  constructor(
    decoder: RowDecoder,
    log: ProblemLog,
    context: StageContext,
    { stage, expectedRows }: { readonly stage: string; readonly expectedRows?: ExpectedRows | undefined },
  ) {
    this.#decoder = decoder;
    this.#log = log;
    this.#context = context;
    this.#stage = stage;
    this.#expectedRows = expectedRows;
  }

  async scan(source: ByteSource, handle: BlockHandler): Promise<SourceSummary> {
    const { emit } = this.#context;
    const { label, size } = source;
    this.#labels.push(label);
    emit({ event: 'start', stage: this.#stage, input: label, bytes: size });
    for (const message of source.warnings ?? []) emit({ event: 'warning', message });
    const tally = { rows: 0, rejected: 0, lines: 0, edge_exact: 0, edge_beyond: 0 };
    let done = 0;
    let shape: RowShape | undefined;
    let hopeless = false;
    for await (const block of this.#decoder.decode(source)) {
      this.#checkInterrupted();
      shape = block.shape;
      this.#log.add(block.problems, block.counts);
      const accepted = block.lines.map(line => {
        if (line.status === 'blank') return false;
        tally.lines++;
        const keep = line.status === 'ok' && this.#isNew(line, label);
        if (!keep) tally.rejected++;
        else {
          tally.rows++;
          const edge = edgeOf(block.record(line.slot));
          if (edge === EDGE.exact) tally.edge_exact++;
          if (edge === EDGE.beyond) tally.edge_beyond++;
        }
        return keep;
      });
      done = block.lines.reduce((sum, line) => sum + line.length, done);
      this.#checkShape(shape, tally.rows, label);
      handle(block, accepted);
      emit({
        event: 'progress',
        stage: this.#stage,
        input: label,
        done,
        total: size,
        unit: 'bytes',
        rows: tally.rows,
      });
      hopeless = tally.rows === 0 && tally.lines >= HOPELESS_LINES;
      if (hopeless) break;
    }
    if (hopeless)
      this.#addFileProblem(
        label,
        'rows',
        'a feature TSV',
        `${tally.lines} lines without one sound row; stopped there`,
      );
    else {
      await source.finish();
      this.#checkCount(source, tally);
    }
    return { name: source.name, label, size, sha256: await this.#decoder.digest(), shape, ...tally };
  }

  #checkInterrupted(): void {
    this.#context.signal.throwIfAborted();
  }

  #isNew(
    line: { readonly imgId: string | null; readonly line: number; readonly offset: number },
    source: string,
  ): boolean {
    const imgId = line.imgId!;
    const first = this.#seen.get(imgId);
    if (first === undefined) {
      this.#seen.set(imgId, (this.#labels.length - 1) * LINE_LIMIT + line.line);
      return true;
    }
    const where = `${this.#labels[Math.floor(first / LINE_LIMIT)]!}:${first % LINE_LIMIT}`;
    this.#log.add([
      {
        code: 'duplicate',
        severity: 'error',
        source,
        line: line.line,
        offset: line.offset,
        img_id: imgId,
        column: null,
        expected: 'an img_id that occurs once',
        got: `one that stands in ${where} already`,
      },
    ]);
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

  #checkCount(
    source: ByteSource,
    { rows, rejected, lines }: { rows: number; rejected: number; lines: number },
  ): void {
    if (lines === 0)
      this.#addFileProblem(source.label, 'rows', 'at least one row', `${source.size} bytes without a row`);
    const expected = this.#expectedRows?.(source.name);
    if (expected === undefined || lines === 0 || rows + rejected === expected) return;
    const hint = rows + rejected < expected ? 'the file is not complete; download it again' : undefined;
    this.#addFileProblem(
      source.label,
      'rows',
      `${expected} rows in ${source.name}`,
      `${rows + rejected} rows`,
      hint,
    );
  }

  #addFileProblem(source: string, code: ProblemCode, expected: string, got: string, hint?: string): void {
    const place = { source, line: 0, offset: 0, img_id: null, column: null };
    const problem: Problem = {
      code,
      severity: 'error',
      ...place,
      expected,
      got,
      ...(hint === undefined ? {} : { hint }),
    };
    this.#log.add([problem]);
  }
}
