import { measureDifference } from '../test/helpers/oracle.ts';

export const ROI_TOLERANCE = 1e-2;
/** Regions whose scores are closer than Caffe's own noise may change places. */
export const SCORE_TOLERANCE = 1e-5;

export interface RegionMatch {
  /** Our row for each of the expected rows, -1 where there is none within the tolerance. */
  readonly rows: readonly number[];
  /** Largest difference of a coordinate between matched rows, in pixels of the network's input. */
  readonly worst: number;
  readonly missing: number;
  /** Rows that changed places, and the largest difference of scores between a row and the one it displaced. */
  readonly displaced: number;
  readonly displacedBy: number;
}

/** Finds each of the expected regions (rows of five, `scores` by our rows) among ours, the same row first. */
export function matchRegions(
  actual: Float32Array,
  expected: ArrayLike<number>,
  scores: ArrayLike<number>,
): RegionMatch {
  const count = expected.length / 5;
  const row = (values: ArrayLike<number>, index: number): number[] =>
    Array.from({ length: 5 }, (_, i) => values[5 * index + i]!);
  const rows: number[] = [];
  let [worst, missing, displaced, displacedBy] = [0, 0, 0, 0];
  for (let index = 0; index < count; index += 1) {
    const wanted = row(expected, index);
    const nearest = Array.from({ length: actual.length / 5 }, (_, other) => other)
      .sort((a, b) => Math.abs(a - index) - Math.abs(b - index))
      .find(other => measureDifference(row(actual, other), wanted) <= ROI_TOLERANCE);
    rows.push(nearest ?? -1);
    if (nearest === undefined) {
      missing += 1;
      continue;
    }
    worst = Math.max(worst, measureDifference(row(actual, nearest), wanted));
    if (nearest === index) continue;
    displaced += 1;
    displacedBy = Math.max(displacedBy, Math.abs(scores[nearest]! - scores[index]!));
  }
  return { rows, worst, missing, displaced, displacedBy };
}
