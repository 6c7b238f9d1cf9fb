import { ATTRIBUTE_CLASSES, OBJECT_CLASSES } from '../rows/row-shape.ts';
import { agreementOf, AgreementSum, type AgreementTotals, type ImageAgreement } from './agreement.ts';
import type { Distribution, FindingCount } from './findings.ts';
import type { MatchedPair } from './store-pair.ts';
import { measureFeatures } from './summarise-row.ts';
import { ValueTally } from './value-tally.ts';

const BARS = 32;

/** Two stores as a whole. */
export interface PairOverview {
  readonly paths: readonly [string, string];
  readonly detectors: readonly [string, string];
  /** Images in both stores, in the first only, and in the second only. */
  readonly common: number;
  readonly onlyFirst: number;
  readonly onlySecond: number;
  readonly totals: AgreementTotals;
  /** Images that differ, by what. */
  readonly findings: readonly FindingCount[];
  /** Of all matched boxes. */
  readonly cosine: Distribution;
  readonly iou: Distribution;
}

/** Distributions and class counts over all pairs that were compared. */
export class PairTotals {
  readonly norms = new ValueTally();
  /** How often each class occurs in either store. */
  readonly objects = new Uint32Array(OBJECT_CLASSES);
  readonly attributes = new Uint32Array(ATTRIBUTE_CLASSES);
  readonly #cosines: number[] = [];
  readonly #ious: number[] = [];
  readonly #sum = new AgreementSum();

  add({ first, second, matched }: MatchedPair): ImageAgreement {
    this.#cosines.push(...matched.cosines.filter(Number.isFinite));
    this.#ious.push(...matched.ious.filter(Number.isFinite));
    for (const { features, objects, attributes } of [first, second]) {
      for (const norm of measureFeatures(features).norms) this.norms.add(norm);
      for (const id of objects ?? []) this.objects[id]! += 1;
      for (const id of attributes ?? []) this.attributes[id]! += 1;
    }
    const agreement = agreementOf(first, second, matched);
    this.#sum.add(agreement);
    return agreement;
  }

  describe(): Pick<PairOverview, 'totals' | 'cosine' | 'iou'> {
    return {
      totals: this.#sum.totals(),
      cosine: describeBelowOne(this.#cosines),
      iou: describeBelowOne(this.#ious),
    };
  }
}

/** 32 bars that end at 1 and begin below the values: at 0, 1/2, 3/4, and so on. */
function describeBelowOne(values: readonly number[]): Distribution {
  const sorted = Float64Array.from(values).sort();
  const quantile = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? NaN;
  const least = quantile(0.005);
  const span = [10, 8, 6, 4, 3, 2, 1].map(octaves => 2 ** -octaves).find(part => least >= 1 - part) ?? 1;
  const edges = Array.from({ length: BARS + 1 }, (_, index) => 1 - span + (span * index) / BARS);
  const counts = new Array<number>(BARS).fill(0);
  for (const value of sorted) {
    const bar = Math.floor(((value - 1 + span) / span) * BARS);
    counts[Math.min(BARS - 1, Math.max(0, bar))]! += 1;
  }
  return { edges, counts, low: quantile(0.1), median: quantile(0.5), high: quantile(0.9) };
}
