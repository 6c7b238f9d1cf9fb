import type { Finding, FindingCount, FindingKind } from './findings.ts';
import { formatNumber, formatPercent, showAll } from '../show-text.ts';
import { FLAW, SUMMARY } from './summarise-row.ts';
import { type StoreSurvey, summaryOf } from './survey-store.ts';

/** Deviations from the median, in the scale of a normal distribution, from which an image is an outlier. */
const OUTLIER_DEVIATIONS = 4;
/** With fewer images the usual range is unknown. */
const MIN_IMAGES = 24;
const MAD_TO_SIGMA = 1.4826;

export interface RankedImage {
  /** Index among the surveyed rows. */
  readonly at: number;
  readonly row: number;
  readonly score: number;
  readonly reasons: readonly string[];
  /** What the reasons are, the same order. */
  readonly kinds: readonly FindingKind[];
  /** Whether something is wrong, not only unusual. */
  readonly invalid: boolean;
}

const FLAWS: readonly (readonly [kind: keyof typeof FLAW, reason: string])[] = [
  ['damaged', 'damaged: its checksum does not match'],
  ['not_finite', 'values that are not finite'],
  ['negative', 'negative feature values'],
  ['boxes', 'boxes out of order or beyond the image'],
  ['classes', 'class ids beyond the vocabulary'],
  ['confidences', 'confidences beyond 0 to 1'],
];

/** All kinds of findings in one store, the worst first. */
export const FINDINGS: readonly Finding[] = (
  [
    ['damaged', 'checksum does not match', 'bad'],
    ['not_finite', 'values not finite', 'bad'],
    ['negative', 'negative features', 'bad'],
    ['boxes', 'boxes out of order or image', 'bad'],
    ['classes', 'class ids out of range', 'bad'],
    ['confidences', 'confidences out of range', 'bad'],
    ['empty_boxes', 'boxes without features', 'bad'],
    ['duplicate', 'features of another image', 'warn'],
    ['repeated_boxes', 'repeated boxes', 'warn'],
    ['repeated_features', 'repeated features', 'warn'],
    ['norm', 'unusual feature norm', 'warn'],
    ['zeros', 'unusual share of zeros', 'warn'],
    ['confidence', 'low confidence', 'warn'],
    ['small_box', 'very small box', 'warn'],
    ['few_classes', 'few object classes', 'warn'],
  ] as const
).map(([kind, label, tone]) => ({ kind, label, tone }));

/** How many images have each kind of finding; kinds that none has are left out. */
export function countFindings(ranked: readonly RankedImage[]): FindingCount[] {
  const counts = new Map<FindingKind, number>();
  for (const { kinds } of ranked)
    for (const kind of new Set(kinds)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return FINDINGS.flatMap(finding => {
    const images = counts.get(finding.kind);
    return images === undefined ? [] : [{ ...finding, images }];
  });
}

interface Measure {
  readonly kind: FindingKind;
  readonly field: number;
  readonly describe: (value: number) => string;
  /** Which end is unusual. */
  readonly side: 'low' | 'high' | 'both';
  readonly logarithmic?: boolean;
}

const MEASURES: readonly Measure[] = [
  {
    kind: 'norm',
    field: SUMMARY.normMost,
    side: 'both',
    logarithmic: true,
    describe: value => `largest feature norm ${formatNumber(value)}`,
  },
  {
    kind: 'norm',
    field: SUMMARY.normLeast,
    side: 'low',
    logarithmic: true,
    describe: value => `smallest feature norm ${formatNumber(value)}`,
  },
  {
    kind: 'zeros',
    field: SUMMARY.zeros,
    side: 'both',
    describe: value => `${formatPercent(value)} of its values are zero`,
  },
  {
    kind: 'confidence',
    field: SUMMARY.meanConfidence,
    side: 'low',
    describe: value => `mean confidence ${formatNumber(value)}`,
  },
  {
    kind: 'small_box',
    field: SUMMARY.leastShare,
    side: 'low',
    logarithmic: true,
    describe: value => `smallest box is ${formatPercent(value)} of the image`,
  },
  {
    kind: 'few_classes',
    field: SUMMARY.distinctObjects,
    side: 'low',
    describe: value => `${value} object classes only`,
  },
];

interface Reason {
  readonly kind: FindingKind;
  readonly weight: number;
  readonly text: string;
}

/** All surveyed images, the worst first: invalid ones, then outliers; ties in store order. `ids` are those of the whole store. */
export function rankImages(survey: StoreSurvey, ids: readonly string[]): RankedImage[] {
  const measures = MEASURES.map(measure => ({ measure, usual: usualOf(survey, measure) }));
  const duplicates = findDuplicates(survey);
  const enough = survey.rows.length >= MIN_IMAGES;
  const ranked = survey.rows.map((row, at): RankedImage => {
    const value = (field: number): number => summaryOf(survey, at, field);
    const duplicate = duplicates.get(at);
    const original = duplicate === undefined ? undefined : ids[survey.rows[duplicate] ?? -1];
    const deviations = measures.map(({ measure, usual }) =>
      deviationOf(value(measure.field), measure, usual),
    );
    const reasons = [
      ...reasonsOfContent(value, original),
      ...(enough ? reasonsOfMeasures(value, deviations) : []),
    ].sort((a, b) => b.weight - a.weight);
    const weight = reasons.reduce((sum, reason) => sum + reason.weight, 0);
    // Images without a reason are ordered by how unusual they are.
    const most = deviations.reduce((a, b) => Math.max(a, b), 0);
    const unusual = Math.min(most, OUTLIER_DEVIATIONS) / 100;
    return {
      at,
      row,
      score: weight + unusual,
      reasons: reasons.map(({ text }) => text),
      kinds: reasons.map(({ kind }) => kind),
      invalid: value(SUMMARY.flaws) !== 0 || value(SUMMARY.emptyBoxes) > 0,
    };
  });
  return ranked.sort((a, b) => b.score - a.score || a.at - b.at);
}

/** What is wrong with an image, or suspicious, whatever the other images are. */
function reasonsOfContent(value: (field: number) => number, duplicate: string | undefined): Reason[] {
  const reasons: Reason[] = [];
  const add = (kind: FindingKind, weight: number, text: string): void =>
    void reasons.push({ kind, weight, text });
  const flaws = value(SUMMARY.flaws);
  for (const [kind, text] of FLAWS) if ((flaws & FLAW[kind]) !== 0) add(kind, 10_000, text);
  const empty = value(SUMMARY.emptyBoxes);
  if (empty > 0) add('empty_boxes', 1000 + empty, `${countBoxes(empty)} with all features zero`);
  if (duplicate !== undefined) add('duplicate', 500, `the same features as ${showAll(duplicate)}`);
  const boxes = value(SUMMARY.repeatedBoxes);
  if (boxes > 0)
    add('repeated_boxes', 50 + boxes, `${countBoxes(boxes)} with the coordinates of another box`);
  const features = value(SUMMARY.repeatedFeatures);
  if (features > 0)
    add('repeated_features', 40 + features, `${countBoxes(features)} with the features of another box`);
  return reasons;
}

/** In what an image differs from most images of the store. */
function reasonsOfMeasures(value: (field: number) => number, deviations: readonly number[]): Reason[] {
  return MEASURES.flatMap((measure, index) => {
    const deviation = deviations[index] ?? 0;
    if (deviation < OUTLIER_DEVIATIONS) return [];
    const text = measure.describe(value(measure.field));
    return [{ kind: measure.kind, weight: Math.min(deviation, 30), text }];
  });
}

function countBoxes(count: number): string {
  return count === 1 ? '1 box' : `${count} boxes`;
}

interface Usual {
  readonly median: number;
  readonly spread: number;
}

function usualOf(survey: StoreSurvey, measure: Measure): Usual {
  const values = survey.rows
    .map((_, at) => scaled(summaryOf(survey, at, measure.field), measure))
    .filter(Number.isFinite);
  const median = medianOf(values);
  return { median, spread: MAD_TO_SIGMA * medianOf(values.map(value => Math.abs(value - median))) };
}

function deviationOf(value: number, measure: Measure, { median, spread }: Usual): number {
  const difference = scaled(value, measure) - median;
  if (!Number.isFinite(difference) || !(spread > 0)) return 0;
  const deviation = difference / spread;
  if (measure.side === 'both') return Math.abs(deviation);
  return Math.max(0, measure.side === 'low' ? -deviation : deviation);
}

function scaled(value: number, measure: Measure): number {
  return measure.logarithmic === true ? Math.log(Math.max(value, 1e-12)) : value;
}

function medianOf(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort();
  const middle = [sorted[sorted.length >> 1], sorted[(sorted.length - 1) >> 1]];
  return middle.reduce<number>((sum, value = NaN) => sum + value / 2, 0);
}

/** Images with all features of an earlier one, by index; they are equal where checksum and sum of squares agree. */
function findDuplicates(survey: StoreSurvey): ReadonlyMap<number, number> {
  const first = new Map<string, number>();
  const duplicates = new Map<number, number>();
  for (const at of survey.rows.keys()) {
    const key = `${summaryOf(survey, at, SUMMARY.featuresCrc)}/${summaryOf(survey, at, SUMMARY.sumOfSquares)}`;
    const other = first.get(key);
    if (other === undefined) first.set(key, at);
    else duplicates.set(at, other);
  }
  return duplicates;
}
