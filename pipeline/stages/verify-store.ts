import { availableParallelism } from 'node:os';
import { crc32 } from 'node:zlib';
import { LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import { showText } from '../problem.ts';
import { MAX_ID_BYTES } from '../rows/row-record.ts';
import type { StoreMetadata } from '../store/header.ts';
import { hexCrc } from '../store/header.ts';
import { StoreFile } from '../store/reader.ts';
import { ask } from '../workers/answers.ts';
import type { Answer } from '../workers/answers.ts';
import { WorkerPool } from '../workers/pool.ts';
import type { DamagedImage, RowRange } from '../store/check-rows.ts';

/** Rows of one piece of work, about 75 MB. */
const RANGE_ROWS = 256;

export interface VerifyStoreResult {
  readonly ok: boolean;
  readonly path: string;
  readonly rows: number;
  readonly dtype: string;
  readonly metadata: StoreMetadata;
  readonly damaged: readonly DamagedImage[];
  /** Faults that are not of one image: header, checksum table, ids. Each one sentence. */
  readonly faults: readonly string[];
}

/** Re-reads a whole store against its checksums. Throws where its header is no store's. */
export async function verifyStore(
  path: string,
  context: StageContext,
  threads = availableParallelism(),
): Promise<VerifyStoreResult> {
  const store = await StoreFile.open(path);
  try {
    const bytes =
      store.header.dataStart + Math.max(...[...store.header.tensors.values()].map(tensor => tensor.end));
    context.emit({ event: 'start', stage: 'verify', input: path, bytes });
    const faults = await checkTables(store);
    const damaged = await checkAllRows(store, context, Math.min(threads, Math.ceil(store.rows / RANGE_ROWS)));
    const { rows, dtype, metadata } = store;
    return { ok: faults.length === 0 && damaged.length === 0, path, rows, dtype, metadata, damaged, faults };
  } finally {
    await store.close();
  }
}

async function checkTables(store: StoreFile): Promise<string[]> {
  const faults: string[] = [];
  const { metadata } = store;
  if (!store.header.crcAgrees) {
    faults.push(
      `the header does not have its checksum ${metadata['header_crc32'] ?? '(none)'}: it is damaged, or another tool wrote it anew`,
    );
  }
  const place = store.header.tensors.get('source_form');
  let table = crc32(await store.readTensor('crc32', 0, store.rows));
  if (place !== undefined) table = crc32(await store.readTensor('source_form', 0, place.shape[0]!), table);
  if (hexCrc(table) !== metadata['crc32_table']) {
    const tensors = place === undefined ? 'crc32' : 'crc32 and source_form';
    faults.push(
      `${tensors} have the checksum ${hexCrc(table)}, not ${metadata['crc32_table'] ?? '(none)'}: the table is damaged`,
    );
  }
  if (place !== undefined) {
    await store.readSourceForm().catch((error: unknown) => {
      if (!(error instanceof LxmertDataError)) throw error;
      faults.push(`${error.parts.what}: expected ${error.parts.expected ?? 'JSON'}`);
    });
  }
  const seen = new Map<string, number>();
  for (const [row, id] of (await store.readImageIds()).entries()) {
    const first = seen.get(id);
    if (id === '') faults.push(`row ${row} has no img_id`);
    else if (first !== undefined)
      faults.push(`rows ${first} and ${row} have the same img_id ${showText(id, MAX_ID_BYTES)}`);
    seen.set(id, row);
  }
  return faults;
}

async function checkAllRows(
  store: StoreFile,
  context: StageContext,
  threads: number,
): Promise<DamagedImage[]> {
  const workers = new WorkerPool<RowRange, Answer>(import.meta.url, '../store/check-worker', threads);
  let done = 0;
  try {
    const ranges = Array.from({ length: Math.ceil(store.rows / RANGE_ROWS) }, async (_, index) => {
      const begin = index * RANGE_ROWS;
      const count = Math.min(RANGE_ROWS, store.rows - begin);
      const damaged = await ask<RowRange, readonly DamagedImage[]>(workers, {
        path: store.path,
        begin,
        count,
      });
      context.signal.throwIfAborted();
      done += count;
      context.emit({
        event: 'progress',
        stage: 'verify',
        input: store.path,
        done,
        total: store.rows,
        unit: 'images',
      });
      return damaged;
    });
    return (await Promise.all(ranges)).flat();
  } finally {
    await workers.close();
  }
}
