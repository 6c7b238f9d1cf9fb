import { dirname, join, relative } from 'node:path';
import { digestFile } from '../files/digest.ts';
import { LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import { assetOf, type Manifest, orderSources, type Source } from '../manifest/load.ts';
import { MirrorFault } from '../net/mirror-fault.ts';
import { checkStore } from '../store/check-store.ts';
import { StoreFile } from '../store/reader.ts';
import { writeTsv } from '../store/write-tsv.ts';
import type { Limit } from '../workers/limit.ts';
import { downloadPath, describeLocation, targetPath } from './asset-files.ts';
import { checkContent } from './check-content.ts';

import type { LockEntries, LockEntry } from './data-lock.ts';
import { lockAsset } from './lock-asset.ts';
import type { Downloader } from './download-source.ts';
import { listManualWays } from './fetch-failure.ts';
import type { FailedAsset } from './fetch-failure.ts';
import { listDownloads } from './leftovers.ts';
import { keepDownload, placeAsset } from './place-asset.ts';
import type { AssetFiles } from './place-asset.ts';
import type { PlannedAsset } from './plan-fetch.ts';
import type { Recognised } from './recognise-folder.ts';
import { readStoreSource } from './target-states.ts';

export type Outcome = 'fetched' | 'present' | FailedAsset;

export interface ObtainOptions {
  readonly dataRoot: string;
  readonly manifest: Manifest;
  readonly mirrors?: readonly string[] | undefined;
  readonly keep?: 'zip' | 'tsv' | 'none' | undefined;
  readonly lock: LockEntries;
  readonly context: StageContext;
  readonly downloader: Downloader;
  /** What the user's own folder holds, and its name; instead of mirrors. */
  readonly own?: { readonly folder: string; readonly found: ReadonlyMap<string, Recognised> } | undefined;
  /** Downloads take turns, and so do conversions; one of each may go on side by side. */
  readonly downloading: Limit;
  readonly placing: Limit;
}

/** Puts one asset in place, from the first mirror that has it, and locks it. Throws only failures that are not a mirror's. */
export async function obtainAsset(
  planned: PlannedAsset,
  later: readonly PlannedAsset[],
  options: ObtainOptions,
): Promise<Outcome> {
  const { name, file, action } = planned;
  const { dataRoot, context, own } = options;
  const path = join(dataRoot, file);
  context.signal.throwIfAborted();
  if (action === 'keep') return 'present';
  if (action === 'conflict') {
    const reason = 'the file in place is not the locked one';
    const manual = `move ${path} away and fetch again; or, if it is the right one, take "${name}" out of the lock file`;
    return { name, reasons: [{ mirror: 'in place', location: path, reason }], manual: [manual] };
  }
  if (action === 'adopt') return options.placing(() => adopt(name, path, options));
  context.emit({ event: 'start', stage: 'fetch', input: name, bytes: planned.downloadBytes ?? 0 });
  if (own === undefined) return tryMirrors(name, later, options);
  return options.placing(() => takeOwn(name, own.folder, own.found.get(name), options));
}

/** Checks and locks a file that the user put in place. */
async function adopt(name: string, path: string, options: ObtainOptions): Promise<Outcome> {
  const { manifest, context } = options;
  const asset = assetOf(manifest, name);
  // The lock is meant to be shared, so it holds no path of this machine.
  const origin = { mirror: 'in place', location: targetPath(asset) };
  try {
    if (asset.kind === 'features') {
      const verified = await checkStore(path, context);
      const store = await readStoreSource(path);
      if (store.isUntrained)
        throw new MirrorFault('wrong-content', 'the store was made with UNTRAINED weights');
      if (!verified.ok) throw new MirrorFault('wrong-content', 'the store is damaged');
      if (asset.rows !== undefined && store.rows !== asset.rows) {
        throw new MirrorFault('wrong-content', `${store.rows} rows, expected ${asset.rows}`);
      }
      const digest = { sizeBytes: store.size, sha256: store.sha256 };
      const made = store.extracted === undefined ? origin : { ...origin, mirror: 'extracted' };
      await lockAsset(name, digest, made, options);
    } else {
      const digest = await digestFile(path, context.signal);
      await checkContent(path, asset, digest);
      await lockAsset(name, digest, origin, options);
    }
    return 'present';
  } catch (error) {
    if (!(error instanceof MirrorFault) && !(error instanceof LxmertDataError)) throw error;
    const reasons = [{ mirror: 'in place', location: path, reason: error.message }];
    return { name, reasons, manual: [`move ${path} away and fetch again`] };
  }
}

async function tryMirrors(
  name: string,
  later: readonly PlannedAsset[],
  options: ObtainOptions,
): Promise<Outcome> {
  const { manifest, context } = options;
  const reasons: FailedAsset['reasons'][number][] = [];
  const sources = orderSources(manifest, assetOf(manifest, name), options.mirrors);
  for (const source of sources) {
    try {
      await takeFrom(name, source, later, options);
      return 'fetched';
    } catch (error) {
      if (!(error instanceof MirrorFault)) throw error;
      const dead = manifest.mirrors[source.mirror]?.dead;
      const known = dead === undefined ? '' : ` (known to be gone since ${dead.since}: ${dead.evidence})`;
      const location = describeLocation(source);
      const reason = { mirror: source.mirror, location, reason: `${error.message}${known}` };
      reasons.push(reason);
      context.emit({ event: 'note', message: `${name}: ${reason.mirror} left: ${reason.reason}` });
    }
  }
  return { name, reasons, manual: listManualWays(manifest, sources, assetOf(manifest, name)) };
}

async function takeFrom(
  name: string,
  source: Source,
  later: readonly PlannedAsset[],
  options: ObtainOptions,
): Promise<void> {
  const { manifest, dataRoot, lock, keep, downloader } = options;
  const asset = assetOf(manifest, name);
  const downloaded = await options.downloading(() => downloader.download(name, asset, source, lock[name]));
  const { paths, digest } = downloaded;
  await options.placing(async () => {
    try {
      const files = {
        get: source.get,
        member: 'member' in source ? source.member : undefined,
        split: source.get === 'raw' ? source.split : undefined,
        paths,
        digest,
        ownedByUser: false,
      };
      await place(name, { mirror: source.mirror, location: describeLocation(source) }, files, options);
    } catch (error) {
      // Complete and wrong: fetching it again would bring the same.
      if (error instanceof MirrorFault) await downloader.discard(downloaded);
      throw error;
    }
    if (isNeeded(downloadPath(asset, source), later, manifest)) return;
    if (asset.kind === 'features' && keep === 'zip' && source.get !== 'file') {
      await keepDownload(paths, join(dataRoot, dirname(asset.target)));
    } else await downloader.discard(downloaded);
  });
}

async function takeOwn(
  name: string,
  folder: string,
  found: Recognised | undefined,
  options: ObtainOptions,
): Promise<Outcome> {
  const { manifest } = options;
  const asset = assetOf(manifest, name);
  const manual = listManualWays(manifest, orderSources(manifest, asset), asset);
  if (found === undefined) {
    return {
      name,
      reasons: [{ mirror: folder, location: '', reason: 'no file in this folder holds it' }],
      manual,
    };
  }
  const { paths } = found;
  try {
    const origin = { mirror: 'own folder', location: relative(folder, paths[0]) };
    await place(name, origin, { ...found, ownedByUser: true }, options);
    return 'fetched';
  } catch (error) {
    if (!(error instanceof MirrorFault)) throw error;
    return { name, reasons: [{ mirror: folder, location: paths.join(', '), reason: error.message }], manual };
  }
}

/** Puts the asset in place, locks it, and writes the TSV where it is to be kept. */
async function place(
  name: string,
  origin: Pick<LockEntry, 'mirror' | 'location'>,
  files: AssetFiles,
  options: ObtainOptions,
): Promise<void> {
  const { manifest, dataRoot, lock, context, keep } = options;
  const asset = assetOf(manifest, name);
  const { madeFrom, ...digest } = await placeAsset({ dataRoot, asset, files, locked: lock[name], context });
  await lockAsset(
    name,
    digest,
    madeFrom === undefined ? origin : { ...origin, made_from: madeFrom },
    options,
  );
  if (asset.kind !== 'features' || keep !== 'tsv') return;
  const target = join(dataRoot, asset.target);
  const store = await StoreFile.open(`${target}.safetensors`);
  await writeTsv(store, `${target}.tsv`, { force: true }, context).finally(() => store.close());
}

function isNeeded(path: string, later: readonly PlannedAsset[], manifest: Manifest): boolean {
  return later.some(
    ({ name, action }) => action === 'fetch' && listDownloads(assetOf(manifest, name)).includes(path),
  );
}
