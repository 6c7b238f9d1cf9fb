import { suggest } from '../nearest-name.ts';
import { assetOf } from './load.ts';
import { LxmertDataError } from '../errors.ts';
import type { AssetKind, Manifest } from './load.ts';

export interface Selection {
  readonly datasets: readonly string[];
  /** Absent: each dataset's own default; `all`: every split. */
  readonly splits?: readonly string[] | undefined;
  readonly kinds?: readonly AssetKind[] | undefined;
}

/** Names of the assets that datasets and splits need, each once, small ones first. Throws ERR_USAGE for unknown names. */
export function selectAssets(manifest: Manifest, selection: Selection): readonly string[] {
  const names = new Set<string>();
  const known = new Set<string>();
  for (const name of selection.datasets) {
    const dataset = Object.hasOwn(manifest.datasets, name) ? manifest.datasets[name] : undefined;
    if (dataset === undefined) {
      throw new LxmertDataError('ERR_USAGE', {
        what: `unknown dataset "${name}"`,
        expected: Object.keys(manifest.datasets).join(', '),
        hint: suggest(name, Object.keys(manifest.datasets), 'fetch --list shows them with their splits'),
      });
    }
    for (const split of Object.keys(dataset.splits)) known.add(split);
    const wanted = selection.splits ?? dataset.default_splits;
    const splits = Object.entries(dataset.splits).filter(
      ([split]) => wanted.includes('all') || wanted.includes(split),
    );
    for (const asset of splits.length === 0 ? [] : dataset.common) names.add(asset);
    for (const [, assets] of splits) for (const asset of assets) names.add(asset);
  }
  const unknown = selection.splits?.find(split => split !== 'all' && !known.has(split));
  if (unknown !== undefined) {
    throw new LxmertDataError('ERR_USAGE', {
      what: `no chosen dataset has a split "${unknown}"`,
      expected: `${[...known].join(', ')} or all`,
      hint: suggest(unknown, [...known, 'all']),
    });
  }
  const kinds = selection.kinds;
  return [...names]
    .filter(name => kinds === undefined || kinds.includes(kindFor(manifest, name)))
    .sort((a, b) => sizeRank(manifest, a) - sizeRank(manifest, b));
}

/** Answer tables and vocabularies are JSON and text: they count as `json` for --kind. */
function kindFor(manifest: Manifest, name: string): AssetKind {
  const { kind } = assetOf(manifest, name);
  return kind === 'table' ? 'json' : kind;
}

/** What fails shall fail early: an hour's download comes after the files of seconds. */
function sizeRank(manifest: Manifest, name: string): number {
  const asset = assetOf(manifest, name);
  const rank = ['table', 'json', 'image', 'archive', 'weights', 'features'].indexOf(asset.kind) * 1e12;
  return rank + (asset.estimate?.zip_bytes ?? 0);
}
