import { posix } from 'node:path';
import type { Artefact, Source } from '../manifest/load.ts';
import type { FileShape } from '../net/file-shape.ts';

/** Path of the artefact in its final form, below the data root. */
export function targetPath(artefact: Artefact): string {
  return artefact.kind === 'features' ? `${artefact.target}.safetensors` : artefact.target;
}

/** Where a source's download lies while it is worked on, below the data root; equal for artefacts that share a zip. */
export function downloadPath(artefact: Artefact, source: Source): string {
  const root = `.downloads/${source.mirror}`;
  if (source.get === 'parts-member') return `${root}/${posix.dirname(source.parts)}`;
  const extension = artefact.kind === 'features' && source.get === 'file' ? '.tsv' : '';
  if (source.path !== undefined) return `${root}/${source.path}`;
  if (source.id !== undefined) return `${root}/${source.id}/${posix.basename(artefact.target)}${extension}`;
  return `${root}/${posix.basename(artefact.target)}${extension}`;
}

/** What the first bytes of a source's download must look like. */
export function sourceShape(artefact: Artefact, source: Source): FileShape {
  if (source.get === 'zip-member' || source.get === 'parts-member') return 'zip';
  if (source.get === 'raw') return 'json-lines';
  switch (artefact.kind) {
    case 'features':
      return 'tsv';
    case 'weights':
      return artefact.format;
    case 'json':
      return 'json';
    case 'table':
      return artefact.schema === 'lines' ? 'text' : 'json';
  }
}

/** Where the source says the file is, for people. */
export function describeSourcePlace(source: Source): string {
  return source.get === 'parts-member' ? source.parts : (source.path ?? source.id ?? source.link ?? '');
}

/** The same, with what is taken out of it. */
export function describePlace(source: Source): string {
  const place = describeSourcePlace(source);
  return 'member' in source ? `${place}, ${source.member}` : place;
}
