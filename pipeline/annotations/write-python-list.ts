import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { type PublishOptions, writeAtomically } from '../files/atomic.ts';
import { formatPythonValue } from './python-json.ts';
import type { PythonValue } from './python-json.ts';

export interface WrittenList {
  readonly records: number;
  readonly sizeBytes: number;
  readonly sha256: string;
}

export interface ListOptions extends PublishOptions {
  readonly check?: ((list: WrittenList, partialPath: string) => Promise<void>) | undefined;
  readonly onRecords?: ((records: number) => void) | undefined;
}

const FLUSH_CHARACTERS = 1 << 20;

/**
 * Writes a list as `json.dump(list, file, indent=4, sort_keys=True)` would, record by record, and names it when
 * complete. `check` sees the complete file under its temporary name and may refuse it; `onRecords` hears now and then how
 * many records were written.
 */
export async function writePythonList(
  path: string,
  batches: AsyncIterable<readonly PythonValue[]>,
  { check, onRecords, ...options }: ListOptions = {},
): Promise<WrittenList> {
  const write = async (file: FileHandle, partialPath: string): Promise<WrittenList> => {
    const list = await writeList(file, batches, onRecords);
    await check?.(list, partialPath);
    return list;
  };
  return await writeAtomically(path, 'json', write, options);
}

async function writeList(
  file: FileHandle,
  batches: AsyncIterable<readonly PythonValue[]>,
  onRecords: ListOptions['onRecords'],
): Promise<WrittenList> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  let records = 0;
  let pending = '[';
  const flush = async (): Promise<void> => {
    const bytes = Buffer.from(pending, 'latin1'); // escaped text is ASCII
    hash.update(bytes);
    await file.writeFile(bytes);
    sizeBytes += bytes.length;
    pending = '';
    onRecords?.(records);
  };
  for await (const batch of batches) {
    for (const record of batch) {
      pending += `${records === 0 ? '' : ','}\n    ${formatPythonValue(record, 1)}`;
      records++;
      if (pending.length >= FLUSH_CHARACTERS) await flush();
    }
  }
  pending += records === 0 ? ']' : '\n]';
  await flush();
  return { records, sizeBytes, sha256: hash.digest('hex') };
}
