import { LxmertDataError } from '../errors.ts';
import { type FeatureDtype, storedFeatureBytes, widenFeatures } from '../rows/feature-dtype.ts';
import { floatColumn, imageIdOf, imageSize, recordColumn, type RowRecord } from '../rows/row-record.ts';
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
  /** Names of the columns of the rows, as published. */
  readonly columns: readonly string[];
  /** Where the rows come from. */
  readonly provenance: Provenance;
  /** Every img_id in row order; read once. */
  ids(): Promise<readonly string[]>;
  /** Row of an img_id, or -1. */
  indexOf(imgId: string): Promise<number>;
  /**
   * One image by img_id (text) or row number, 0 to rows - 1. Fails with ERR_STORE where there is no such image, and where
   * a number is the number of one row and the img_id of another.
   */
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
  let numeric: Promise<boolean> | undefined;
  const ids = async (): Promise<readonly string[]> => await (listed ??= file.readImageIds());
  const indexOf = async (imgId: string): Promise<number> => {
    index ??= ids().then(all => new Map(all.map((id, row) => [id, row])));
    return (await index).get(imgId) ?? -1;
  };
  return {
    path,
    rows: file.rows,
    dtype: file.dtype,
    columns: file.shape.columns,
    provenance: file.provenance,
    ids,
    indexOf,
    async row(which) {
      const row = typeof which === 'number' ? which : await indexOf(which);
      if (!Number.isInteger(row) || row < 0 || row >= file.rows) throw noSuchImage(file, which);
      if (typeof which === 'number' && (await (numeric ??= file.hasNumericIds())))
        checkUnambiguous(path, which, await indexOf(String(which)));
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

function noSuchImage({ path, rows }: StoreFile, which: number | string): LxmertDataError {
  return new LxmertDataError('ERR_STORE', {
    what: 'the store has no such image',
    where: path,
    expected: `a row number from 0 to ${rows - 1}, or an img_id of the store`,
    got: typeof which === 'string' ? `img_id ${JSON.stringify(which)}` : `row number ${which}`,
    hint: typeof which === 'number' ? `if ${which} is an img_id, give it as text: '${which}'` : undefined,
  });
}

/** In a store of numeric ids a number may be the number of one row and the id of another. */
function checkUnambiguous(where: string, number: number, named: number): void {
  if (named < 0 || named === number) return;
  throw new LxmertDataError('ERR_STORE', {
    what: `${number} may be a row number or an img_id`,
    where,
    expected: `row('${number}') for the img_id (row ${named})`,
    got: `row(${number})`,
    hint: `for row number ${number} use sequence(${number}, ${number + 1})`,
  });
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
      boxes: floatColumn(record, 'boxes'),
      ...(hasClasses
        ? {
            objects_id: int64s(record, 'objects_id'),
            attrs_id: int64s(record, 'attrs_id'),
            objects_conf: floatColumn(record, 'objects_conf'),
            attrs_conf: floatColumn(record, 'attrs_conf'),
          }
        : {}),
    };
  });
}

function int64s(record: RowRecord, column: 'objects_id' | 'attrs_id'): BigInt64Array {
  const bytes = recordColumn(record, column);
  return new BigInt64Array(bytes.buffer, bytes.byteOffset, BOXES);
}
