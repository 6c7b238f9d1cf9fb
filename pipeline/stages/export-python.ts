import { LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import { findPython } from '../python/find-python.ts';
import type { ExportFormat, IdMode } from '../export/formats.ts';
import { runPythonExport } from '../export/python-export.ts';
import type { ExportResult } from '../export/export-result.ts';

export interface ExportPythonOptions {
  /** Written one after the other. */
  readonly stores: readonly string[];
  readonly out: string;
  /** One that Python writes. */
  readonly format: ExportFormat;
  readonly dtype: 'f32' | 'f16';
  readonly force?: boolean | undefined;
  /** What images are named by; as the format has it where it is undefined. */
  readonly ids?: IdMode | undefined;
  /** Folder of the vocabulary, for formats with names of classes. */
  readonly vocab?: string | undefined;
  /** Size of a shard in MiB, for formats with shards. */
  readonly shardMb?: number | undefined;
  /** Command of the Python to use. */
  readonly python?: string | undefined;
}

/** Writes stores in a format whose well-kept library is Python's, with the package of reader/. */
export async function exportWithPython(
  options: ExportPythonOptions,
  context: StageContext,
): Promise<ExportResult> {
  const { stores, out, format } = options;
  if (format.python === undefined) {
    throw new LxmertDataError('ERR_USAGE', {
      what: `${format.name} is not written by Python`,
      hint: 'use exportTsv',
    });
  }
  const python = await findPython(options.python, format.python, `${format.name} is written`);
  const { rows, bytes, lossless } = await runPythonExport(
    python,
    [...makeArgs(options), '--', ...stores, out],
    context.signal,
    event => {
      if (event.event === 'progress') {
        const { done, total } = event;
        context.emit({
          event: 'progress',
          stage: 'export',
          input: stores.join(', '),
          done,
          total,
          unit: 'images',
        });
      } else if (event.event === 'warning') context.emit({ event: 'warning', message: event.message });
    },
  );
  return { ok: true, out, rows, bytes, lossless };
}

function makeArgs({ format, dtype, force, ids, vocab, shardMb }: ExportPythonOptions): string[] {
  return [
    ...['--to', format.name, '--dtype', dtype],
    ...(force === true ? ['--force'] : []),
    ...(ids === undefined ? [] : ['--ids', ids]),
    ...(vocab === undefined ? [] : ['--vocab', vocab]),
    ...(shardMb === undefined ? [] : ['--shard-mb', String(shardMb)]),
  ];
}
