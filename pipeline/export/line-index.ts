import { LxmertDataError } from '../errors.ts';
import { writeAtomically } from '../files/atomic.ts';

const LINE_FEED = 10;

/** The `.lineidx` of a TSV: the byte at which each row begins, in decimal, a line each. */
export class LineIndex {
  readonly #path: string;
  readonly #offsets: number[] = [];
  #end = 0;

  private constructor(path: string) {
    this.#path = path;
  }

  /** An index beside `tsv`, which may be there already or not: without its TSV it is a leftover. */
  static plan(tsv: string): LineIndex {
    return new LineIndex(tsv.replace(/\.tsv$/, '.lineidx'));
  }

  /** Counts rows in; fails where one is more than a line, since its readers take lines for rows. */
  add(rows: readonly Buffer[]): void {
    for (const row of rows) {
      const end = row.indexOf(LINE_FEED);
      if (end !== -1 && end !== row.length - 1) {
        throw new LxmertDataError('ERR_STORE', {
          what: `row ${this.#offsets.length} stands on several lines, as in the TSV it came from, and cannot have a line index`,
          where: this.#path,
          hint: 'export it as tsv, or as oscar',
        });
      }
      this.#offsets.push(this.#end);
      this.#end += row.length;
    }
  }

  /** Writes the index, in place of one that an earlier export left. */
  async publish(): Promise<void> {
    const text = this.#offsets.map(offset => `${offset}\n`).join('');
    await writeAtomically(this.#path, 'lineidx', file => file.writeFile(text), { force: true });
  }
}
