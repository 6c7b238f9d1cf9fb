import { datasetOf, type Manifest } from '../manifest/load.ts';
import { selectAssets } from '../manifest/select.ts';

/** The command that fetches these assets of a dataset; those that are there already are only checked. */
export function fetchAgain(dataset: string, names: readonly string[], manifest: Manifest): string {
  const usual = selectAssets(manifest, { datasets: [dataset] });
  const others = names.filter(name => !usual.includes(name));
  const all = selectAssets(manifest, { datasets: [dataset], splits: ['all'] });
  // Of a dataset with many splits, such as images, only those that are lacking.
  if (others.length === 0) return `lxmert-data fetch ${dataset}`;
  if (names.length === all.length) return `lxmert-data fetch ${dataset} --split all`;
  const splits = Object.entries(datasetOf(manifest, dataset).splits)
    .filter(([, assets]) => assets.some(name => names.includes(name)))
    .map(([split]) => split);
  return `lxmert-data fetch ${dataset} --split ${splits.join(',')}`;
}
