import { suggest } from '../nearest-name.ts';
import { imageSetOf } from './load.ts';
import { LxmertDataError } from '../errors.ts';
import type { Manifest } from './schema.ts';

/** A set of images whose features LXMERT opens under a name of its own. */
export interface ImageSet {
  readonly dataset: string;
  readonly split: string;
  /** Below the data root, without extension: what LXMERT's loaders open (the published scripts write other names). */
  readonly target: string;
  /** Images are in sub-folders too. */
  readonly recursive: boolean;
  /** Folders of the set below a root of images, as LXMERT's README lays them out. */
  readonly folders: readonly string[];
  /** LXMERT JSON below the data root whose images come first, for sets whose order matters. */
  readonly first?: string | undefined;
  /** LXMERT JSON below the data root that names the images, where the folder holds more. */
  readonly only?: string | undefined;
}

/** The set of a dataset that is named alone. */
const DEFAULT_SPLIT = 'all';

/**
 * Finds a set by `dataset/split`, by a dataset whose set is called `all`, or by `split` with `dataset` named apart.
 * Throws ERR_USAGE.
 */
export function findImageSet(manifest: Manifest, name: string, dataset?: string): ImageSet {
  const full = dataset === undefined || name.includes('/') ? name : `${dataset}/${name}`;
  const names = Object.keys(manifest.image_sets);
  const found = [full, `${full}/${DEFAULT_SPLIT}`].find(candidate => names.includes(candidate));
  if (found !== undefined) return describe(manifest, found);
  const datasets = names.filter(known => known.endsWith(`/${name}`)).map(known => known.replace(/\/.*/s, ''));
  const [first] = datasets;
  throw new LxmertDataError('ERR_USAGE', {
    what: first === undefined ? 'there is no such split' : `${name} is a split of ${datasets.join(' and ')}`,
    expected: names.map(known => known.replace(/^custom\/all$/, 'custom')).join(', '),
    got: full,
    hint:
      first === undefined
        ? suggest(full, names)
        : `name the dataset too: --split ${first}/${name}, or --dataset ${first}`,
  });
}

function describe(manifest: Manifest, name: string): ImageSet {
  const [dataset = '', split = ''] = name.split('/');
  const { asset, target = '', recursive = false, folders = [], first, only } = imageSetOf(manifest, name);
  const pathOf = (assetName: string | undefined): string | undefined =>
    assetName === undefined ? undefined : manifest.assets[assetName]?.target;
  return {
    dataset,
    split,
    target: pathOf(asset) ?? target,
    recursive,
    folders,
    first: pathOf(first),
    only: pathOf(only),
  };
}
