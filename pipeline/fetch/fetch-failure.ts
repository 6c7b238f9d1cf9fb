import { getMirror } from '../manifest/load.ts';
import type { Asset, Manifest, Mirror, Source } from '../manifest/load.ts';

export interface FailedAsset {
  readonly name: string;
  /** One a mirror that was tried. */
  readonly reasons: readonly {
    readonly mirror: string;
    readonly location: string;
    readonly reason: string;
  }[];
  /** What a person can do. */
  readonly manual: readonly string[];
}

/** Lines for people: every mirror with its reason, then what is left to do by hand. */
export function describeFailed({ name, reasons, manual }: FailedAsset): string[] {
  return [
    `${name} could not be downloaded`,
    ...reasons.map(({ mirror, location, reason }) => `  ${mirror} (${location}): ${reason}`),
    ...manual.map(way => `  by hand: ${way}`),
  ];
}

/** How a person gets at the files of these sources, one way a living mirror, and what is left where all are gone. */
export function listManualWays(
  manifest: Manifest,
  sources: readonly Source[],
  asset: Pick<Asset, 'otherwise'> = {},
): string[] {
  const ways = sources.flatMap(source => {
    const mirror = getMirror(manifest, source.mirror);
    return mirror.manual === undefined || mirror.dead !== undefined
      ? []
      : [`${mirror.title}: ${withAddress(mirror.manual, mirror, source)}`];
  });
  return [...new Set(asset.otherwise === undefined ? ways : [...ways, asset.otherwise])];
}

/** The mirror's own words with the address, link or id of this file in them. */
function withAddress(manual: string, mirror: Mirror, source: Source): string {
  // Parts of a cut zip are named by their folder and first name.
  const { path, id, link } =
    source.get === 'parts-member' ? { path: source.parts, id: undefined, link: undefined } : source;
  const url =
    link ?? (mirror.base === undefined || path === undefined ? undefined : new URL(path, mirror.base).href);
  const named = url === undefined ? manual : manual.replace(/\bthe (address|link)\b/, url);
  const file = path === undefined ? named : named.replace('download the file', `download ${path}`);
  return id === undefined ? file : file.replace('/d/ID/view with the id of the file', `/d/${id}/view`);
}
