import { caffeLimits } from './clip-boundary.ts';
import type { PlainRow } from './format-row.ts';
import { BOXES, FEATURE_DIM } from './row-shape.ts';

/** A small generator whose numbers are the same everywhere (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Row number `index` of the true shape with made-up content, for the demonstration, tests and measurements; a third of its features are zero, as in real rows, and its boxes end where Caffe's would. */
export function makeSyntheticRow(index: number): PlainRow {
  const random = seededRandom(index + 1);
  const [height, width] = index % 3 === 0 ? [640, 480] : [480, 640];
  const limits = caffeLimits(height, width);
  const boxes = new Float32Array(BOXES * 4);
  for (let box = 0; box < BOXES; box++) {
    const x1 = random() * (limits.x2 - 20);
    const y1 = random() * (limits.y2 - 20);
    const x2 = box === 0 ? limits.x2 : x1 + 16 + random() * (limits.x2 - 16 - x1);
    const y2 = box === 0 ? limits.y2 : y1 + 16 + random() * (limits.y2 - 16 - y1);
    boxes.set([x1, y1, x2, y2], box * 4);
  }
  const features = new Float32Array(BOXES * FEATURE_DIM).map(() => {
    const value = random();
    return random() < 0.34 ? 0 : value * value * value * value * 30;
  });
  return {
    img_id: `SYNTHETIC_${String(index).padStart(12, '0')}`,
    img_h: height,
    img_w: width,
    boxes,
    features,
    objects_id: new BigInt64Array(BOXES).map(() => BigInt(Math.floor(random() * 1600))),
    attrs_id: new BigInt64Array(BOXES).map(() => BigInt(Math.floor(random() * 400))),
    objects_conf: new Float32Array(BOXES).map(() => random()),
    attrs_conf: new Float32Array(BOXES).map(() => random()),
  };
}
