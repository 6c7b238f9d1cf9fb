import { checkNotInput, checkOutput } from '../files/checks.ts';
import { type HealthReport, renderHealth } from '../report/health-page.ts';
import { writePage, writeWhole } from '../report/write-page.ts';
import { LxmertDataError } from '../errors.ts';
import { type OptionSpec, type OptionValues, textOption } from './spec.ts';

/** A report that the command line asked for. */
export interface ReportFile {
  /**
   * Writes the outcome of a run, whole or not at all: as JSON, or as a page where the name ends in .html.
   * Does nothing where no report was asked for.
   */
  readonly write: (outcome: unknown, page?: () => HealthReport | Promise<HealthReport>) => Promise<void>;
}

const NO_REPORT: ReportFile = { write: () => Promise.resolve() };

/** Of commands whose only output is a report. */
export const REPLACE_REPORT_OPTION: OptionSpec = {
  name: 'force',
  short: 'f',
  description: 'replace an existing report',
};

/** `--report` of commands whose outcome is written as JSON. */
export function reportOption(description: string): OptionSpec {
  return { name: 'report', value: 'FILE', description, looksLike: /\.json$/ };
}

/** `--report` of commands that can also write a page. */
export function pageReportOption(description: string): OptionSpec {
  return { name: 'report', value: 'FILE', description, looksLike: /\.(json|html)$/ };
}

/**
 * Opens the report of `--report` before the work starts, so that a long run does not end without one. Fails with
 * ERR_USAGE where its name has another ending, and as `openReportFile` does.
 */
export async function openReport(
  options: OptionValues,
  inputs: readonly string[],
  endings: readonly ('.json' | '.html')[] = ['.json'],
): Promise<ReportFile> {
  const path = textOption(options, 'report');
  if (path === undefined) return NO_REPORT;
  if (!endings.some(ending => path.endsWith(ending))) {
    throw new LxmertDataError('ERR_USAGE', {
      what: 'the kind of report is not known by its name',
      expected: `--report with a name that ends in ${endings.join(' or ')}`,
      got: path,
    });
  }
  return await openReportFile(path, inputs, { force: options['force'] === true, option: '--report' });
}

/**
 * A report at `path`, checked before the work starts: its folder exists, and it would not replace one of `inputs`, and
 * no other file without `force`.
 * Without a path nothing is written.
 */
export async function openReportFile(
  path: string | undefined,
  inputs: readonly string[],
  { force, option }: { readonly force: boolean; readonly option: string },
): Promise<ReportFile> {
  if (path === undefined) return NO_REPORT;
  await checkNotInput(path, inputs);
  await checkOutput(path, force, option);
  return {
    async write(outcome, page) {
      if (path.endsWith('.html') && page !== undefined)
        await writePage(path, renderHealth(await page()), { force });
      else await writeWhole(path, Buffer.from(`${JSON.stringify(outcome, null, 2)}\n`), { force });
    },
  };
}
