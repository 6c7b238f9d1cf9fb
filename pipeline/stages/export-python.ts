import { LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import { findPython } from '../export/find-python.ts';
import type { ExportFormat } from '../export/formats.ts';
import { runPythonExport } from '../export/python-export.ts';
import type { ExportResult } from '../export/export-result.ts';

export interface ExportPythonOptions {
  readonly store: string;
  readonly out: string;
  /** One that Python writes. */
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
  if (format.python === undefined) {
    throw new LxmertDataError('ERR_USAGE', {
      what: `${format.name} is not written by Python`,
      hint: 'use exportTsv',
    });
  }
  const python = await findPython(options.python, format.python, format.name);
  const args = ['--to', format.name, '--dtype', dtype, ...(options.force === true ? ['--force'] : [])];
  const { rows, bytes, lossless } = await runPythonExport(
    python,
    [...args, '--', store, out],
    context.signal,
    event => {
      if (event.event === 'progress') {
        const { done, total } = event;
        context.emit({ event: 'progress', stage: 'export', input: store, done, total, unit: 'images' });
      } else if (event.event === 'warning') context.emit({ event: 'warning', message: event.message });
    },
  );
  return { ok: true, out, rows, bytes, lossless };
}
