/** What can be wrong with a row. The names are part of the report's format. */
export type ProblemCode =
  | 'columns'
  | 'length'
  | 'text'
  | 'base64'
  | 'num_boxes'
  | 'image_size'
  | 'img_id'
  | 'not_finite'
  | 'negative'
  | 'box_order'
  | 'box_range'
  | 'class_id'
  | 'confidence'
  | 'duplicate'
  | 'rows'
  | 'dtype_range'
  | 'provenance';

export interface Problem {
  readonly code: ProblemCode;
  readonly severity: 'error' | 'warning';
  /** File, or zip and member. */
  readonly source: string;
  /** From 1; 0 where the problem is the file's. */
  readonly line: number;
  /** Byte offset of the row in the TSV. */
  readonly offset: number;
  readonly img_id: string | null;
  readonly column: string | null;
  readonly expected: string;
  readonly got: string;
  readonly hint?: string;
}

/** What a row check knows; file, line and offset are added by the caller. */
export type RowProblem = Omit<Problem, 'source' | 'line' | 'offset' | 'img_id'>;

/** Text of a file as a message may show it: hostile text must neither fill memory nor speak to the terminal. */
export function showText(text: string, chars: number): string {
  return text.slice(0, chars).replace(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd');
}

export function describeProblem(problem: Problem): string {
  const where =
    problem.line === 0 ? problem.source : `${problem.source}:${problem.line} (byte ${problem.offset})`;
  const id = problem.img_id === null ? '' : ` ${problem.img_id}`;
  const column = problem.column === null ? '' : ` ${problem.column}`;
  const hint = problem.hint === undefined ? '' : `; ${problem.hint}`;
  return `${where}${id}: ${problem.code}${column}: expected ${problem.expected}, got ${problem.got}${hint}`;
}
