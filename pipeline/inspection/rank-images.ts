import { formatNumber, formatPercent } from '../show-text.ts';
import { FLAW, SUMMARY, SUMMARY_FIELDS } from './summarise-row.ts';
import type { StoreSurvey } from './survey-store.ts';

/** Deviations from the median, in the scale of a normal distribution, from which an image is called odd. */
const ODD_DEVIATIONS = 4;
/** Fewer images say nothing about what is usual. */
const MIN_IMAGES = 24;
const MAD_TO_SIGMA = 1.4826;

export interface RankedImage {
  /** Place among the surveyed rows. */
  readonly at: number;
  readonly row: number;
  readonly score: number;
  readonly reasons: readonly string[];
  /** Whether something is wrong, not only unusual. */
  readonly flawed: boolean;
}

const FLAWS: readonly (readonly [flag: number, words: string])[] = [
  [FLAW.damaged, 'damaged: it does not have its checksum'],
  [FLAW.notFinite, 'values that are not finite'],
  [FLAW.negative, 'negative feature values'],
  [FLAW.boxes, 'boxes out of order or beyond the image'],
  [FLAW.classes, 'class ids beyond the vocabulary'],
  [FLAW.confidences, 'confidences beyond 0 to 1'],
];

interface Measure {
  readonly field: number;
  readonly say: (value: number) => string;
  /** Which end is odd. */
  readonly side: 'low' | 'high' | 'both';
  readonly logarithmic?: boolean;
}

const MEASURES: readonly Measure[] = [
  {
    field: SUMMARY.normMost,
    side: 'both',
    logarithmic: true,
    say: value => `largest feature norm ${formatNumber(value)}`,
  },
  {
    field: SUMMARY.normLeast,
    side: 'low',
    logarithmic: true,
    say: value => `smallest feature norm ${formatNumber(value)}`,
  },
  { field: SUMMARY.zeros, side: 'both', say: value => `${formatPercent(value)} of its values are zero` },
  { field: SUMMARY.meanConfidence, side: 'low', say: value => `mean confidence ${formatNumber(value)}` },
  {
    field: SUMMARY.leastShare,
    side: 'low',
    logarithmic: true,
    say: value => `smallest box is ${formatPercent(value)} of the image`,
  },
  { field: SUMMARY.distinctObjects, side: 'low', say: value => `${value} object classes only` },
];

/** All surveyed images, worst and oddest first; ties in store order. `ids` are those of the whole store. */
export function rankImages(
  survey: StoreSurvey,
  ids: readonly string[],
  show: (id: string) => string,
): RankedImage[] {
  const usual = MEASURES.map(measure => usualOf(survey, measure));
  const twins = findTwins(survey);
  const ranked = survey.rows.map((row, at): RankedImage => {
    const value = (field: number): number => survey.summaries[at * SUMMARY_FIELDS + field]!;
    const found: { readonly weight: number; readonly words: string }[] = [];
    const flaws = value(SUMMARY.flaws);
    for (const [flag, words] of FLAWS) if ((flaws & flag) !== 0) found.push({ weight: 10_000, words });
    const add = (weight: number, words: string): void => void found.push({ weight, words });
    const empty = value(SUMMARY.emptyBoxes);
    if (empty > 0) add(1000 + empty, `${countBoxes(empty)} without any feature`);
    const twin = twins.get(at);
    if (twin !== undefined) add(500, `the same features as ${show(ids[survey.rows[twin]!]!)}`);
    const boxes = value(SUMMARY.repeatedBoxes);
    if (boxes > 0) add(50 + boxes, `${countBoxes(boxes)} where another box is`);
    const repeated = value(SUMMARY.repeatedFeatures);
    if (repeated > 0) add(40 + repeated, `${countBoxes(repeated)} with the features of another box`);
    let most = 0;
    for (const [index, measure] of MEASURES.entries()) {
      const deviation = deviationOf(value(measure.field), measure, usual[index]!);
      most = Math.max(most, deviation);
      if (deviation >= ODD_DEVIATIONS && survey.rows.length >= MIN_IMAGES)
        add(Math.min(deviation, 30), measure.say(value(measure.field)));
    }
    found.sort((a, b) => b.weight - a.weight);
    // What is merely less usual orders the images that nothing is said of.
    const score = found.reduce((sum, { weight }) => sum + weight, 0) + Math.min(most, ODD_DEVIATIONS) / 100;
    return { at, row, score, reasons: found.map(({ words }) => words), flawed: flaws !== 0 || empty > 0 };
  });
  return ranked.sort((a, b) => b.score - a.score || a.at - b.at);
}

function countBoxes(count: number): string {
  return count === 1 ? '1 box' : `${count} boxes`;
}

interface Usual {
  readonly median: number;
  readonly spread: number;
}

function usualOf({ summaries, rows }: StoreSurvey, measure: Measure): Usual {
  const values = rows
    .map((_, at) => scaled(summaries[at * SUMMARY_FIELDS + measure.field]!, measure))
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
  return sorted.length === 0 ? NaN : (sorted[sorted.length >> 1]! + sorted[(sorted.length - 1) >> 1]!) / 2;
}

/** Images with all features of an earlier one, by place; a checksum and a sum of squares that both agree decide. */
function findTwins({ summaries, rows }: StoreSurvey): ReadonlyMap<number, number> {
  const first = new Map<string, number>();
  const twins = new Map<number, number>();
  for (const at of rows.keys()) {
    const base = at * SUMMARY_FIELDS;
    const key = `${summaries[base + SUMMARY.featuresCrc]!}/${summaries[base + SUMMARY.sumOfSquares]!}`;
    const other = first.get(key);
    if (other === undefined) first.set(key, at);
    else twins.set(at, other);
  }
  return twins;
}
