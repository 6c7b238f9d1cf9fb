export type Json = Record<string, unknown>;

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A manifest as it is written now: before version 0.2 the key `assets` was called `artefacts`, in totals too. */
export function withCurrentKeys(manifest: Json): Json {
  const current = renameAssets(manifest);
  const { datasets } = current;
  if (!isJson(datasets)) return current;
  const renamed = Object.entries(datasets).map(([name, dataset]) => [name, withCurrentTotals(dataset)]);
  return { ...current, datasets: Object.fromEntries(renamed) };
}

function withCurrentTotals(dataset: unknown): unknown {
  if (!isJson(dataset) || !Array.isArray(dataset['totals'])) return dataset;
  const totals = dataset['totals'].map((total: unknown) => (isJson(total) ? renameAssets(total) : total));
  return { ...dataset, totals };
}

/** With both keys there is no telling which is meant, so that the schema refuses the old one. */
function renameAssets(value: Json): Json {
  if (!('artefacts' in value) || 'assets' in value) return value;
  const { artefacts, ...rest } = value;
  return { ...rest, assets: artefacts };
}
