import type { Manifest } from '../manifest/load.ts';
import { longest } from '../show-text.ts';
import { type DatasetProblem, type DatasetReport, MISSING } from '../stages/verify-dataset.ts';
import { fetchAgain } from './fetch-again.ts';

const MAX_LISTED = 20;

/** A table of each dataset's files, then every problem with what to do, which is said once for all that share it. */
export function describeDatasetReport(report: DatasetReport, manifest: Manifest): string[] {
  const count = report.problems.length;
  const lines = [
    `${report.dataset}: ${report.ok ? 'complete and valid' : `${count} problem${count === 1 ? '' : 's'}`}`,
  ];
  const missing = new Set(missingOf(report));
  const width = longest(report.assets.map(({ file }) => file));
  for (const { name, file, ok, extracted } of report.assets) {
    const origin = extracted === null ? '' : `, extracted by ${extracted}`;
    lines.push(
      `  ${file.padEnd(width)}  ${ok ? 'ok' : missing.has(name) ? 'NOT OK: missing' : 'NOT OK'}${origin}`,
    );
  }
  // Those that are missing stand in the table.
  const others = report.problems.filter(({ what }) => what !== MISSING);
  lines.push(...others.slice(0, MAX_LISTED).flatMap(describeProblemOf));
  const hidden = others.length - MAX_LISTED;
  if (hidden > 0) lines.push(`  … and ${hidden} more; --report FILE.json writes all of them`);
  const command = commandFor(report, manifest);
  if (command !== undefined) lines.push(`  ${missing.size} missing; what to do: ${command}`);
  return lines;
}

/** The command that gets all missing files of a dataset; undefined where none is missing. */
export function commandFor(report: DatasetReport, manifest: Manifest): string | undefined {
  const missing = missingOf(report);
  return missing.length === 0 ? undefined : fetchAgain(report.dataset, missing, manifest);
}

function missingOf({ problems }: DatasetReport): readonly string[] {
  return problems.filter(({ what }) => what === MISSING).map(({ asset }) => asset);
}

/** What is wrong, with what to do below the last of those that need the same. */
function describeProblemOf(
  { asset, what, hint }: DatasetProblem,
  index: number,
  all: readonly DatasetProblem[],
): readonly string[] {
  const line = `  ${asset}: ${what}`;
  return all[index + 1]?.hint === hint ? [line] : [line, `    what to do: ${hint}`];
}
