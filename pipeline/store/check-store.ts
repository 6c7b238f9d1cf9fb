import { availableParallelism } from 'node:os';
import { crc32 } from 'node:zlib';
import { LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import { showText } from '../problem.ts';
import { MAX_ID_BYTES } from '../rows/row-record.ts';
import { type Answer, ask } from '../workers/answers.ts';
import { WorkerPool } from '../workers/pool.ts';
import type { DamagedImage, RowRange } from './check-rows.ts';
import { hexCrc } from './header.ts';
import type { Provenance, RawMetadata } from './metadata.ts';
import { StoreFile } from './reader.ts';

/** Rows of one piece of work, about 75 MB. */
const RANGE_ROWS = 256;

export interface StoreCheck {
  readonly ok: boolean;
  readonly path: string;
  readonly rows: number;
  readonly dtype: string;
  readonly metadata: RawMetadata;
  readonly provenance: Provenance;
  readonly damaged: readonly DamagedImage[];
  /** Faults that are not of one image: header, checksum table, ids. Each one sentence. */
  readonly faults: readonly string[];
}

/** Re-reads a whole store against its checksums. Fails with ERR_STORE where the header is not that of a store. */
export async function checkStore(
  path: string,
  context: StageContext,
  threads = availableParallelism(),
): Promise<StoreCheck> {
  const store = await StoreFile.open(path);
  try {
    context.emit({ event: 'start', stage: 'verify', input: path, bytes: store.header.bytes });
    const faults = [...(await checkTables(store)), ...(await checkIds(store))];
    const damaged = await checkAllRows(store, context, Math.min(threads, Math.ceil(store.rows / RANGE_ROWS)));
    const { rows, dtype } = store;
    const { metadata, provenance } = store.header;
    const ok = faults.length === 0 && damaged.length === 0;
    return { ok, path, rows, dtype, metadata, provenance, damaged, faults };
  } finally {
    await store.close();
  }
}

async function checkTables(store: StoreFile): Promise<string[]> {
  const faults: string[] = [];
  const { metadata, crcAgrees, tensors } = store.header;
  if (!crcAgrees) {
    faults.push(
      `the header does not match its checksum ${metadata['header_crc32'] ?? '(missing)'}: it is damaged, or another tool rewrote it`,
    );
  }
  const form = tensors.get('source_form');
  let table = crc32(await store.readTensor('crc32', 0, store.rows));
  if (form !== undefined) table = crc32(await store.readTensor('source_form', 0, form.shape[0]!), table);
  const expected = metadata['crc32_table'] ?? '(missing)';
  if (hexCrc(table) !== expected) {
    const names = form === undefined ? 'crc32 has' : 'crc32 and source_form have';
    faults.push(`${names} the checksum ${hexCrc(table)}, expected ${expected}: the table is damaged`);
  }
  if (form !== undefined) {
    await store.readSourceForm().catch((error: unknown) => {
      if (!(error instanceof LxmertDataError)) throw error;
      faults.push(`${error.parts.what}: expected ${error.parts.expected ?? 'JSON'}`);
    });
  }
  return faults;
}

async function checkIds(store: StoreFile): Promise<string[]> {
  const faults: string[] = [];
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
  const workers = new WorkerPool<RowRange, Answer>(import.meta.url, './check-worker', threads);
  const { path, rows } = store;
  let done = 0;
  const check = async (begin: number): Promise<readonly DamagedImage[]> => {
    const count = Math.min(RANGE_ROWS, rows - begin);
    const damaged = await ask<RowRange, readonly DamagedImage[]>(workers, { path, begin, count });
    context.signal.throwIfAborted();
    done += count;
    context.emit({
      event: 'progress',
      stage: 'verify',
      input: path,
      done,
      total: rows,
      unit: 'images',
    });
    return damaged;
  };
  try {
    const begins = Array.from({ length: Math.ceil(rows / RANGE_ROWS) }, (_, index) => index * RANGE_ROWS);
    return (await Promise.all(begins.map(check))).flat();
  } finally {
    await workers.close();
  }
}
