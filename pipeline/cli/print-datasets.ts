import { longest } from '../show-text.ts';
import type { DatasetReport } from '../stages/verify-dataset.ts';

const MAX_LISTED = 20;

/** A table of each dataset's files, then every problem with what to do. */
export function describeDatasetReport(report: DatasetReport): string[] {
  const lines = [
    `${report.dataset}: ${report.ok ? 'complete and valid' : `${report.problems.length} problem(s)`}`,
  ];
  const width = longest(report.assets.map(({ file }) => file));
  for (const { file, ok, extracted } of report.assets) {
    const origin = extracted === null ? '' : `, extracted by ${extracted}`;
    lines.push(`  ${file.padEnd(width)}  ${ok ? 'ok' : 'NOT OK'}${origin}`);
  }
  for (const { asset, what, hint } of report.problems.slice(0, MAX_LISTED)) {
    lines.push(`  ${asset}: ${what}`, `    what to do: ${hint}`);
  }
  const hidden = report.problems.length - MAX_LISTED;
  if (hidden > 0) lines.push(`  … and ${hidden} more; --report FILE.json writes all of them`);
  return lines;
}
