import type { Asset, Manifest, Source } from '../manifest/load.ts';
import { storeBytesFor } from '../store/layout.ts';
import { assetOf, getMirror, orderSources } from '../manifest/load.ts';
import { describeSource, downloadPath, targetPath } from './asset-files.ts';
import type { LockEntry } from './data-lock.ts';
import { listRoads, type Road } from './list-roads.ts';

/** What is in place already. */
export interface TargetState {
  readonly sizeBytes?: number | undefined;
  /** For stores: sha256 of the TSV they were made from, as their header has it. */
  readonly contentSha256?: string | undefined;
  /** The detector of a store that was extracted and not downloaded. */
  readonly extracted?: string | undefined;
  /** Of a download that was begun. */
  readonly partialBytes: number;
}

export type FetchAction = 'keep' | 'adopt' | 'fetch' | 'conflict';

export interface PlannedSource {
  readonly mirror: string;
  readonly location: string;
  readonly dead: boolean;
  readonly experimental: boolean;
}

export interface PlannedAsset {
  readonly name: string;
  readonly kind: Asset['kind'];
  readonly file: string;
  readonly action: FetchAction;
  /** Estimated where no size is published; undefined without an estimate. */
  readonly downloadBytes?: number | undefined;
  readonly finalBytes?: number | undefined;
  readonly sources: readonly PlannedSource[];
  /** Every way to it, in the order in which they are tried. */
  readonly roads: readonly Road[];
}

export interface FetchPlan {
  readonly assets: readonly PlannedAsset[];
  readonly files: number;
  readonly downloadBytes: number;
  /** Beyond what is on the disk now, one file after the other. */
  readonly diskPeakBytes: number;
  /** The same where each file is downloaded while the one before it is converted. */
  readonly overlappedPeakBytes: number;
  /** Files of unknown size, which the sums leave out. */
  readonly unknownSizes: number;
}

export interface PlanOptions {
  readonly names: readonly string[];
  readonly mirrors?: readonly string[] | undefined;
  readonly keep: 'zip' | 'tsv' | 'none';
  /** For commands in the plan. */
  readonly dataRoot?: string | undefined;
  readonly lock: Readonly<Record<string, LockEntry>>;
  readonly states: Readonly<Record<string, TargetState>>;
}

/** What a fetch will do, from what the manifest says and what is there. Pure, but for the number of cores in an estimate. */
export function planFetch(manifest: Manifest, options: PlanOptions): FetchPlan {
  const assets = options.names.map(name => planAsset(manifest, name, options));
  const toFetch = assets.filter(({ action }) => action === 'fetch');
  const steps = toFetch.map(planned => planStep(manifest, planned, options));
  // Assets of one archive share its download.
  const downloads = new Map(
    steps.flatMap(({ path, size }) => (path === undefined ? [] : [[path, size] as const])),
  );
  return {
    assets,
    files: toFetch.length,
    downloadBytes: [...downloads.values()].reduce((sum, bytes) => sum + bytes, 0),
    diskPeakBytes: sumPeak(steps, false),
    overlappedPeakBytes: sumPeak(steps, true),
    unknownSizes: toFetch.filter(({ downloadBytes }) => downloadBytes === undefined).length,
  };
}

/** The disk that one asset needs, and for how long. */
function planStep(manifest: Manifest, planned: PlannedAsset, options: PlanOptions): DiskStep {
  const asset = assetOf(manifest, planned.name);
  const source = orderSources(manifest, asset, options.mirrors)[0];
  const size = planned.downloadBytes ?? 0;
  const path = source === undefined ? undefined : downloadPath(asset, source);
  const missing = Math.max(size - (options.states[planned.name]?.partialBytes ?? 0), 0);
  if (asset.kind !== 'features') return { path, size, missing, made: 0, kept: missing };
  const made = planned.finalBytes ?? 0;
  const beside = { zip: missing, tsv: asset.estimate?.tsv_bytes ?? 0, none: 0 };
  return { path, size, missing, made, kept: made + beside[options.keep] };
}

interface DiskStep {
  /** Of the download, shared by the assets of an archive. */
  readonly path: string | undefined;
  readonly size: number;
  /** Still to be downloaded. */
  readonly missing: number;
  /** Written beside the download. */
  readonly made: number;
  /** Stays when the download is gone. */
  readonly kept: number;
}

function sumPeak(steps: readonly DiskStep[], overlaps: boolean): number {
  let before = 0;
  let peak = 0;
  for (const [index, { path, missing, made, kept }] of steps.entries()) {
    const next = steps[index + 1];
    const ahead = overlaps && next !== undefined && next.path !== path ? next.missing : 0;
    peak = Math.max(peak, before + missing + made + ahead, before + kept + ahead);
    before += kept;
  }
  return peak;
}

function planAsset(manifest: Manifest, name: string, options: PlanOptions): PlannedAsset {
  const asset = assetOf(manifest, name);
  const sources = orderSources(manifest, asset, options.mirrors);
  const action = decideAction(options.states[name]!, options.lock[name]);
  return {
    name,
    kind: asset.kind,
    file: targetPath(asset),
    action,
    downloadBytes: sources[0] === undefined ? undefined : estimateDownload(asset, sources[0]),
    finalBytes: estimateFinal(asset),
    sources: sources.map(source => ({
      mirror: source.mirror,
      location: describeSource(source),
      dead: getMirror(manifest, source.mirror).dead !== undefined,
      experimental: getMirror(manifest, source.mirror).experimental === true,
    })),
    roads: listRoads(manifest, name, sources, options.dataRoot ?? 'data'),
  };
}

/** A file in place is kept if it is the locked one, checked and locked if none is, and never replaced. */
export function decideAction(state: TargetState, entry: LockEntry | undefined): FetchAction {
  if (state.sizeBytes === undefined) return 'fetch';
  if (entry === undefined) return 'adopt';
  if (state.contentSha256 !== undefined) return state.contentSha256 === entry.sha256 ? 'keep' : 'conflict';
  return state.sizeBytes === entry.size ? 'keep' : 'conflict';
}

function estimateDownload(asset: Asset, source: Source): number | undefined {
  if (source.size !== undefined) return source.size;
  const { estimate } = asset;
  if (source.get === 'zip-member' || source.get === 'parts-member') return estimate?.zip_bytes;
  if (asset.kind === 'features') return estimate?.tsv_bytes;
  return asset.size ?? estimate?.bytes;
}

function estimateFinal(asset: Asset): number | undefined {
  if (asset.kind !== 'features') return asset.size ?? asset.estimate?.bytes;
  const rows = asset.rows ?? asset.estimate?.rows;
  return rows === undefined ? undefined : storeBytesFor(rows, 'f32');
}
