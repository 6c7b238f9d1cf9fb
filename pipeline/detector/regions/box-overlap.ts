import { boxAt } from '../../rows/row-shape.ts';
import { argsortDescending } from './argsort.ts';

const { fround } = Math;

/** (x2 - x1 + 1) * (y2 - y1 + 1) of each x1, y1, x2, y2 in `boxes`, in float32: pixels count with both ends. */
export function measureAreas(boxes: Float32Array): Float32Array {
  const areas = new Float32Array(boxes.length / 4);
  for (let i = 0; i < areas.length; i += 1) {
    const [x1, y1, x2, y2] = boxAt(boxes, i);
    const width = fround(fround(x2 - x1) + 1);
    const height = fround(fround(y2 - y1) + 1);
    areas[i] = fround(width * height);
  }
  return areas;
}

/** Intersection over union of boxes `i` and `j`, every step rounded to float32 as in the original. */
export function measureOverlap(boxes: Float32Array, areas: Float32Array, i: number, j: number): number {
  const a = 4 * i;
  const b = 4 * j;
  // The innermost step of the suppression: no array of the corners is made.
  const left = Math.max(boxes[a]!, boxes[b]!);
  const right = Math.min(boxes[a + 2]!, boxes[b + 2]!);
  const width = fround(fround(right - left) + 1);
  if (width <= 0) return 0;
  const top = Math.max(boxes[a + 1]!, boxes[b + 1]!);
  const bottom = Math.min(boxes[a + 3]!, boxes[b + 3]!);
  const height = fround(fround(bottom - top) + 1);
  if (height <= 0) return 0;
  const intersection = fround(width * height);
  return fround(intersection / fround(fround(areas[i]! + areas[j]!) - intersection));
}

/**
 * Greedy non-maximum suppression: the first `limit` boxes, best first, that overlap none before them by `threshold`
 * or more. The threshold is compared in double, an exact hit suppresses.
 */
export function suppressOverlaps(
  boxes: Float32Array,
  scores: Float32Array,
  threshold: number,
  limit: number,
): number[] {
  const areas = measureAreas(boxes);
  const order = argsortDescending(scores);
  const suppressed = new Uint8Array(order.length);
  const kept: number[] = [];
  for (const [rank, box] of order.entries()) {
    if (kept.length >= limit) break;
    if (suppressed[box] === 1) continue;
    kept.push(box);
    for (let later = rank + 1; later < order.length; later += 1) {
      const other = order[later]!;
      if (suppressed[other] === 0 && measureOverlap(boxes, areas, box, other) >= threshold)
        suppressed[other] = 1;
    }
  }
  return kept;
}
