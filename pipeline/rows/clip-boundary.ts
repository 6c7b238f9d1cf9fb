import { EDGE } from './row-record.ts';

/** Published rows agree to 1e-4 pixel; ports that clip in image space differ by at least 0.08 of one. */
const TOLERANCE_PIXELS = 1e-3;
const SHORT_SIDE = 600;
const LONG_SIDE = 1000;

/** numpy's and OpenCV's rounding: halves go to the even neighbour. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** The factor by which the detector resizes an image before it looks at it. */
export function detectorScale(height: number, width: number): number {
  const short = Math.min(height, width);
  const long = Math.max(height, width);
  const scale = SHORT_SIDE / short;
  return roundHalfEven(scale * long) > LONG_SIDE ? LONG_SIDE / long : scale;
}

/** Largest x2 and y2 that Caffe's proposals can have: they are clipped to the resized image, then scaled back. */
export function caffeLimits(height: number, width: number): { readonly x2: number; readonly y2: number } {
  const scale = detectorScale(height, width);
  return {
    x2: (roundHalfEven(width * scale) - 1) / scale,
    y2: (roundHalfEven(height * scale) - 1) / scale,
  };
}

/** Compares the outermost box sides with Caffe's limits: evidence of which detector made a row, without its weights. */
export function caffeEdge(boxes: Float32Array, height: number, width: number): number {
  let x2 = 0;
  let y2 = 0;
  for (let at = 0; at < boxes.length; at += 4) {
    x2 = Math.max(x2, boxes[at + 2]!);
    y2 = Math.max(y2, boxes[at + 3]!);
  }
  const limits = caffeLimits(height, width);
  if (x2 > limits.x2 + TOLERANCE_PIXELS || y2 > limits.y2 + TOLERANCE_PIXELS) return EDGE.beyond;
  const exact = x2 >= limits.x2 - TOLERANCE_PIXELS && y2 >= limits.y2 - TOLERANCE_PIXELS;
  return exact ? EDGE.exact : EDGE.before;
}
