import { type ErrorCode, LxmertDataError } from '../errors.ts';
import { v } from '../schema.ts';

/** Codes of the errors that the Python package emits. */
const CODES = [
  'ERR_STORE',
  'ERR_USAGE',
  'ERR_INPUT',
  'ERR_LIBRARY',
  'ERR_IO',
  'ERR_OUTPUT_EXISTS',
  'ERR_NO_SPACE',
  'ERR_INTERRUPTED',
] as const satisfies readonly ErrorCode[];

const count = v.pipe(v.number(), v.integer(), v.minValue(0));

/** A line that `python -m lxmert_data.export --json` writes. */
const EVENT = v.variant('event', [
  v.object({ event: v.literal('progress'), done: count, total: count }),
  v.object({ event: v.literal('warning'), code: v.string(), message: v.string() }),
  v.object({
    event: v.literal('error'),
    code: v.picklist(CODES),
    what: v.string(),
    where: v.nullable(v.string()),
    expected: v.nullable(v.string()),
    got: v.nullable(v.string()),
    hint: v.nullable(v.string()),
  }),
  v.object({ event: v.literal('result'), rows: count, bytes: count, lossless: v.boolean() }),
]);

export type PythonEvent = v.InferOutput<typeof EVENT>;

/** Throws ERR_INTERNAL for a line that is not an event, as a library that prints to standard output would write it. */
export function parsePythonEvent(line: string, python: string): PythonEvent {
  try {
    return v.parse(EVENT, JSON.parse(line));
  } catch (cause) {
    throw new LxmertDataError('ERR_INTERNAL', {
      what: 'the Python exporter wrote a line that is not an event',
      where: python,
      got: line.slice(0, 200),
      cause,
    });
  }
}

export function toError(event: PythonEvent & { readonly event: 'error' }): LxmertDataError {
  const { code, what, where, expected, got, hint } = event;
  return new LxmertDataError(code, {
    what,
    where: where ?? undefined,
    expected: expected ?? undefined,
    got: got ?? undefined,
    hint: hint ?? undefined,
  });
}
