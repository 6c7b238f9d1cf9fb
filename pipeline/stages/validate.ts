import type { StageContext } from '../events.ts';
import { openRowSource } from '../inputs/open-source.ts';
import { type ExpectedRows, loadExpectedRows } from '../manifest/expected-rows.ts';
import { RowDecoder } from '../rows/decoder/row-decoder.ts';
import { ProblemLog, type ProblemSummary } from '../rows/problem-log.ts';
import { RowScanner, type SourceSummary, withoutShape } from '../rows/scan-rows.ts';

export interface ValidateOptions {
  /** .tsv or .zip files. */
  readonly files: readonly string[];
  /** The TSV to read inside zips that hold several. */
  readonly member?: string | undefined;
  /** Decoding threads; a default for this machine where not given. */
  readonly threads?: number | undefined;
  /** Rows that files must have, by name. Default: those of the manifest that comes with this package. */
  readonly expectedRows?: ExpectedRows | undefined;
  /** Files may have fewer rows. */
  readonly subset?: boolean | undefined;
}

export interface ValidateResult extends ProblemSummary {
  /** False where any row has an error; warnings alone leave it true. */
  readonly ok: boolean;
  readonly sources: readonly Omit<SourceSummary, 'shape'>[];
}

/**
 * Checks every row of TSVs and of zips with a TSV, and reports all problems.
 * Fails with ERR_INPUT or ERR_ZIP only where a file cannot be read at all.
 */
export async function validate(options: ValidateOptions, context: StageContext): Promise<ValidateResult> {
  const { files, member, threads, subset } = options;
  const expectedRows = options.expectedRows ?? (await loadExpectedRows());
  const log = new ProblemLog(context.emit);
  const decoder = new RowDecoder({ dtype: 'f32', threads });
  const sources: Omit<SourceSummary, 'shape'>[] = [];
  try {
    for (const file of files) {
      // Ids must be unique within a file only: the same image may be in a train file and in a subset of it.
      const scanner = new RowScanner(decoder, log, context, { stage: 'validate', expectedRows, subset });
      const source = await openRowSource(file, member);
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
  return { ok: summary.errors === 0, sources, ...summary };
}
