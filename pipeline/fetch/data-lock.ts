import { join } from 'node:path';
import { v } from '../schema.ts';
import { errorText, isErrno, LxmertDataError } from '../errors.ts';
import { writeAtomically } from '../files/atomic.ts';
import { LOCK_NAME } from '../manifest/reserved-names.ts';
import { readRegular } from '../files/open-checked.ts';

/** A thousand entries are a third of a megabyte. */
const MAX_BYTES = 64 << 20;

const sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const size = v.pipe(v.number(), v.integer(), v.minValue(0));

const entryFields = {
  file: v.string(),
  /** Of the file; for features, of the TSV inside, which is the same whichever way it was downloaded. */
  size,
  sha256,
  mirror: v.string(),
  date: v.string(),
};
const entrySchema = v.strictObject({ ...entryFields, location: v.string() });
/** As releases before 0.2 wrote it. */
const formerEntrySchema = v.pipe(
  v.strictObject({ ...entryFields, place: v.string() }),
  v.transform(({ place, ...entry }) => ({ ...entry, location: place })),
);
const lockSchema = v.variant('lock_version', [
  v.strictObject({ lock_version: v.literal(2), assets: v.record(v.string(), entrySchema) }),
  v.pipe(
    v.strictObject({ lock_version: v.literal(1), artefacts: v.record(v.string(), formerEntrySchema) }),
    v.transform(({ artefacts }) => ({ lock_version: 2 as const, assets: artefacts })),
  ),
]);

export type LockEntry = v.InferOutput<typeof entrySchema>;
export type LockEntries = Readonly<Record<string, LockEntry>>;

/** What the first good copy of each asset was; empty where there is no lock file yet. */
export async function readLock(dataRoot: string): Promise<LockEntries> {
  const path = join(dataRoot, LOCK_NAME);
  let text: string;
  try {
    text = (await readRegular(path, { maxBytes: MAX_BYTES })).toString('utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return {};
    throw error;
  }
  try {
    return v.parse(lockSchema, JSON.parse(text)).assets;
  } catch (cause) {
    throw new LxmertDataError('ERR_LOCK', {
      what: 'the lock file is damaged',
      where: path,
      got: errorText(cause),
      hint: 'take it from where it was shared, or delete it to trust the next downloads anew',
      cause,
    });
  }
}

/** Adds or replaces one entry; the file is whole at any moment. */
export async function addToLock(dataRoot: string, name: string, entry: LockEntry): Promise<void> {
  const entries = { ...(await readLock(dataRoot)), [name]: entry };
  const sorted = Object.fromEntries(Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1)));
  const path = join(dataRoot, LOCK_NAME);
  const text = `${JSON.stringify({ lock_version: 2, assets: sorted }, null, 2)}\n`;
  await writeAtomically(path, 'lock', file => file.writeFile(text), { force: true });
}

/** How a copy differs from the locked one, for messages; undefined if it does not, or if none is locked. */
export function describeLockMismatch(
  entry: LockEntry | undefined,
  found: { readonly sizeBytes: number; readonly sha256: string },
): string | undefined {
  if (entry === undefined || (entry.size === found.sizeBytes && entry.sha256 === found.sha256))
    return undefined;
  return `${found.sizeBytes} bytes with sha256 ${found.sha256}; the lock (from ${entry.mirror}, ${entry.date}) has ${entry.size} bytes with ${entry.sha256}`;
}
