import { LxmertDataError } from '../errors.ts';
import { LINE_END } from '../rows/row-record.ts';

/** A million rows in quotes need half of it. */
const MAX_ODD_CHARS = 50_000_000;
/** What readers take; JSON of the largest form that is written stays below. */
export const MAX_FORM_BYTES = 400_000_000;

const TEXT = { [LINE_END.none]: '', [LINE_END.lf]: '\n', [LINE_END.crlf]: '\r\n' } as const;

/** How the rows of a source were written where that is not the plain form: docs/format.md, Back to TSV. */
export interface SourceForm {
  readonly eol: string;
  readonly eol_runs: readonly (readonly [begin: number, end: number, eol: string])[];
  readonly odd: readonly (readonly [row: number, parts: readonly string[]])[];
}

export const PLAIN_FORM: SourceForm = { eol: '\r\n', eol_runs: [], odd: [] };

/** Reads `source_form` of a store of `rows` rows whose rows have `parts` literal texts each; undefined where it is something else. */
export function parseSourceForm(json: string, rows: number, parts: number): SourceForm | undefined {
  let form: unknown;
  try {
    form = JSON.parse(json);
  } catch {
    return undefined;
  }
  return isSourceForm(form, rows, parts) ? form : undefined;
}

function isSourceForm(form: unknown, rows: number, parts: number): form is SourceForm {
  if (typeof form !== 'object' || form === null) return false;
  const { eol, eol_runs: runs, odd }: Partial<Record<keyof SourceForm, unknown>> = form;
  const isRow = (value: unknown): boolean =>
    typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= rows;
  const isEnd = (value: unknown): boolean => Object.values<unknown>(TEXT).includes(value);
  const isRun = (run: unknown): boolean =>
    Array.isArray(run) && run.length === 3 && isRow(run[0]) && isRow(run[1]) && isEnd(run[2]);
  const isOdd = (entry: unknown): boolean =>
    Array.isArray(entry) &&
    entry.length === 2 &&
    isRow(entry[0]) &&
    Array.isArray(entry[1]) &&
    entry[1].length === parts &&
    entry[1].every(part => typeof part === 'string');
  return isEnd(eol) && Array.isArray(runs) && runs.every(isRun) && Array.isArray(odd) && odd.every(isOdd);
}

/** Collects the forms of rows by row index; a byte a row, and the parts of unusual rows, are kept. */
export class SourceFormBuilder {
  #ends = new Uint8Array(1024);
  readonly #odd = new Map<number, readonly string[]>();
  #oddChars = 0;

  setLineEnd(row: number, end: number): void {
    if (row >= this.#ends.length) {
      const grown = new Uint8Array(Math.max(row + 1, this.#ends.length * 2));
      grown.set(this.#ends);
      this.#ends = grown;
    }
    this.#ends[row] = end;
  }

  setOdd(row: number, parts: readonly string[]): void {
    this.#oddChars += parts.reduce((sum, part) => sum + part.length, 0);
    if (this.#oddChars > MAX_ODD_CHARS) {
      throw new LxmertDataError('ERR_INPUT', {
        what: 'the rows are written too unusually to keep how',
        expected: `at most ${MAX_ODD_CHARS} characters around the base64 of such rows`,
        got: `more than that by row ${row}`,
        hint: 'write the TSV anew without quotes and blanks',
      });
    }
    this.#odd.set(row, parts);
  }

  /** Moves a row's form to another index. */
  move(from: number, to: number): void {
    this.#ends[to] = this.#ends[from] ?? LINE_END.none;
    const parts = this.#odd.get(from);
    this.#odd.delete(to);
    this.#odd.delete(from);
    if (parts !== undefined) this.#odd.set(to, parts);
  }

  /** The bytes of `source_form`, empty where every row is plain. */
  encode(rows: number): Buffer {
    const eol = rows > 0 ? lineEndText(this.#ends[0]) : PLAIN_FORM.eol;
    const runs: [number, number, string][] = [];
    for (let row = 1; row < rows; row++) {
      const end = lineEndText(this.#ends[row]);
      if (end === eol) continue;
      const last = runs.at(-1);
      if (last?.[1] === row && last[2] === end) last[1] = row + 1;
      else runs.push([row, row + 1, end]);
    }
    const odd = [...this.#odd].sort((a, b) => a[0] - b[0]);
    if (eol === PLAIN_FORM.eol && runs.length === 0 && odd.length === 0) return Buffer.alloc(0);
    return Buffer.from(JSON.stringify({ eol, eol_runs: runs, odd } satisfies SourceForm));
  }
}

function lineEndText(end: number | undefined): string {
  return end === LINE_END.none ? TEXT[0] : end === LINE_END.lf ? TEXT[1] : TEXT[2];
}
