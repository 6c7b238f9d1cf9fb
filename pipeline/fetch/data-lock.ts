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
const entrySchema = v.strictObject({
  ...entryFields,
  location: v.string(),
  /** The file that was converted, where the asset is not kept as it was published. */
  made_from: v.optional(v.strictObject({ name: v.string(), size, sha256 })),
});
/** As releases before 0.2 wrote it. */
const formerEntrySchema = v.pipe(
  v.strictObject({ ...entryFields, place: v.string() }),
  v.transform(({ place, ...entry }) => ({ ...entry, location: place })),
);
const verdictSchema = v.strictObject({
  verdict: v.picklist(['published', 'different']),
  /** Images that were compared with their published rows. */
  images: size,
  date: v.string(),
});
const lockSchema = v.variant('lock_version', [
  v.strictObject({
    lock_version: v.literal(2),
    assets: v.record(v.string(), entrySchema),
    /** What `verify detector` found, by the sha256 of the weights. */
    detectors: v.optional(v.record(sha256, verdictSchema)),
  }),
  v.pipe(
    v.strictObject({ lock_version: v.literal(1), artefacts: v.record(v.string(), formerEntrySchema) }),
    v.transform(({ artefacts }) => ({ lock_version: 2 as const, assets: artefacts, detectors: undefined })),
  ),
]);

export type LockEntry = v.InferOutput<typeof entrySchema>;
export type LockEntries = Readonly<Record<string, LockEntry>>;

export type KnownVerdict = v.InferOutput<typeof verdictSchema>;
type Lock = Pick<v.InferOutput<typeof lockSchema>, 'assets' | 'detectors'>;

/** What the first good copy of each asset was; empty where there is no lock file yet. */
export async function readLock(dataRoot: string): Promise<LockEntries> {
  return (await readWhole(dataRoot)).assets;
}

/** What is known of detectors, by the sha256 of their weights. */
export async function readVerdicts(dataRoot: string): Promise<Readonly<Record<string, KnownVerdict>>> {
  return (await readWhole(dataRoot)).detectors ?? {};
}

async function readWhole(dataRoot: string): Promise<Lock> {
  const path = join(dataRoot, LOCK_NAME);
  let text: string;
  try {
    text = (await readRegular(path, { maxBytes: MAX_BYTES })).toString('utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return { assets: {} };
    throw error;
  }
  try {
    return v.parse(lockSchema, JSON.parse(text));
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
  const lock = await readWhole(dataRoot);
  await writeLock(dataRoot, { ...lock, assets: { ...lock.assets, [name]: entry } });
}

/** Adds or replaces what is known of a detector. */
export async function addVerdict(dataRoot: string, weights: string, verdict: KnownVerdict): Promise<void> {
  const lock = await readWhole(dataRoot);
  await writeLock(dataRoot, { ...lock, detectors: { ...lock.detectors, [weights]: verdict } });
}

async function writeLock(dataRoot: string, { assets, detectors }: Lock): Promise<void> {
  const path = join(dataRoot, LOCK_NAME);
  const lock = {
    lock_version: 2,
    assets: sortKeys(assets),
    ...(detectors === undefined ? {} : { detectors: sortKeys(detectors) }),
  };
  const text = `${JSON.stringify(lock, null, 2)}\n`;
  await writeAtomically(path, 'lock', file => file.writeFile(text), { force: true });
}

function sortKeys<Value>(entries: Readonly<Record<string, Value>>): Record<string, Value> {
  return Object.fromEntries(Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1)));
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
