import { posix } from 'node:path';
import { loadManifest } from './load.ts';
import type { Manifest } from './schema.ts';

/** Rows that a file must have, by its name; undefined where that is not known. */
export type ExpectedRows = (name: string) => number | undefined;

/** Rows of a manifest's feature files, by base name with or without `.tsv`. */
export function expectedRowsOf(manifest: Manifest): ExpectedRows {
  const counts = new Map<string, number | undefined>();
  for (const asset of Object.values(manifest.assets)) {
    if (asset.kind === 'features') counts.set(posix.basename(asset.target), asset.rows);
  }
  return name => counts.get(name.replace(/\.tsv$/, ''));
}

/** The counts of the manifest that comes with the tool, and of the user's own manifest files. */
export async function loadExpectedRows(files: readonly string[] = []): Promise<ExpectedRows> {
  return expectedRowsOf(await loadManifest({ files }));
}
