import { boxAt, BOXES, FEATURE_DIM } from '../rows/row-shape.ts';

/** Two sets of 36 boxes of the same image, matched one to one. Each list is in the order of the first one's boxes. */
export interface MatchedRows {
  /** Box of the second that goes with each box of the first. */
  readonly partner: readonly number[];
  /** Intersection over union. */
  readonly ious: readonly number[];
  /** Cosine of the features, and their largest difference. */
  readonly cosines: readonly number[];
  readonly differences: readonly number[];
}

export interface BoxesWithFeatures {
  /** [36, 4]. */
  readonly boxes: Float32Array;
  /** [36, 2048]. */
  readonly features: Float32Array;
}

export function matchRows(first: BoxesWithFeatures, second: BoxesWithFeatures): MatchedRows {
  const partner = matchBoxes(first.boxes, second.boxes);
  const compared = partner.map((other, box) => {
    const a = first.features.subarray(box * FEATURE_DIM, (box + 1) * FEATURE_DIM);
    const b = second.features.subarray(other * FEATURE_DIM, (other + 1) * FEATURE_DIM);
    return compareFeatures(a, b);
  });
  return {
    partner,
    ious: partner.map((other, box) => overlap(first.boxes, box, second.boxes, other)),
    cosines: compared.map(({ cosine }) => cosine),
    differences: compared.map(({ difference }) => difference),
  };
}

/** For each box of `first` its partner in `second`: pairs by falling overlap, on equal overlap those at the same index first. */
function matchBoxes(first: Float32Array, second: Float32Array): number[] {
  const pairs: { box: number; other: number; iou: number }[] = [];
  for (let box = 0; box < BOXES; box++) {
    for (let other = 0; other < BOXES; other++)
      pairs.push({ box, other, iou: overlap(first, box, second, other) });
  }
  pairs.sort((a, b) => b.iou - a.iou || Math.abs(a.box - a.other) - Math.abs(b.box - b.other));
  const partner = new Array<number>(BOXES).fill(-1);
  const taken = new Set<number>();
  for (const { box, other } of pairs) {
    if (partner[box] !== -1 || taken.has(other)) continue;
    partner[box] = other;
    taken.add(other);
  }
  return partner;
}

function overlap(first: Float32Array, box: number, second: Float32Array, other: number): number {
  const [ax1, ay1, ax2, ay2] = boxAt(first, box);
  const [bx1, by1, bx2, by2] = boxAt(second, other);
  const shared =
    Math.max(0, Math.min(ax2, bx2) - Math.max(ax1, bx1)) *
    Math.max(0, Math.min(ay2, by2) - Math.max(ay1, by1));
  return shared / ((ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - shared);
}

function compareFeatures(a: Float32Array, b: Float32Array): { cosine: number; difference: number } {
  let dot = 0;
  let normA = 0;
  let normB = 0;
  let difference = 0;
  for (let index = 0; index < a.length; index++) {
    const x = a[index]!;
    const y = b[index]!;
    dot += x * y;
    normA += x * x;
    normB += y * y;
    difference = Math.max(difference, Math.abs(x - y));
  }
  const norm = Math.sqrt(normA * normB);
  return { cosine: norm === 0 ? Number(normA === normB) : dot / norm, difference };
}
