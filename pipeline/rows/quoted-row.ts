import { errorText } from '../errors.ts';
import { parse } from 'csv-parse/sync';
import { type RowProblem, showText } from '../problem.ts';
import type { RowShape } from './row-shape.ts';

/** A line with more columns than a few glued rows have is not parsed. */
const MAX_COLUMNS = 100;
/** Literal text that an unusual row may have around its base64, so that a hostile row cannot fill memory. */
const MAX_LITERAL_CHARS = 4096;

export type QuotedFields =
  | { readonly ok: true; readonly fields: readonly string[] }
  | { readonly ok: false; readonly problem: RowProblem };

/** Reads a row that is not written plainly (quotes, blanks around fields) with csv-parse, the reference reader. */
export function parseQuotedRow(text: string, shape: RowShape): QuotedFields {
  if (/^\0+$/.test(text)) {
    const hint = 'this space was reserved and never written; download or copy the file again';
    return {
      ok: false,
      problem: structure('a row', text.length === 1 ? 'a zero byte' : `${text.length} zero bytes`, hint),
    };
  }
  let records: string[][];
  const tabs = countTabs(text);
  if (tabs > MAX_COLUMNS)
    return { ok: false, problem: structure(`${shape.columns.length} columns`, `${tabs + 1} columns`) };
  try {
    records = parse(text, {
      delimiter: '\t',
      quote: '"',
      // Named, so that a lone CR does not end a row and what follows it is not lost.
      record_delimiter: ['\r\n', '\n'],
      trim: true,
      relax_column_count: true,
      skip_empty_lines: false,
    });
  } catch (error) {
    const got = errorText(error);
    return { ok: false, problem: structure('a row on one line whose quotes match', showText(got, 200)) };
  }
  const fields = records[0] ?? [];
  if (isHeader(fields)) {
    const hint = `remove the line: sed -i '/^${fields[0] ?? ''}\\t/d' FILE`;
    return { ok: false, problem: structure('a row', `the names of the columns`, hint) };
  }
  if (fields.length === shape.columns.length) return { ok: true, fields };
  return {
    ok: false,
    problem: structure(`${shape.columns.length} columns`, ...countColumns(text, fields.length, shape)),
  };
}

/** Whether a line holds the names of columns, as pandas and csv.DictWriter write them. */
function isHeader([first = '', second = '']: readonly string[]): boolean {
  return /^"?(img|image)_?id"?$/i.test(first) && !/^\d+$/.test(second);
}

function countTabs(text: string): number {
  let tabs = 0;
  for (let at = text.indexOf('\t'); at >= 0; at = text.indexOf('\t', at + 1)) tabs++;
  return tabs;
}

function countColumns(text: string, columns: number, shape: RowShape): [string, string] {
  const got = `${columns} ${columns === 1 ? 'column' : 'columns'} in ${text.length} characters`;
  if (columns > shape.columns.length) {
    return [
      got,
      'rows are glued together: writing was resumed behind a torn row; extract or download it again',
    ];
  }
  return [got, 'the row is torn, or the file is not a feature TSV; extract or download it again'];
}

function structure(expected: string, got: string, hint?: string): RowProblem {
  return {
    code: 'columns',
    severity: 'error',
    column: null,
    expected,
    got,
    ...(hint === undefined ? {} : { hint }),
  };
}

/**
 * The literal texts of a row before, between and after its base64 columns, or undefined where the base64 is not in it literally.
 * Joining them with the base64 again gives the row back byte for byte.
 */
export function literalParts(line: string, base64: readonly string[]): readonly string[] | undefined {
  const parts: string[] = [];
  let from = 0;
  let chars = 0;
  for (const field of base64) {
    const at = line.indexOf(field, from);
    if (at < 0) return undefined;
    parts.push(line.slice(from, at));
    chars += at - from;
    from = at + field.length;
  }
  parts.push(line.slice(from));
  return chars + line.length - from > MAX_LITERAL_CHARS ? undefined : parts;
}
