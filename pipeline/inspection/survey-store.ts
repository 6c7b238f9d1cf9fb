import { availableParallelism } from 'node:os';
import type { StageContext } from '../events.ts';
import type { StoreFile } from '../store/reader.ts';
import { ask } from '../workers/answers.ts';
import type { Answer } from '../workers/answers.ts';
import { WorkerPool } from '../workers/pool.ts';
import { SUMMARY_FIELDS } from './summarise-row.ts';
import {
  emptySurvey,
  type SurveyRange,
  type RangeSurvey,
  TALLIES,
  type TallyName,
  wrapTallies,
} from './survey-rows.ts';
import type { ValueTally } from './value-tally.ts';

/** Rows of one piece of work, about 75 MB. */
const RANGE_ROWS = 256;

export interface StoreSurvey {
  /** Rows that were looked at, in order; all of them unless a sample was asked for. */
  readonly rows: readonly number[];
  /** [rows, SUMMARY_FIELDS]: the only part that grows with the store, 112 bytes an image. */
  readonly summaries: Float64Array;
  readonly tallies: Readonly<Record<TallyName, ValueTally>>;
  /** How often each class occurs. */
  readonly objects: Uint32Array;
  readonly attributes: Uint32Array;
}

export interface SurveyOptions {
  /** Rows to look at; all where not given. */
  readonly rows?: readonly number[] | undefined;
  readonly threads?: number | undefined;
}

/** Reads a store, or some rows of it, once: distributions, class counts and the summary of each image. */
export async function surveyStore(
  store: StoreFile,
  options: SurveyOptions,
  context: StageContext,
): Promise<StoreSurvey> {
  const rows = options.rows ?? Array.from({ length: store.rows }, (_, row) => row);
  const total = emptySurvey(0, rows.length);
  const tallies = wrapTallies(total.tallies);
  const ranges = rangesOf(store.path, rows);
  const threads = Math.min(options.threads ?? availableParallelism(), ranges.length);
  const workers = new WorkerPool<SurveyRange, Answer>(import.meta.url, './survey-worker', threads);
  let done = 0;
  try {
    const work = ranges.map(async ({ at, range }) => {
      const survey = await ask<SurveyRange, RangeSurvey>(workers, range);
      context.signal.throwIfAborted();
      total.summaries.set(survey.summaries, at * SUMMARY_FIELDS);
      for (const name of TALLIES) tallies[name].merge(survey.tallies[name]);
      addTo(total.objects, survey.objects);
      addTo(total.attributes, survey.attributes);
      done += range.count;
      const progress = { event: 'progress', stage: 'survey', input: store.path, unit: 'images' } as const;
      context.emit({ ...progress, done, total: rows.length });
    });
    await Promise.all(work);
  } finally {
    await workers.close();
  }
  const { summaries, objects, attributes } = total;
  return { rows, summaries, tallies, objects, attributes };
}

/** One number of a surveyed image; `at` is its index among the surveyed rows, `field` one of SUMMARY. */
export function summaryOf({ summaries }: StoreSurvey, at: number, field: number): number {
  return summaries[at * SUMMARY_FIELDS + field] ?? NaN;
}

/** Rows spread evenly over a store, the first and the last among them. */
export function spreadRows(rows: number, count: number): readonly number[] {
  if (count >= rows) return Array.from({ length: rows }, (_, row) => row);
  if (count === 1) return [0];
  return Array.from({ length: count }, (_, index) => Math.round((index * (rows - 1)) / (count - 1)));
}

/** Rows that follow each other are read together. `at` is the index of a range's first row in `rows`. */
function rangesOf(
  path: string,
  rows: readonly number[],
): { readonly at: number; readonly range: SurveyRange }[] {
  const ranges: { at: number; range: SurveyRange & { count: number } }[] = [];
  for (const [at, row] of rows.entries()) {
    const last = ranges.at(-1)?.range;
    if (last !== undefined && last.count < RANGE_ROWS && last.begin + last.count === row) last.count++;
    else ranges.push({ at, range: { path, begin: row, count: 1 } });
  }
  return ranges;
}

function addTo(sum: Uint32Array, more: Uint32Array): void {
  for (const [index, some] of more.entries()) sum[index]! += some;
}
