import { LxmertDataError } from '../errors.ts';
import type { DecodedBlock, StreamedLine } from '../rows/decoder/row-decoder.ts';
import { imageIdBytes, imageSize, lineEndOf, LINE_END, type RowRecord } from '../rows/row-record.ts';
import type { RowShape } from '../rows/row-shape.ts';
import { SourceFormBuilder } from './source-form.ts';
import type { StoreWriter } from './writer.ts';
import type { RowPlacement } from './row-placement.ts';

/** Blank lines before a row that are kept for the way back; more than this belongs to no feature file. */
const MAX_BLANK_CHARS = 4096;

/** Writes accepted rows of decoded blocks to their row indices, several blocks at a time. */
export class StoreFiller {
  readonly form = new SourceFormBuilder();
  readonly #writer: StoreWriter;
  readonly #placement: RowPlacement;
  readonly #pending = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;
  #blank = '';
  #last: { readonly row: number; readonly parts: readonly string[] } | undefined;

  constructor(writer: StoreWriter, placement: RowPlacement) {
    this.#writer = writer;
    this.#placement = placement;
  }

  /** Takes a block and gives its memory back when its rows are written. */
  take(block: DecodedBlock, accepted: readonly boolean[]): void {
    this.#throwFailure();
    const runs: { row: number; slot: number; count: number }[] = [];
    for (const [index, line] of block.lines.entries()) {
      if (line.blank !== undefined) this.#blank = this.#keepBlank(line.blank);
      if (accepted[index] !== true || line.imgId === null) continue;
      const row = this.#placement.indexFor(line.imgId);
      this.#keepForm(row, line, block);
      const run = runs.at(-1);
      if (run !== undefined && run.row + run.count === row && run.slot + run.count === line.slot) run.count++;
      else runs.push({ row, slot: line.slot, count: 1 });
    }
    const writes = runs.map(async ({ row, slot, count }) =>
      this.#writer.writeRows(row, block.features(slot, count), block.records(slot, count)),
    );
    const written = Promise.all(writes)
      .then(() => undefined)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        block.release();
        this.#pending.delete(written);
      });
    this.#pending.add(written);
  }

  /** Blank lines at the end of a source belong to its last row. */
  endSource(): void {
    if (this.#blank !== '' && this.#last !== undefined) {
      const { row, parts } = this.#last;
      this.form.setOdd(row, [...parts.slice(0, -1), `${parts.at(-1) ?? ''}${this.#blank}`]);
    }
    this.#blank = '';
    this.#last = undefined;
  }

  async settle(): Promise<void> {
    await Promise.all(this.#pending);
    this.#throwFailure();
  }

  #keepBlank(blank: string): string {
    const kept = this.#blank + blank;
    if (kept.length <= MAX_BLANK_CHARS) return kept;
    throw new LxmertDataError('ERR_INPUT', {
      what: 'there are too many blank lines between rows',
      expected: `at most ${MAX_BLANK_CHARS} bytes of them`,
      hint: 'remove the blank lines',
    });
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #keepForm(row: number, line: StreamedLine, block: DecodedBlock): void {
    const record = block.record(line.slot);
    this.form.setLineEnd(row, lineEndOf(record));
    const parts = line.parts ?? plainParts(record, block.shape);
    const [start = '', ...rest] = parts;
    const kept = this.#blank === '' ? parts : [this.#blank + start, ...rest];
    if (line.parts !== undefined || this.#blank !== '') this.form.setOdd(row, kept);
    this.#blank = '';
    this.#last = { row, parts: kept };
  }
}

/** Literal texts around the base64 columns of a plainly written row. */
export function plainParts(record: RowRecord, shape: RowShape, lineEnd?: string): readonly string[] {
  const { height, width } = imageSize(record);
  const texts = shape.columns.map((column, index) => {
    if (index === 0) return imageIdBytes(record).toString('utf8');
    if (index === shape.heightIndex) return String(height);
    if (index === shape.widthIndex) return String(width);
    return column === 'num_boxes' ? '36' : undefined;
  });
  const kind = lineEndOf(record);
  const end = lineEnd ?? (kind === LINE_END.crlf ? '\r\n' : kind === LINE_END.lf ? '\n' : '');
  // Base64 columns split the row; a tab stands before every column but the first.
  return texts
    .map((text, index) => (index === 0 ? '' : '\t') + (text ?? '\0'))
    .join('')
    .concat(end)
    .split('\0');
}
