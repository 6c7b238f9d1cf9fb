import { BOXES } from '../../rows/row-shape.ts';
import { argsortDescending } from './argsort.ts';
import { measureAreas, measureOverlap } from './box-overlap.ts';
import { OBJECT_CLASSES } from '../model/network.ts';

const OVERLAP_THRESHOLD = 0.3;
const MIN_CONFIDENCE = 0.2;

/**
 * Regions in pixels of the original image: x1, y1, x2, y2 of each row of `rois`, divided by the scale in float32. Not
 * clipped again.
 */
export function scaleRegions(rois: Float32Array, scale: number): Float32Array {
  const divisor = Math.fround(scale);
  const boxes = new Float32Array((rois.length / 5) * 4);
  for (let i = 0; i < boxes.length; i += 1) boxes[i] = rois[5 * Math.floor(i / 4) + 1 + (i % 4)]! / divisor;
  return boxes;
}

/**
 * Highest probability of each region over the object classes in which it survives suppression by overlap.
 *
 * @param boxes (n, 4), original pixels
 * @param probabilities (n, 1601), background first
 */
export function rateRegions(boxes: Float32Array, probabilities: Float32Array): Float64Array {
  const count = boxes.length / 4;
  const wordsPerRow = Math.ceil(count / 32);
  const overlapping = markOverlaps(boxes, wordsPerRow);
  const confidences = new Float64Array(count);
  const scores = new Float32Array(count);
  const suppressed = new Int32Array(wordsPerRow);
  for (let objectClass = 1; objectClass < OBJECT_CLASSES; objectClass += 1) {
    for (let i = 0; i < count; i += 1) scores[i] = probabilities[i * OBJECT_CLASSES + objectClass]!;
    suppressed.fill(0);
    for (const region of argsortDescending(scores)) {
      if ((suppressed[region >>> 5]! >>> (region & 31)) & 1) continue;
      confidences[region] = Math.max(confidences[region]!, scores[region]!);
      const row = region * wordsPerRow;
      for (let word = 0; word < wordsPerRow; word += 1) suppressed[word]! |= overlapping[row + word]!;
    }
  }
  return confidences;
}

/** Bit j of row i: regions i and j overlap so much that the better one suppresses the other. */
function markOverlaps(boxes: Float32Array, wordsPerRow: number): Int32Array {
  const areas = measureAreas(boxes);
  const marks = new Int32Array(areas.length * wordsPerRow);
  for (let i = 0; i < areas.length; i += 1) {
    for (let j = i + 1; j < areas.length; j += 1) {
      if (measureOverlap(boxes, areas, i, j) < OVERLAP_THRESHOLD) continue;
      marks[i * wordsPerRow + (j >>> 5)]! |= 1 << (j & 31);
      marks[j * wordsPerRow + (i >>> 5)]! |= 1 << (i & 31);
    }
  }
  return marks;
}

/**
 * The regions that become the image's boxes. Those above the threshold are wanted: where they are 36 exactly they
 * stay in the order of the regions; else the best 36 of all are taken, best first.
 */
export function chooseRegions(confidences: Float64Array): Int32Array {
  const above: number[] = [];
  for (const [region, confidence] of confidences.entries())
    if (confidence >= MIN_CONFIDENCE) above.push(region);
  if (above.length === BOXES) return Int32Array.from(above);
  return argsortDescending(confidences).slice(0, BOXES);
}

export interface BestClasses {
  /** Zero-based without the background. */
  readonly ids: Int32Array;
  readonly confidences: Float32Array;
}

/**
 * Best class of each of `regions`; the first of equals.
 *
 * @param probabilities (n, classes), the first of which, background or "none", does not take part
 */
export function findBestClasses(
  probabilities: Float32Array,
  regions: Int32Array,
  classes: number,
): BestClasses {
  const ids = new Int32Array(regions.length);
  const confidences = new Float32Array(regions.length);
  regions.forEach((region, row) => {
    const scores = probabilities.subarray(region * classes + 1, (region + 1) * classes);
    let best = 0;
    for (let i = 1; i < scores.length; i += 1) if (scores[i]! > scores[best]!) best = i;
    ids[row] = best;
    confidences[row] = scores[best]!;
  });
  return { ids, confidences };
}
