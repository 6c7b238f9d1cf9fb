import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StageContext } from '../../pipeline/events.ts';
import type { PipelineEvent } from '../../pipeline/events.ts';
import { formatRow, type PlainRow } from '../../pipeline/rows/format-row.ts';
import { makeSyntheticRow } from '../../pipeline/rows/synthetic-row.ts';
import type { RowShape } from '../../pipeline/rows/row-shape.ts';

/** Lines of a TSV with `count` synthetic rows from `begin` on. */
export function makeLines(count: number, begin = 0, shape?: RowShape, lineEnd?: string): string[] {
  return Array.from({ length: count }, (_, index) =>
    formatRow(makeSyntheticRow(begin + index), shape, lineEnd),
  );
}

/** One synthetic row with changes, as a line. */
export function makeLine(changes: Partial<PlainRow>, index = 0): string {
  return formatRow({ ...makeSyntheticRow(index), ...changes });
}

export async function writeTsv(folder: string, lines: readonly string[], name = 'rows.tsv'): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, lines.join(''));
  return path;
}

/** Splits a line of the published form into its fields, to be changed and joined again. */
export function splitLine(line: string): string[] {
  return line.replace(/\r?\n$/, '').split('\t');
}

export function joinLine(fields: readonly string[], lineEnd = '\r\n'): string {
  return fields.join('\t') + lineEnd;
}

/** A context that keeps the events. */
export function makeContext(
  signal: AbortSignal = new AbortController().signal,
): StageContext & { events: PipelineEvent[] } {
  const events: PipelineEvent[] = [];
  return { events, signal, emit: event => void events.push(event) };
}
