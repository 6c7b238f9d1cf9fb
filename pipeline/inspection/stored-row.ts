import { widenFeatures } from '../rows/feature-dtype.ts';
import { floatColumn, imageIdOf, imageSize, type RowRecord } from '../rows/row-record.ts';
import type { RowShape } from '../rows/row-shape.ts';
import type { StoreFile } from '../store/reader.ts';
import type { BoxData } from './findings.ts';
import { idColumn, measureFeatures } from './summarise-row.ts';

/** One image of a store as float32. */
export interface StoredRow {
  readonly id: string;
  readonly width: number;
  readonly height: number;
  /** [36, 4]: x1, y1, x2, y2 in pixels. */
  readonly boxes: Float32Array;
  /** [36, 2048]. */
  readonly features: Float32Array;
  /** [36] each; absent in stores of six-column rows. */
  readonly objects: readonly number[] | undefined;
  readonly attributes: readonly number[] | undefined;
  readonly record: RowRecord;
  readonly shape: RowShape;
}

export async function readStoredRow(store: StoreFile, row: number): Promise<StoredRow> {
  const stored = await store.readTensor('features', row, 1);
  const [record] = await store.readRecords(row, 1);
  if (record === undefined) throw new RangeError(`the store has no row ${row}`);
  const { width, height } = imageSize(record);
  const hasClasses = store.shape.name === 'obj36';
  return {
    id: imageIdOf(record),
    width,
    height,
    boxes: floatColumn(record, 'boxes'),
    features: widenFeatures(stored, store.dtype),
    objects: hasClasses ? idColumn(record, 'objects_id') : undefined,
    attributes: hasClasses ? idColumn(record, 'attrs_id') : undefined,
    record: record,
    shape: store.shape,
  };
}

/** The boxes of an image as a page shows them, rounded to the digits that they have. */
export function describeBoxes({ boxes, features, objects, attributes, record }: StoredRow): BoxData {
  const { norms, zeros } = measureFeatures(features);
  const round = (values: Float32Array, digits: number): number[] =>
    Array.from(values, value => Number(value.toPrecision(digits)));
  return {
    // A float32 coordinate has seven digits.
    boxes: round(boxes, 7),
    norms: round(norms, 4),
    zeros: round(zeros, 3),
    ...(objects === undefined
      ? {}
      : {
          objects,
          objectsConf: round(floatColumn(record, 'objects_conf'), 4),
          attrs: attributes,
          attrsConf: round(floatColumn(record, 'attrs_conf'), 4),
        }),
  };
}
