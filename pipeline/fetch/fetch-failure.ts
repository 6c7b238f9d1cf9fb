import { getMirror } from '../manifest/load.ts';
import type { Asset, Manifest, Source } from '../manifest/load.ts';

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
  const names = new Set(sources.map(source => source.mirror));
  const ways = [...names].flatMap(name => {
    const mirror = getMirror(manifest, name);
    return mirror.manual === undefined || mirror.dead !== undefined
      ? []
      : [`${mirror.title}: ${mirror.manual}`];
  });
  return asset.otherwise === undefined ? ways : [...ways, asset.otherwise];
}
