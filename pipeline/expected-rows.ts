import { readFileSync } from 'node:fs';

/** Rows that a published file must have, by its base name without ending; undefined where nobody counted them. */
export function expectedRows(name: string): number | undefined {
  const table = JSON.parse(
    readFileSync(new URL('../manifests/expected-rows.json', import.meta.url), 'utf8'),
  ) as Record<string, number>;
  return table[name.replace(/\.tsv$/, '')];
}
