export type Severity = 'error' | 'warning';

/** What a problem says about an image in a store; `inspect` groups images by it. */
export type Flaw = 'not_finite' | 'negative' | 'boxes' | 'classes' | 'confidences';

interface ProblemKind {
  readonly severity: Severity;
  readonly flaw?: Flaw;
}

/**
 * Everything that can be wrong with a row or a file of rows. The names are part of the report format; docs/validate.md
 * explains each, and a test holds the two to each other.
 */
export const PROBLEM_KINDS = {
  columns: { severity: 'error' },
  length: { severity: 'error' },
  text: { severity: 'error' },
  base64: { severity: 'error' },
  num_boxes: { severity: 'error' },
  image_size: { severity: 'error' },
  img_id: { severity: 'error' },
  not_finite: { severity: 'error', flaw: 'not_finite' },
  negative: { severity: 'error', flaw: 'negative' },
  box_order: { severity: 'error', flaw: 'boxes' },
  box_range: { severity: 'error', flaw: 'boxes' },
  class_id: { severity: 'error', flaw: 'classes' },
  confidence: { severity: 'error', flaw: 'confidences' },
  duplicate: { severity: 'error' },
  rows: { severity: 'error' },
  dtype_range: { severity: 'error' },
  provenance: { severity: 'warning' },
} as const satisfies Readonly<Record<string, ProblemKind>>;

export type ProblemCode = keyof typeof PROBLEM_KINDS;

export interface Problem {
  readonly code: ProblemCode;
  readonly severity: Severity;
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

/** A problem of one column of a row, or of the row as a whole where `column` is null. */
export function rowProblem(
  code: ProblemCode,
  column: string | null,
  found: { readonly expected: string; readonly got: string; readonly hint?: string | undefined },
): RowProblem {
  const { expected, got, hint } = found;
  return {
    code,
    severity: PROBLEM_KINDS[code].severity,
    column,
    expected,
    got,
    ...(hint === undefined ? {} : { hint }),
  };
}

/** A problem of a whole file. */
export function fileProblem(
  code: ProblemCode,
  source: string,
  found: { readonly expected: string; readonly got: string; readonly hint?: string | undefined },
): Problem {
  return { ...rowProblem(code, null, found), source, line: 0, offset: 0, img_id: null };
}

export function flawOf(code: ProblemCode): Flaw | undefined {
  const kind: ProblemKind = PROBLEM_KINDS[code];
  return kind.flaw;
}

/** Text of a file as a message may show it: shortened, with control characters replaced. */
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
