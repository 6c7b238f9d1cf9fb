import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { LxmertDataError } from '../../errors.ts';
import type { StageContext } from '../../events.ts';
import { digestFile } from '../../files/digest.ts';
import type { ByteSource } from '../../inputs/byte-source.ts';
import { StoreFile } from '../../store/reader.ts';

/**
 * Whether an output was made of just these rows: by a publication that died before it could record so. The output has
 * been renamed as a whole, so what it says of the rows that it was made of holds. Reads all rows where name and size are
 * those of the output, and nothing otherwise.
 */
export async function isMadeOf(out: string, source: ByteSource, context: StageContext): Promise<boolean> {
  const made = await readSource(out, source.name);
  if (made === undefined || made.size !== source.size) return false;
  const message = `${out} is there; comparing it with the rows of this plan`;
  context.emit({ event: 'note', message });
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(1 << 20);
  for (let read = await source.read(chunk); read > 0; read = await source.read(chunk)) {
    context.signal.throwIfAborted();
    hash.update(chunk.subarray(0, read));
  }
  return hash.digest('hex') === (made.sha256 ?? (await digestFile(out, context.signal)).sha256);
}

/** Size and sha256 of the rows that an output was made of; undefined where there is none, or of other rows for certain. */
async function readSource(
  out: string,
  name: string,
): Promise<{ readonly size: number; readonly sha256?: string | undefined } | undefined> {
  const found = await stat(out).catch(() => undefined);
  if (found?.isFile() !== true) return undefined;
  if (out.endsWith('.tsv')) return { size: found.size };
  let store: StoreFile;
  try {
    store = await StoreFile.open(out);
  } catch (error) {
    if (error instanceof LxmertDataError) return undefined;
    throw error;
  }
  const [made, ...others] = store.provenance.sources;
  await store.close();
  if (made?.name !== name || made.size === undefined || made.sha256 === undefined) return undefined;
  return others.length === 0 ? { size: made.size, sha256: made.sha256 } : undefined;
}
