import { StoreFile } from '../store/reader.ts';

/** Image ids of a store in row order. Throws ERR_STORE where it is none. */
export async function readStoreIds(path: string): Promise<readonly string[]> {
  const store = await StoreFile.open(path);
  try {
    const bytes = await store.readTensor('img_id', 0, store.rows);
    const width = bytes.length / store.rows;
    return Array.from({ length: store.rows }, (_, row) => {
      const id = bytes.subarray(row * width, (row + 1) * width);
      const end = id.indexOf(0);
      return id.subarray(0, end < 0 ? width : end).toString('utf8');
    });
  } finally {
    await store.close();
  }
}
