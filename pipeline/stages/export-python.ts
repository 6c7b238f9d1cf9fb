import { type ErrorCode, LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import { findPython } from '../export/find-python.ts';
import type { ExportFormat } from '../export/formats.ts';
import { type PythonEvent, runPythonExport } from '../export/python-export.ts';
import type { ExportResult } from './export-tsv.ts';

export interface ExportPythonOptions {
  readonly store: string;
  readonly out: string;
  readonly format: ExportFormat;
  readonly dtype: 'f32' | 'f16';
  readonly force?: boolean | undefined;
  /** Command of the Python to use. */
  readonly python?: string | undefined;
}

/** Writes a store in a format whose well-kept library is Python's, with the package of reader/. */
export async function exportWithPython(
  options: ExportPythonOptions,
  context: StageContext,
): Promise<ExportResult> {
  const { store, out, format, dtype } = options;
  const python = await findPython(options.python, format.python!, format.name);
  const words = ['--to', format.name, '--dtype', dtype, ...(options.force === true ? ['--force'] : [])];
  let result: ExportResult | undefined;
  let failure: LxmertDataError | undefined;
  await runPythonExport(python, [...words, '--', store, out], context.signal, event => {
    if (event.event === 'progress') {
      const { done, total } = event;
      context.emit({ event: 'progress', stage: 'export', input: store, done, total, unit: 'images' });
    } else if (event.event === 'warning') context.emit(event);
    else if (event.event === 'error') failure = describeError(event);
    else result = { ok: true, out, rows: event.rows, bytes: event.bytes, lossless: event.lossless };
  });
  if (result !== undefined) return result;
  throw failure!;
}

const CODES: readonly (readonly [RegExp, ErrorCode])[] = [
  [/^not enough disk space/, 'ERR_NO_SPACE'],
  [/^the output exists already/, 'ERR_OUTPUT_EXISTS'],
  [/^the output is the store itself/, 'ERR_USAGE'],
  [/^the output/, 'ERR_IO'],
  [/^there is no such file/, 'ERR_INPUT'],
  [/^reading or writing failed/, 'ERR_IO'],
  [/which this Python does not have$/, 'ERR_LIBRARY'],
];

function describeError({
  what,
  where,
  expected,
  got,
  hint,
}: PythonEvent & { event: 'error' }): LxmertDataError {
  const text = what ?? 'the export failed';
  const code = CODES.find(([pattern]) => pattern.test(text))?.[1] ?? 'ERR_STORE';
  return new LxmertDataError(code, {
    what: text,
    where: where ?? undefined,
    expected: expected ?? undefined,
    got: got ?? undefined,
    hint: hint ?? undefined,
  });
}
