/** Boxes of every image: LXMERT draws `randint(0, 35)`, so no other number can be used. */
export const BOXES = 36;
/** Floats of one RoI feature vector (pool5 of the detector). */
export const FEATURE_DIM = 2048;
/** Decoded bytes of one image's features: 36 x 2048 float32. */
export const FEATURE_BYTES = BOXES * FEATURE_DIM * 4;
/** Classes of the detector's vocabularies (1600-400-20), background taken off. */
export const OBJECT_CLASSES = 1600;
export const ATTRIBUTE_CLASSES = 400;

/** Corners of a box, in pixels of the image. */
export type Box = readonly [x1: number, y1: number, x2: number, y2: number];

/** Box `index` of coordinates [n, 4]; NaN beyond the end. */
export function boxAt(boxes: Float32Array, index: number): Box {
  const at = 4 * index;
  return [boxes[at] ?? NaN, boxes[at + 1] ?? NaN, boxes[at + 2] ?? NaN, boxes[at + 3] ?? NaN];
}

/** Columns that hold base64 of little-endian arrays. */
export type BinaryColumn = 'objects_id' | 'objects_conf' | 'attrs_id' | 'attrs_conf' | 'boxes' | 'features';

export interface BinaryField {
  readonly name: BinaryColumn;
  /** Index among the columns, from 0. */
  readonly index: number;
  /** Decoded length for 36 boxes; always a multiple of 3, so base64 has no padding. */
  readonly bytes: number;
  readonly chars: number;
  /** Offset of the first base64 character behind the third tab of a plain row. */
  readonly at: number;
}

export type RowShapeName = 'obj36' | 'butd36';

/** A published TSV layout. The first three columns are text in every one of them. */
export interface RowShape {
  readonly name: RowShapeName;
  readonly columns: readonly string[];
  readonly idColumn: string;
  readonly heightColumn: string;
  readonly widthColumn: string;
  readonly heightIndex: number;
  readonly widthIndex: number;
  readonly countIndex: number;
  readonly binary: readonly BinaryField[];
  /** Names of `binary`. */
  readonly binaryNames: ReadonlySet<string>;
  /** Offset of num_boxes behind the third tab, in a plain row. */
  readonly countAt: number;
  /** Characters behind the third tab of a plain row, line end not counted. */
  readonly restChars: number;
}

const BYTES: Record<BinaryColumn, number> = {
  objects_id: BOXES * 8,
  objects_conf: BOXES * 4,
  attrs_id: BOXES * 8,
  attrs_conf: BOXES * 4,
  boxes: BOXES * 16,
  features: FEATURE_BYTES,
};

export function isBinary(name: string): name is BinaryColumn {
  return name in BYTES;
}

function describe(name: RowShapeName, columns: readonly string[], height: string, width: string): RowShape {
  const binary: BinaryField[] = [];
  let at = 0;
  let countAt = 0;
  for (const [index, column] of columns.entries()) {
    if (index < 3) continue;
    if (isBinary(column)) {
      const chars = (BYTES[column] / 3) * 4;
      binary.push({ name: column, index, bytes: BYTES[column], chars, at });
      at += chars + 1;
    } else {
      countAt = at;
      at += String(BOXES).length + 1;
    }
  }
  return {
    name,
    columns,
    idColumn: columns[0] ?? '',
    heightColumn: height,
    widthColumn: width,
    heightIndex: columns.indexOf(height),
    widthIndex: columns.indexOf(width),
    countIndex: columns.indexOf('num_boxes'),
    binary,
    binaryNames: new Set(binary.map(field => field.name)),
    countAt,
    restChars: at - 1,
  };
}

/** LXMERT's ten columns: https://github.com/airsplay/lxmert (`FIELDNAMES` of `src/utils.py`). */
export const OBJ36 = describe(
  'obj36',
  [
    'img_id',
    'img_h',
    'img_w',
    'objects_id',
    'objects_conf',
    'attrs_id',
    'attrs_conf',
    'num_boxes',
    'boxes',
    'features',
  ],
  'img_h',
  'img_w',
);

/** The six columns of the original bottom-up-attention release; width comes before height. */
export const BUTD36 = describe(
  'butd36',
  ['image_id', 'image_w', 'image_h', 'num_boxes', 'boxes', 'features'],
  'image_h',
  'image_w',
);

/** Bytes of a plainly written row with an id of LXMERT's length, for estimates of sizes only. */
export function typicalRowBytes(shape: RowShape): number {
  return shape.restChars + TYPICAL_HEAD_BYTES;
}

/** Three text columns with their tabs and the line end: COCO_train2014_000000458752, 480, 640. */
const TYPICAL_HEAD_BYTES = 38;

export function rowShapeOf(columns: readonly string[]): RowShape | undefined {
  return [OBJ36, BUTD36].find(shape => shape.columns.join() === columns.join());
}
