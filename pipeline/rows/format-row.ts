import { BOXES, isBinary, OBJ36, type RowShape } from './row-shape.ts';

/** One image's row with the published columns' names. */
export interface PlainRow {
  readonly img_id: string;
  readonly img_h: number;
  readonly img_w: number;
  /** [36, 4]: x1, y1, x2, y2 in pixels. */
  readonly boxes: Float32Array;
  /** [36, 2048] */
  readonly features: Float32Array;
  /** [36] each */
  readonly objects_id: BigInt64Array;
  readonly attrs_id: BigInt64Array;
  readonly objects_conf: Float32Array;
  readonly attrs_conf: Float32Array;
}

/** The row as one line of a published TSV. */
export function formatRow(row: PlainRow, shape: RowShape = OBJ36, lineEnd = '\r\n'): string {
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
        if (isBinary(column)) return encode(row[column]);
        throw new RangeError(`no column ${column}`);
    }
  });
  return fields.join('\t') + lineEnd;
}

function encode(values: Float32Array | BigInt64Array): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64');
}
