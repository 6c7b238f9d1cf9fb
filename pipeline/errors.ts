/** Stable names of failures, for callers that branch on them. */
export type ErrorCode =
  | 'ERR_USAGE'
  | 'ERR_INPUT'
  | 'ERR_ROW'
  | 'ERR_ZIP'
  | 'ERR_STORE'
  | 'ERR_OUTPUT_EXISTS'
  | 'ERR_NO_SPACE'
  | 'ERR_IO'
  | 'ERR_INTERRUPTED'
  | 'ERR_MANIFEST'
  | 'ERR_FETCH'
  | 'ERR_LOCK'
  | 'ERR_IMAGE'
  | 'ERR_DEVICE'
  | 'ERR_EXTRACTOR'
  | 'ERR_ENGINE'
  | 'ERR_LIBRARY'
  | 'ERR_INTERNAL';

export interface ErrorParts {
  /** What failed, in one sentence without a full stop. */
  readonly what: string;
  /** File, offset, row or URL. */
  readonly where?: string | undefined;
  readonly expected?: string | undefined;
  readonly got?: string | undefined;
  /** What the user can do about it. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/** Every failure this tool names itself: what, where, expected, got, what to do. */
export class LxmertDataError extends Error {
  readonly code: ErrorCode;
  readonly parts: ErrorParts;

  constructor(code: ErrorCode, parts: ErrorParts) {
    super(formatParts(parts), parts.cause === undefined ? undefined : { cause: parts.cause });
    this.name = 'LxmertDataError';
    this.code = code;
    this.parts = parts;
  }
}

function formatParts(parts: ErrorParts): string {
  const lines = [parts.where === undefined ? parts.what : `${parts.where}: ${parts.what}`];
  if (parts.expected !== undefined) lines.push(`  expected: ${parts.expected}`);
  if (parts.got !== undefined) lines.push(`  got:      ${parts.got}`);
  if (parts.hint !== undefined) lines.push(`  what to do: ${parts.hint}`);
  return lines.join('\n');
}

export function isErrno(error: unknown, ...codes: readonly string[]): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

/** What an error says, for messages that quote it. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
