import { errorText, LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import { checkStore, type StoreCheck } from '../store/check-store.ts';
import { type ExpectedRows, loadExpectedRows } from '../manifest/expected-rows.ts';
import { compareWithSource, type SourceComparison } from '../store/compare-rows.ts';

export interface VerifyStoresOptions {
  /** .safetensors files. */
  readonly stores: readonly string[];
  /** .tsv or .zip files whose rows each store is compared with. */
  readonly against?: readonly string[] | undefined;
  /** The TSV to read inside zips that hold several. */
  readonly member?: string | undefined;
  /** Reading threads; all cores where not given. */
  readonly threads?: number | undefined;
  /** Rows that source files must have, by name. Default: those of the manifest that comes with this package. */
  readonly expectedRows?: ExpectedRows | undefined;
}

/** A store that was read, with what is wrong with it. */
export interface CheckedStore extends StoreCheck {
  readonly error: null;
  readonly against: SourceComparison | null;
}

/** A store that could not be opened or read to its end. */
export interface UnreadableStore {
  readonly ok: false;
  readonly path: string;
  readonly error: string;
}

export type StoreOutcome = CheckedStore | UnreadableStore;

/**
 * Re-reads stores against their checksums, and against the rows they were made from where these are given. A store that
 * cannot be read is an outcome of its own, so that the others are still checked.
 */
export async function verifyStores(
  options: VerifyStoresOptions,
  context: StageContext,
): Promise<readonly StoreOutcome[]> {
  const outcomes: StoreOutcome[] = [];
  for (const path of options.stores) outcomes.push(await verifyOne(path, options, context));
  return outcomes;
}

async function verifyOne(
  path: string,
  options: VerifyStoresOptions,
  context: StageContext,
): Promise<StoreOutcome> {
  try {
    const check = await checkStore(path, context, options.threads);
    const { against: files } = options;
    if (files === undefined) return { ...check, error: null, against: null };
    const against = await compareWithSource(
      path,
      { files, member: options.member, expectedRows: options.expectedRows ?? (await loadExpectedRows()) },
      context,
    );
    return { ...check, ok: check.ok && against.ok, error: null, against };
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof LxmertDataError)) throw error;
    return { ok: false, path, error: errorText(error) };
  }
}

/** Re-reads one store against its checksums; fails with ERR_STORE where its header is not that of a store. */
export async function verifyStore(
  path: string,
  context: StageContext,
  threads?: number,
): Promise<StoreCheck> {
  return await checkStore(path, context, threads);
}
