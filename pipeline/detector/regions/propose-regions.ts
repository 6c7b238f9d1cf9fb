import { argsortDescending } from './argsort.ts';
import { suppressOverlaps } from './box-overlap.ts';
import { ANCHORS_PER_CELL, FEATURE_STRIDE } from '../model/network.ts';

const { fround } = Math;

/** x1, y1, x2, y2 of the anchors of the cell at the top left: ratios 0.5, 1, 2, each at scales 4, 8, 16, 32. */
export const BASE_ANCHORS: readonly (readonly [number, number, number, number])[] = [
  [-38, -16, 53, 31],
  [-84, -40, 99, 55],
  [-176, -88, 191, 103],
  [-360, -184, 375, 199],
  [-24, -24, 39, 39],
  [-56, -56, 71, 71],
  [-120, -120, 135, 135],
  [-248, -248, 263, 263],
  [-14, -36, 29, 51],
  [-36, -80, 51, 95],
  [-80, -168, 95, 183],
  [-168, -344, 183, 359],
];

const CANDIDATES = 6000;
const OVERLAP_THRESHOLD = 0.7;
/** Smallest side of a proposal, in pixels of the original image. */
const MIN_SIDE = 16;

/** Output of the region proposal network for one image. */
export interface ProposalScores {
  /** (24, h, w): probability of background for the 12 anchors, then of foreground. */
  readonly probabilities: Float32Array;
  /** (48, h, w): dx, dy, dw, dh of anchor 0, of anchor 1, … */
  readonly deltas: Float32Array;
  readonly mapHeight: number;
  readonly mapWidth: number;
}

/** Size of the network's input and its scale to the original image. */
export interface InputSize {
  readonly height: number;
  readonly width: number;
  readonly scale: number;
}

/**
 * Decodes, clips, filters and thins the proposals of one image.
 *
 * @returns up to `limit` regions, best first, in rows of 0, x1, y1, x2, y2 (pixels of the network's input).
 */
export function proposeRegions(scores: ProposalScores, input: InputSize, limit: number): Float32Array {
  const candidates = decodeProposals(scores, input);
  const order = argsortDescending(candidates.scores).subarray(0, CANDIDATES);
  const boxes = new Float32Array(4 * order.length);
  const sorted = new Float32Array(order.length);
  order.forEach((candidate, rank) => {
    boxes.set(candidates.boxes.subarray(4 * candidate, 4 * candidate + 4), 4 * rank);
    sorted[rank] = candidates.scores[candidate]!;
  });
  const kept = suppressOverlaps(boxes, sorted, OVERLAP_THRESHOLD, limit);
  const regions = new Float32Array(5 * kept.length);
  kept.forEach((box, row) => regions.set(boxes.subarray(4 * box, 4 * box + 4), 5 * row + 1));
  return regions;
}

export interface Candidates {
  /** (n, 4) */
  readonly boxes: Float32Array;
  readonly scores: Float32Array;
}

/** All proposals that are large enough: rows, then columns, then anchors. */
export function decodeProposals(scores: ProposalScores, { height, width, scale }: InputSize): Candidates {
  const { probabilities, deltas, mapHeight, mapWidth } = scores;
  const cells = mapHeight * mapWidth;
  const boxes = new Float32Array(4 * ANCHORS_PER_CELL * cells);
  const kept = new Float32Array(ANCHORS_PER_CELL * cells);
  const minSide = MIN_SIDE * fround(scale);
  let count = 0;
  for (let cell = 0; cell < cells; cell += 1) {
    const shiftX = FEATURE_STRIDE * (cell % mapWidth);
    const shiftY = FEATURE_STRIDE * Math.floor(cell / mapWidth);
    for (const [anchor, [x1, y1, x2, y2]] of BASE_ANCHORS.entries()) {
      const delta = (k: number): number => deltas[(4 * anchor + k) * cells + cell]!;
      const [left, right] = decodeSpan([x1 + shiftX, x2 + shiftX], [delta(0), delta(2)], width - 1);
      const [top, bottom] = decodeSpan([y1 + shiftY, y2 + shiftY], [delta(1), delta(3)], height - 1);
      if (!(fround(fround(right - left) + 1) >= minSide && fround(fround(bottom - top) + 1) >= minSide))
        continue;
      boxes[4 * count] = left;
      boxes[4 * count + 1] = top;
      boxes[4 * count + 2] = right;
      boxes[4 * count + 3] = bottom;
      kept[count] = probabilities[(ANCHORS_PER_CELL + anchor) * cells + cell]!;
      count += 1;
    }
  }
  return { boxes: boxes.subarray(0, 4 * count), scores: kept.subarray(0, count) };
}

/** Moves and stretches one side of an anchor, then clips it to 0 … `last`. */
function decodeSpan(
  [start, end]: readonly [start: number, end: number],
  [shift, stretch]: readonly [shift: number, stretch: number],
  last: number,
): [number, number] {
  const size = end - start + 1;
  const center = fround(start + fround(0.5 * size));
  const newCenter = fround(fround(shift * size) + center);
  const half = fround(0.5 * fround(fround(Math.exp(stretch)) * size));
  const clip = (value: number): number => Math.max(Math.min(value, last), 0);
  return [clip(fround(newCenter - half)), clip(fround(newCenter + half))];
}
