import { LxmertDataError } from '../errors.ts';
import { type FeatureDtype, storedFeatureBytes, widenFeatures } from '../rows/feature-dtype.ts';
import { imageIdOf, imageSize, recordColumn, type RowRecord } from '../rows/row-record.ts';
import { BOXES } from '../rows/row-shape.ts';
import type { Provenance } from './metadata.ts';
import { StoreFile } from './reader.ts';

/** One image, with the names of LXMERT's rows. Arrays stay as they are; rows of a sequence share one piece of memory, so copy what you keep. */
export interface StoreRow {
  readonly img_id: string;
  /** Height and width of the image in pixels. */
  readonly img_h: number;
  readonly img_w: number;
  readonly num_boxes: number;
  /** [36, 2048] row-major, >= 0; float32 whatever the store's dtype. */
  readonly features: Float32Array;
  /** [36, 4] row-major: x1, y1, x2, y2 in pixels. */
  readonly boxes: Float32Array;
  /** [36] each; absent in stores made from six-column rows. */
  readonly objects_id?: BigInt64Array;
  readonly attrs_id?: BigInt64Array;
  readonly objects_conf?: Float32Array;
  readonly attrs_conf?: Float32Array;
}

/** An open store of 36-box features: docs/format.md. */
export interface FeatureStore {
  readonly path: string;
  /** Number of images. */
  readonly rows: number;
  readonly dtype: FeatureDtype;
  /** Where the rows come from. */
  readonly provenance: Provenance;
  /** Every img_id in row order; read once. */
  ids(): Promise<readonly string[]>;
  /** Row of an img_id, or -1. */
  indexOf(imgId: string): Promise<number>;
  /** One image by row number (0 to rows - 1) or img_id; fails with ERR_STORE where there is none. */
  row(which: number | string): Promise<StoreRow>;
  /** Images in order, from `begin` up to but without `end`; read in pieces of a few megabytes. */
  sequence(begin?: number, end?: number): AsyncGenerator<StoreRow>;
  close(): Promise<void>;
}

const SEQUENCE_ROWS = 16;

/** Opens a store for reading; fails with ERR_STORE where header or size are wrong. Nothing is read but the header. */
export async function openStore(path: string): Promise<FeatureStore> {
  const file = await StoreFile.open(path);
  let listed: Promise<readonly string[]> | undefined;
  let index: Promise<ReadonlyMap<string, number>> | undefined;
  const ids = async (): Promise<readonly string[]> => await (listed ??= file.readImageIds());
  const indexOf = async (imgId: string): Promise<number> => {
    index ??= ids().then(all => new Map(all.map((id, row) => [id, row])));
    return (await index).get(imgId) ?? -1;
  };
  return {
    path,
    rows: file.rows,
    dtype: file.dtype,
    provenance: file.provenance,
    ids,
    indexOf,
    async row(which) {
      const row = typeof which === 'number' ? which : await indexOf(which);
      if (!Number.isInteger(row) || row < 0 || row >= file.rows) {
        const expected = `a row from 0 to ${file.rows - 1}, or an img_id of the store`;
        throw new LxmertDataError('ERR_STORE', {
          what: 'there is no such image',
          where: path,
          expected,
          got: String(which),
        });
      }
      const [only] = await readRows(file, row, 1);
      return only!;
    },
    async *sequence(begin = 0, end = file.rows) {
      const last = Math.min(end, file.rows);
      for (let from = Math.max(0, begin); from < last; from += SEQUENCE_ROWS) {
        yield* await readRows(file, from, Math.min(SEQUENCE_ROWS, last - from));
      }
    },
    async close() {
      await file.close();
    },
  };
}

async function readRows(file: StoreFile, begin: number, count: number): Promise<StoreRow[]> {
  const features = await file.readTensor('features', begin, count);
  const records = await file.readRecords(begin, count);
  const featureBytes = storedFeatureBytes(file.dtype);
  const hasClasses = file.shape.name === 'obj36';
  return records.map((record, index) => {
    const { height, width } = imageSize(record);
    return {
      img_id: imageIdOf(record),
      img_h: height,
      img_w: width,
      num_boxes: BOXES,
      features: widenFeatures(
        features.subarray(index * featureBytes, (index + 1) * featureBytes),
        file.dtype,
      ),
      boxes: float32s(record, 'boxes'),
      ...(hasClasses
        ? {
            objects_id: int64s(record, 'objects_id'),
            attrs_id: int64s(record, 'attrs_id'),
            objects_conf: float32s(record, 'objects_conf'),
            attrs_conf: float32s(record, 'attrs_conf'),
          }
        : {}),
    };
  });
}

function float32s(record: RowRecord, column: 'boxes' | 'objects_conf' | 'attrs_conf'): Float32Array {
  const bytes = recordColumn(record, column);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

function int64s(record: RowRecord, column: 'objects_id' | 'attrs_id'): BigInt64Array {
  const bytes = recordColumn(record, column);
  return new BigInt64Array(bytes.buffer, bytes.byteOffset, BOXES);
}
