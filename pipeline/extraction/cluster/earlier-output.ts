import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { LxmertDataError } from '../../errors.ts';
import type { StageContext } from '../../events.ts';
import { digestFile } from '../../files/digest.ts';
import type { ByteSource } from '../../inputs/byte-source.ts';
import { StoreFile } from '../../store/reader.ts';

/**
 * Whether the file at `out` was published from the rows of this plan, by a process that died before it recorded the
 * publication. A file gets its final name only when it is complete, so the source that it names can be trusted. `open`
 * opens the rows, called `name`: they are hashed if the file names a source of that name and size, and not read otherwise.
 */
export async function isMadeOf(
  out: string,
  name: string,
  open: () => Promise<ByteSource & { readonly close: () => Promise<void> }>,
  context: StageContext,
): Promise<boolean> {
  const made = await readSource(out, name);
  if (made === undefined) return false;
  const source = await open();
  try {
    return made.size === source.size && (await hashEquals(out, made, source, context));
  } finally {
    await source.close();
  }
}

interface MadeOf {
  readonly size: number;
  /** Undefined for a TSV, which is its own source. */
  readonly sha256?: string | undefined;
}

async function hashEquals(
  out: string,
  made: MadeOf,
  source: ByteSource,
  context: StageContext,
): Promise<boolean> {
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

/**
 * Returns the size and sha256 of the rows that the file at `out` was made from. Returns undefined if there is no such file,
 * if it cannot be read as a store, or if its only source is not called `name`.
 */
async function readSource(out: string, name: string): Promise<MadeOf | undefined> {
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
