import { storedFeatureBytes } from '../rows/feature-dtype.ts';
import { imageIdOf, MAX_ID_BYTES, rowCrc, rowCrcOf } from '../rows/row-record.ts';
import { showText } from '../problem.ts';
import { hexCrc } from './header.ts';
import { StoreFile } from './reader.ts';

/** Rows read at a time: small enough to stay in the processor's cache until they are summed. */
const CHUNK_ROWS = 8;

export interface RowRange {
  readonly path: string;
  readonly begin: number;
  readonly count: number;
}

/** An image whose bytes do not have the checksum that the store names for it. */
export interface DamagedImage {
  readonly row: number;
  readonly img_id: string;
  /** Where its features begin in the file. */
  readonly offset: number;
  readonly expected: string;
  readonly got: string;
}

/** Compares each image of a range with its checksum. */
export async function checkRows({ path, begin, count }: RowRange): Promise<readonly DamagedImage[]> {
  const store = await StoreFile.open(path);
  try {
    const columns = store.shape.binaryNames;
    const featureBytes = storedFeatureBytes(store.dtype);
    const features = store.header.tensors.get('features')!;
    const buffers = [0, 1].map(() => Buffer.allocUnsafeSlow(CHUNK_ROWS * featureBytes));
    const records = await store.readRecords(begin, count);
    const damaged: DamagedImage[] = [];
    const read = async (from: number, turn: number): Promise<Buffer> =>
      await store.readTensor('features', from, Math.min(CHUNK_ROWS, begin + count - from), buffers[turn % 2]);
    const check = (bytes: Buffer, row: number): void => {
      const record = records[row - begin]!;
      const got = rowCrc(bytes, record, columns);
      const expected = rowCrcOf(record);
      if (got === expected) return;
      damaged.push({
        row,
        img_id: showText(imageIdOf(record), MAX_ID_BYTES),
        offset: store.header.dataStart + features.begin + row * featureBytes,
        expected: hexCrc(expected),
        got: hexCrc(got),
      });
    };
    let next = read(begin, 0);
    for (let from = begin, turn = 1; from < begin + count; from += CHUNK_ROWS, turn++) {
      const bytes = await next;
      if (from + CHUNK_ROWS < begin + count) next = read(from + CHUNK_ROWS, turn);
      for (let at = 0; at < bytes.length; at += featureBytes)
        check(bytes.subarray(at, at + featureBytes), from + at / featureBytes);
    }
    return damaged;
  } finally {
    await store.close();
  }
}
