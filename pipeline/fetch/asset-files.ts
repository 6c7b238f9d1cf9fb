import { posix } from 'node:path';
import type { Asset, Source } from '../manifest/load.ts';
import { DOWNLOADS } from '../manifest/reserved-names.ts';
import type { FileShape } from '../net/file-shape.ts';

/** Folder in the downloads folder for stores that are not in place yet; no mirror can have this name. */
export const STAGING = '.stores';

/** Path of the asset in its final form, below the data root. */
export function targetPath(asset: Asset): string {
  return asset.kind === 'features' ? `${asset.target}.safetensors` : asset.target;
}

/** Where a source is downloaded to, below the data root; equal for assets that share a zip. */
export function downloadPath(asset: Asset, source: Source): string {
  const root = `${DOWNLOADS}/${source.mirror}`;
  if (source.get === 'parts-member') return `${root}/${posix.dirname(source.parts)}`;
  const extension = asset.kind === 'features' && source.get === 'file' ? '.tsv' : '';
  if (source.path !== undefined) return `${root}/${source.path}`;
  const name = source.get === 'weights' ? source.name : `${posix.basename(asset.target)}${extension}`;
  return source.id === undefined ? `${root}/${name}` : `${root}/${source.id}/${name}`;
}

/** What the first bytes of a source's download must look like. */
export function sourceShape(asset: Asset, source: Source): FileShape {
  if (source.get === 'zip-member' || source.get === 'parts-member') return 'zip';
  if (source.get === 'raw') return 'json-lines';
  if (source.get === 'weights') return 'weights';
  return fileShape(asset);
}

/** What an asset's own file begins with. */
function fileShape(asset: Asset): FileShape {
  switch (asset.kind) {
    case 'features':
      return 'tsv';
    case 'weights':
      return asset.format === 'detector' ? 'weights' : asset.format;
    case 'image':
      return 'jpeg';
    case 'archive':
      return 'zip';
    case 'json':
      return 'json';
    case 'table':
      return asset.schema === 'lines' ? 'text' : 'json';
  }
}

/** Where the source says that the file is, for messages. */
export function describeLocation(source: Source): string {
  return source.get === 'parts-member' ? source.parts : (source.path ?? source.id ?? source.link ?? '');
}

/** The same, with what is taken out of it. */
export function describeSource(source: Source): string {
  const location = describeLocation(source);
  return 'member' in source ? `${location}, ${source.member}` : location;
}
