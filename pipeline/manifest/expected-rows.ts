import { readFileSync } from 'node:fs';

interface FeatureManifest {
  readonly assets: Readonly<Record<string, { readonly rows?: number }>>;
}

/** Rows that a published file must have, by its base name without ending; undefined where nobody counted them. */
export function expectedRows(name: string): number | undefined {
  const text = readFileSync(new URL('../../manifests/features.json', import.meta.url), 'utf8');
  const { assets } = JSON.parse(text) as FeatureManifest;
  // NLVR2's files are called train, valid and test only; counts by name alone would fit other files.
  const named = Object.entries(assets).find(([asset]) => asset.split('/')[1] === name.replace(/\.tsv$/, ''));
  return named?.[1].rows;
}
