import { createHash } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { partialPath, publish, removeStalePartials } from '../files/atomic.ts';
import { describeWriteFailure } from '../files/checks.ts';
import { formatPythonValue } from './python-json.ts';
import type { PythonValue } from './python-json.ts';

export interface WrittenList {
  readonly records: number;
  readonly sizeBytes: number;
  readonly sha256: string;
}

const FLUSH_CHARACTERS = 1 << 20;

/** Writes a list as `json.dump(list, file, indent=4, sort_keys=True)` would, record by record, and names it when complete. */
export async function writePythonList(
  path: string,
  batches: AsyncIterable<readonly PythonValue[]>,
): Promise<WrittenList> {
  await removeStalePartials(path);
  const partial = partialPath(path, 'json');
  const hash = createHash('sha256');
  let sizeBytes = 0;
  let records = 0;
  const file = await open(partial, 'wx');
  try {
    let pending = '[';
    const flush = async (): Promise<void> => {
      const bytes = Buffer.from(pending, 'latin1'); // escaped text is ASCII
      hash.update(bytes);
      await file.writeFile(bytes);
      sizeBytes += bytes.length;
      pending = '';
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
    await file.sync();
    await file.close();
    await publish(partial, path);
    return { records, sizeBytes, sha256: hash.digest('hex') };
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(partial, { force: true });
    throw await describeWriteFailure(path, 0, error);
  }
}
