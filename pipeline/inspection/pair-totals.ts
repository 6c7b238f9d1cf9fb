import { ATTRIBUTE_CLASSES, BOXES, OBJECT_CLASSES } from '../rows/row-shape.ts';
import type { PairOverview } from '../report/pair-overview.ts';
import type { Distribution } from '../report/store-overview.ts';
import type { MatchedRows } from './match-boxes.ts';
import type { StoredBoxes } from './read-cards.ts';
import { ValueTally } from './value-tally.ts';

const BARS = 32;

/** How alike the two rows of an image are. */
export interface PairLikeness {
  /** Mean and least of the matched boxes; NaN where a feature is not finite. */
  readonly cosine: number;
  readonly worst: number;
  readonly iou: number;
}

/** What all pairs that were compared say together. */
export class PairTotals {
  readonly norms = new ValueTally();
  /** How often each class occurs in either store. */
  readonly objects = new Uint32Array(OBJECT_CLASSES);
  readonly attributes = new Uint32Array(ATTRIBUTE_CLASSES);
  readonly #cosines: number[] = [];
  readonly #ious: number[] = [];
  readonly #agreeing = { objects: 0, attributes: 0, places: 0 };

  add(first: StoredBoxes, second: StoredBoxes, matched: MatchedRows): PairLikeness {
    const { partner, ious, cosines } = matched;
    this.#cosines.push(...cosines.filter(Number.isFinite));
    this.#ious.push(...ious.filter(Number.isFinite));
    const [a, b] = [first.boxes, second.boxes];
    for (const boxes of [a, b]) {
      for (const norm of boxes.norms) this.norms.add(norm ?? NaN);
      for (const id of boxes.objects ?? []) this.objects[id]! += 1;
      for (const id of boxes.attrs ?? []) this.attributes[id]! += 1;
    }
    for (const [box, other] of partner.entries()) {
      if (box === other) this.#agreeing.places++;
      if (a.objects !== undefined && a.objects[box] === b.objects?.[other]) this.#agreeing.objects++;
      if (a.attrs !== undefined && a.attrs[box] === b.attrs?.[other]) this.#agreeing.attributes++;
    }
    return { cosine: mean(cosines), worst: Math.min(...cosines), iou: mean(ious) };
  }

  /** `images` were added; `hasClasses` says whether both stores have any. */
  describe(
    images: number,
    hasClasses: boolean,
  ): Omit<PairOverview, 'paths' | 'detectors' | 'common' | 'onlyFirst' | 'onlySecond'> {
    const boxes = images * BOXES;
    return {
      compared: images,
      cosine: describeBelowOne(this.#cosines),
      iou: describeBelowOne(this.#ious),
      cosineMean: mean(this.#cosines),
      cosineWorst: this.#cosines.reduce((least, cosine) => Math.min(least, cosine), Infinity),
      iouMean: mean(this.#ious),
      sameObject: hasClasses ? this.#agreeing.objects / boxes : null,
      sameAttribute: hasClasses ? this.#agreeing.attributes / boxes : null,
      samePlace: this.#agreeing.places / boxes,
    };
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** 32 bars that end at 1 and begin where the values do: at 0, 1/2, 3/4, and so on. */
function describeBelowOne(values: readonly number[]): Distribution {
  const sorted = Float64Array.from(values).sort();
  const quantile = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? NaN;
  const least = quantile(0.005);
  const span = [10, 8, 6, 4, 3, 2, 1].map(octaves => 2 ** -octaves).find(part => least >= 1 - part) ?? 1;
  const edges = Array.from({ length: BARS + 1 }, (_, index) => 1 - span + (span * index) / BARS);
  const counts = new Array<number>(BARS).fill(0);
  for (const value of sorted) {
    const bar = Math.floor(((value - edges[0]!) / span) * BARS);
    counts[Math.min(BARS - 1, Math.max(0, bar))]! += 1;
  }
  return { edges, counts, low: quantile(0.1), median: quantile(0.5), high: quantile(0.9) };
}
