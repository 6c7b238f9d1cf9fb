import type { StageContext } from '../events.ts';
import { RowDecoder } from '../rows/decoder/row-decoder.ts';
import { openRowSource } from '../inputs/open-source.ts';
import { ProblemLog, type ProblemSummary } from '../rows/problem-log.ts';
import { RowScanner, type SourceSummary, withoutShape } from '../rows/scan-rows.ts';
import { checkReport, writeReport } from '../report/write-report.ts';

export interface ValidateOptions {
  /** .tsv or .zip files. */
  readonly files: readonly string[];
  /** Base name of the member inside zips with several TSVs. */
  readonly member?: string | undefined;
  /** Where to write the report as JSON. */
  readonly report?: string | undefined;
  readonly threads?: number | undefined;
}

export interface ValidateResult extends ProblemSummary {
  readonly ok: boolean;
  readonly sources: readonly Omit<SourceSummary, 'shape'>[];
}

/** Checks every row of TSVs and zips of TSVs and reports all problems. Throws only where a file cannot be read at all. */
export async function validate(options: ValidateOptions, context: StageContext): Promise<ValidateResult> {
  await checkReport(options.report, options.files);
  const log = new ProblemLog(context.emit);
  const decoder = new RowDecoder({ dtype: 'f32', threads: options.threads });
  const sources: Omit<SourceSummary, 'shape'>[] = [];
  try {
    for (const file of options.files) {
      // Ids need to be unique within a file only: the same image may be in a train and a fast subset.
      const scanner = new RowScanner(decoder, log, context, 'validate');
      const source = await openRowSource(file, options.member);
      try {
        sources.push(withoutShape(await scanner.scan(source, block => block.release())));
      } finally {
        await source.close();
      }
    }
  } finally {
    await decoder.close();
  }
  const summary = log.summary();
  const result = { ok: summary.errors === 0, sources, ...summary };
  await writeReport(options.report, result);
  return result;
}
