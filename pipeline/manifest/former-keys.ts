import { isJsonObject, type JsonObject } from '../json.ts';

/** A manifest as it is written now: before version 0.2 the key `assets` was called `artefacts`, in totals too. */
export function withCurrentKeys(manifest: JsonObject): JsonObject {
  const current = renameAssets(manifest);
  const { datasets } = current;
  if (!isJsonObject(datasets)) return current;
  const renamed = Object.entries(datasets).map(([name, dataset]) => [name, withCurrentTotals(dataset)]);
  return { ...current, datasets: Object.fromEntries(renamed) };
}

function withCurrentTotals(dataset: unknown): unknown {
  if (!isJsonObject(dataset) || !Array.isArray(dataset['totals'])) return dataset;
  const totals = dataset['totals'].map((total: unknown) =>
    isJsonObject(total) ? renameAssets(total) : total,
  );
  return { ...dataset, totals };
}

/** With both keys there is no telling which is meant, so that the schema refuses the old one. */
function renameAssets(value: JsonObject): JsonObject {
  if (!('artefacts' in value) || 'assets' in value) return value;
  const { artefacts, ...rest } = value;
  return { ...rest, assets: artefacts };
}
