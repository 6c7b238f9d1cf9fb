import { assetOf } from '../manifest/load.ts';
import { join } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import { DOWNLOADS } from '../manifest/reserved-names.ts';
import { readLock } from '../fetch/data-lock.ts';
import type { LockEntries } from '../fetch/data-lock.ts';
import { checkOnline } from '../fetch/check-online.ts';
import { decideOverlap, findFreeBytes } from '../fetch/disk-space.ts';
import { Downloader } from '../fetch/download-source.ts';
import type { DownloaderOptions } from '../fetch/download-source.ts';
import { describeFailed } from '../fetch/fetch-failure.ts';
import type { FailedAsset } from '../fetch/fetch-failure.ts';
import { listDownloads, removeEmptyFolders, removeLeftovers } from '../fetch/leftovers.ts';
import { findMakeable, makeAssets } from '../fetch/make-asset.ts';
import { obtainAsset } from '../fetch/obtain-asset.ts';
import type { ObtainOptions, Outcome } from '../fetch/obtain-asset.ts';
import { planFetch } from '../fetch/plan-fetch.ts';
import type { FetchPlan, PlannedAsset } from '../fetch/plan-fetch.ts';
import { recogniseFolder, type UnusableFile } from '../fetch/recognise-folder.ts';
import { runOverlapping } from '../fetch/run-overlapping.ts';
import { type Limit, makeLimit } from '../workers/limit.ts';
import { selectAssets } from '../manifest/select.ts';
import type { Selection } from '../manifest/select.ts';
import { claimDataRoot } from '../fetch/single-run.ts';
import { readTargetStates } from '../fetch/target-states.ts';
import type { Manifest } from '../manifest/load.ts';
import { makeFolder } from '../files/make-folder.ts';

export interface FetchOptions extends Selection {
  readonly dataRoot: string;
  readonly manifest: Manifest;
  readonly mirrors?: readonly string[] | undefined;
  readonly keep?: 'zip' | 'tsv' | 'none' | undefined;
  readonly connections?: number | undefined;
  /** Take only what the lock file names, exactly as it names it. */
  readonly frozen?: boolean | undefined;
  /** A folder of files that the user downloaded by hand, instead of mirrors. */
  readonly from?: string | undefined;
  readonly environment?: NodeJS.ProcessEnv | undefined;
  readonly transfer?: DownloaderOptions['transfer'];
  /** Runs conversions, one at a time by default; others may share the limit. */
  readonly placing?: Limit | undefined;
}

export interface FetchResult {
  readonly ok: boolean;
  readonly fetched: readonly string[];
  /** In place before, and as locked. */
  readonly present: readonly string[];
  readonly failed: readonly FailedAsset[];
  /** Files of `from` with a published name that cannot be used, and why. */
  readonly unusable: readonly UnusableFile[];
}

export interface FetchPreview extends FetchPlan {
  /** null where the file system does not say. */
  readonly diskFreeBytes: number | null;
  /** Whether the disk has room for it, as far as is known. */
  readonly fits: boolean;
  /** Files of `from` that would be taken, by asset. */
  readonly taken: Readonly<Record<string, readonly string[]>>;
  readonly unusable: readonly UnusableFile[];
}

/** What `fetch` would do, without doing it. */
export async function previewFetch(
  options: FetchOptions,
  context: Pick<StageContext, 'emit' | 'signal'>,
): Promise<FetchPreview> {
  const { own, unusable, names } = await readRequest(options, context);
  const plan = await makePlan(options, names, await readLock(options.dataRoot));
  const diskFreeBytes = await findFreeBytes(options.dataRoot);
  const fits = own !== undefined || diskFreeBytes === null || plan.diskPeakBytes <= diskFreeBytes;
  const found = [...(own?.found ?? [])].filter(([name]) => names.includes(name));
  const taken = Object.fromEntries(found.map(([name, { paths }]) => [name, paths]));
  return { ...plan, diskFreeBytes, fits, taken, unusable };
}

/** The assets that are asked for, and what the user's own folder has of them. */
async function readRequest(
  options: FetchOptions,
  context: Pick<StageContext, 'emit' | 'signal'>,
): Promise<Pick<ObtainOptions, 'own'> & { names: readonly string[]; unusable: readonly UnusableFile[] }> {
  const { from, manifest } = options;
  if (from === undefined) return { own: undefined, unusable: [], names: selectNames(options) };
  const { found, unusable } = await recogniseFolder(from, manifest, context);
  const names = options.datasets.length === 0 ? [...found.keys()] : selectNames(options);
  return { own: { folder: from, found }, unusable, names };
}

/**
 * Downloads datasets to the data root: each file from the first mirror that has it, checked, put in place, and locked.
 * While one file is converted the next is downloaded, where the disk has room for both. A file that cannot be downloaded
 * does not stop the others; the result names it with every mirror's reason.
 */
export async function fetchData(options: FetchOptions, context: StageContext): Promise<FetchResult> {
  const { dataRoot, manifest } = options;
  await makeFolder(dataRoot);
  const release = await claimDataRoot(dataRoot);
  try {
    const lock = await readLock(dataRoot);
    const { own, unusable, names } = await readRequest(options, context);
    if (options.frozen === true) checkFrozen(names, lock);
    const plan = await makePlan(options, names, lock);
    const run = { ...options, lock, own };
    const obtained = await obtainPlanned(plan, run, context);
    const outcomes = await makeFailed(plan, obtained, run, context);
    const failed = outcomes.filter(outcome => typeof outcome === 'object');
    const namesOf = (wanted: Outcome): string[] =>
      plan.assets.filter((_planned, index) => outcomes[index] === wanted).map(({ name }) => name);
    const [fetched, present] = [namesOf('fetched'), namesOf('present')];
    await removeLeftovers(manifest, dataRoot, [...fetched, ...present]);
    const ok = failed.length === 0 && unusable.length === 0;
    return { ok, fetched, present, failed, unusable };
  } finally {
    await removeEmptyFolders(join(dataRoot, DOWNLOADS));
    await release();
  }
}

type RunOptions = FetchOptions & Pick<ObtainOptions, 'lock' | 'own'>;

async function obtainPlanned(
  plan: FetchPlan,
  options: RunOptions,
  context: StageContext,
): Promise<Outcome[]> {
  const { dataRoot, own } = options;
  if (own === undefined) {
    const sources = plan.assets.flatMap(asset => (asset.action === 'fetch' ? asset.sources : []));
    const mirrors = [...new Set(sources.map(({ mirror }) => mirror))];
    await checkOnline(options.manifest, mirrors, options.environment ?? process.env);
  }
  const overlaps = own === undefined && decideOverlap(plan, await findFreeBytes(dataRoot), dataRoot);
  return await obtainAll(plan, overlaps ? 2 : 1, options, context);
}

/** Makes what no mirror has of official files, which are fetched for it. */
async function makeFailed(
  plan: FetchPlan,
  outcomes: readonly Outcome[],
  options: RunOptions,
  context: StageContext,
): Promise<Outcome[]> {
  const { manifest, dataRoot } = options;
  const names = plan.assets.map(({ name }) => name);
  const missing = names.filter(
    (name, index) => typeof outcomes[index] === 'object' && findMakeable(manifest, name) !== undefined,
  );
  if (missing.length === 0 || options.frozen === true) return [...outcomes];
  const official = [...new Set(missing.flatMap(name => findMakeable(manifest, name)?.make.from ?? []))];
  const message = `no mirror has ${missing.join(', ')}: made of ${official.length} official files instead`;
  context.emit({ event: 'note', message });
  const lock = await readLock(dataRoot);
  const needed = await makePlan(options, official, lock);
  const fetched = await obtainPlanned(needed, { ...options, lock }, context);
  const lost = new Map(
    official.flatMap((name, index): [string, Outcome][] => {
      const outcome = fetched[index];
      return typeof outcome === 'object' ? [[name, outcome]] : [];
    }),
  );
  const possible = missing.filter(
    name => !findMakeable(manifest, name)!.make.from.some(from => lost.has(from)),
  );
  const made =
    possible.length === 0 ? undefined : await makeAssets(possible, { dataRoot, manifest, lock, context });
  return outcomes.map((outcome, index): Outcome => {
    const name = names[index]!;
    if (typeof outcome !== 'object' || !missing.includes(name)) return outcome;
    const result = made?.get(name);
    if (result === 'made') return 'fetched';
    const from = findMakeable(manifest, name)!.make.from.filter(file => lost.has(file));
    const reason = result ?? {
      mirror: 'made here',
      location: 'official files',
      reason: `could not be fetched: ${from.join(', ')}`,
    };
    const failed = { ...outcome, reasons: [...outcome.reasons, reason] };
    context.emit({ event: 'warning', message: describeFailed(failed).join('\n') });
    return failed;
  });
}

async function obtainAll(
  plan: FetchPlan,
  concurrency: number,
  options: RunOptions,
  context: StageContext,
): Promise<Outcome[]> {
  const { dataRoot, manifest, connections, transfer } = options;
  const environment = options.environment ?? process.env;
  const abort = new AbortController();
  const inner = { emit: context.emit, signal: AbortSignal.any([context.signal, abort.signal]) };
  const downloader = new Downloader({
    dataRoot,
    manifest,
    connections,
    environment,
    context: inner,
    transfer,
  });
  const limits = { downloading: makeLimit(1), placing: options.placing ?? makeLimit(1) };
  const conflicts = (a: PlannedAsset, b: PlannedAsset): boolean => {
    const downloads = listDownloads(assetOf(manifest, a.name));
    return listDownloads(assetOf(manifest, b.name)).some(path => downloads.includes(path));
  };
  try {
    return await runOverlapping(
      plan.assets,
      { concurrency, conflicts, onFailure: error => abort.abort(error) },
      async (planned, later) => {
        const outcome = await obtainAsset(planned, later, {
          ...options,
          ...limits,
          downloader,
          context: inner,
        });
        // What can be made is not lost yet.
        const isLost = options.frozen === true || findMakeable(manifest, planned.name) === undefined;
        if (typeof outcome === 'object' && isLost)
          context.emit({ event: 'warning', message: describeFailed(outcome).join('\n') });
        return outcome;
      },
    );
  } finally {
    downloader.close();
  }
}

async function makePlan(
  options: FetchOptions,
  names: readonly string[],
  lock: LockEntries,
): Promise<FetchPlan> {
  const states = await readTargetStates(options, names);
  const { mirrors, keep = 'none' } = options;
  return planFetch(options.manifest, { names, mirrors, keep, lock, states, dataRoot: options.dataRoot });
}

function selectNames(options: FetchOptions): readonly string[] {
  if (options.datasets.length > 0) return selectAssets(options.manifest, options);
  throw new LxmertDataError('ERR_USAGE', {
    what: 'no dataset given',
    expected: Object.keys(options.manifest.datasets).join(', '),
    hint: 'for example: fetch vqa',
  });
}

function checkFrozen(names: readonly string[], lock: LockEntries): void {
  const missing = names.filter(name => !Object.hasOwn(lock, name));
  if (missing.length === 0) return;
  throw new LxmertDataError('ERR_LOCK', {
    what: '--frozen takes only what the lock file names',
    got: `not in it: ${missing.join(', ')}`,
    hint: 'fetch once without --frozen, or put the shared lock file into the data folder',
  });
}
