import { caffeLimits } from './format/caffe-edge.ts';
import { BOXES, FEATURE_DIM, OBJ36, type RowShape } from './format/row-shape.ts';

/** Rows of the true shape with made-up content, for the demonstration, for tests and for measurements. */
export interface SyntheticRow {
  readonly img_id: string;
  readonly img_h: number;
  readonly img_w: number;
  readonly boxes: Float32Array;
  readonly features: Float32Array;
  readonly objects_id: BigInt64Array;
  readonly attrs_id: BigInt64Array;
  readonly objects_conf: Float32Array;
  readonly attrs_conf: Float32Array;
}

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

/** Row number `index`; a third of its features are zero, as in real rows, and its boxes end where Caffe's would. */
export function makeSyntheticRow(index: number): SyntheticRow {
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
  const features = new Float32Array(BOXES * FEATURE_DIM).map(() =>
    random() < 0.34 ? 0 : random() ** 4 * 30,
  );
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

/** The row as one line of a published TSV. */
export function formatRow(row: SyntheticRow, shape: RowShape = OBJ36, lineEnd = '\r\n'): string {
  const fields = shape.columns.map(column => {
    switch (column) {
      case 'img_id':
      case 'image_id':
        return row.img_id;
      case 'img_h':
      case 'image_h':
        return String(row.img_h);
      case 'img_w':
      case 'image_w':
        return String(row.img_w);
      case 'num_boxes':
        return String(BOXES);
      default:
        return encode(row[column as 'boxes']);
    }
  });
  return fields.join('\t') + lineEnd;
}

function encode(values: Float32Array): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64');
}
