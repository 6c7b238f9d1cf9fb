import { storedFeatureBytes } from '../rows/feature-dtype.ts';
import { floatColumn } from '../rows/row-record.ts';
import { ATTRIBUTE_CLASSES, BOXES, FEATURE_DIM, OBJECT_CLASSES } from '../rows/row-shape.ts';
import type { StoredRows } from '../store/reader.ts';
import { StoreFile } from '../store/reader.ts';
import { boxShares, idColumn, measureFeatures, SUMMARY_FIELDS, summariseRow } from './summarise-row.ts';
import { ValueTally } from './value-tally.ts';
import { createWidener } from './widen-features.ts';

/** Rows read at a time: small enough to stay in the processor's cache. */
const CHUNK_ROWS = 8;

export const TALLIES = ['norm', 'zeros', 'share', 'objectsConf', 'attrsConf'] as const;
export type TallyName = (typeof TALLIES)[number];

export interface SurveyRange {
  readonly path: string;
  readonly begin: number;
  readonly count: number;
}

/** What a range of a store holds. Everything but `summaries` has the same size whatever the range. */
export interface RangeSurvey {
  readonly begin: number;
  readonly count: number;
  /** [count, SUMMARY_FIELDS]. */
  readonly summaries: Float64Array;
  readonly tallies: Readonly<Record<TallyName, Uint32Array<ArrayBuffer>>>;
  readonly objects: Uint32Array<ArrayBuffer>;
  readonly attributes: Uint32Array<ArrayBuffer>;
}

/** Reads a range once and counts. */
export async function surveyRows({ path, begin, count }: SurveyRange): Promise<RangeSurvey> {
  const store = await StoreFile.open(path);
  try {
    const survey = emptySurvey(begin, count);
    const tallies = wrapTallies(survey.tallies);
    const widen = createWidener(store.dtype);
    const bytes = storedFeatureBytes(store.dtype);
    const scratch = new Float32Array(BOXES * FEATURE_DIM);
    for await (const rows of readRange(store, begin, count)) {
      for (const [index, record] of rows.records.entries()) {
        const stored = rows.features.subarray(index * bytes, (index + 1) * bytes);
        const features = widen(stored, scratch);
        const measured = measureFeatures(features);
        const at = (rows.begin - begin + index) * SUMMARY_FIELDS;
        const summary = survey.summaries.subarray(at, at + SUMMARY_FIELDS);
        summariseRow({ stored, features, record, shape: store.shape }, measured, summary);
        const shares = boxShares(record);
        for (const norm of measured.norms) tallies.norm.add(norm);
        for (const zeros of measured.zeros) tallies.zeros.add(zeros);
        for (const share of shares) tallies.share.add(share);
        if (store.shape.name !== 'obj36') continue;
        for (const value of floatColumn(record, 'objects_conf')) tallies.objectsConf.add(value);
        for (const value of floatColumn(record, 'attrs_conf')) tallies.attrsConf.add(value);
        // A class id beyond the vocabulary falls off the end of the array; the image is reported as invalid.
        for (const id of idColumn(record, 'objects_id')) survey.objects[id]! += 1;
        for (const id of idColumn(record, 'attrs_id')) survey.attributes[id]! += 1;
      }
    }
    return survey;
  } finally {
    await store.close();
  }
}

function mapTallies<Value>(make: (name: TallyName) => Value): Readonly<Record<TallyName, Value>> {
  return {
    norm: make('norm'),
    zeros: make('zeros'),
    share: make('share'),
    objectsConf: make('objectsConf'),
    attrsConf: make('attrsConf'),
  };
}

export function emptySurvey(begin: number, count: number): RangeSurvey {
  return {
    begin,
    count,
    summaries: new Float64Array(count * SUMMARY_FIELDS),
    tallies: mapTallies(() => new ValueTally().bins),
    objects: new Uint32Array(OBJECT_CLASSES),
    attributes: new Uint32Array(ATTRIBUTE_CLASSES),
  };
}

export function wrapTallies(bins: RangeSurvey['tallies']): Readonly<Record<TallyName, ValueTally>> {
  return mapTallies(name => new ValueTally(bins[name]));
}

/** A few rows at a time, the next ones being read while the last ones are counted. */
async function* readRange(store: StoreFile, begin: number, count: number): AsyncGenerator<StoredRows> {
  const end = begin + count;
  const memory = [0, 1].map(() => Buffer.allocUnsafeSlow(CHUNK_ROWS * storedFeatureBytes(store.dtype)));
  const records = await store.readRecords(begin, count);
  const read = async (from: number, turn: number): Promise<Buffer> =>
    await store.readTensor('features', from, Math.min(CHUNK_ROWS, end - from), memory[turn % 2]);
  let next = read(begin, 0);
  for (let from = begin, turn = 1; from < end; from += CHUNK_ROWS, turn++) {
    const features = await next;
    if (from + CHUNK_ROWS < end) next = read(from + CHUNK_ROWS, turn);
    const some = records.slice(from - begin, from - begin + CHUNK_ROWS);
    yield { begin: from, count: some.length, features, records: some };
  }
}
