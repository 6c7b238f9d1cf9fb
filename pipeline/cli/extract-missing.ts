import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import { withArchives } from '../extraction/image-archives.ts';
import { planExtraction } from '../extraction/plan-extraction.ts';
import { targetPath } from '../fetch/asset-files.ts';
import { readVerdicts } from '../fetch/data-lock.ts';
import { findExtraction } from '../fetch/list-roads.ts';
import { findImageSet } from '../manifest/image-sets.ts';
import { assetOf, type Manifest } from '../manifest/load.ts';
import { extract } from '../stages/extract.ts';
import { fetchData, type FetchOptions } from '../stages/fetch.ts';
import { chooseBackend } from './choose-extractor.ts';
import { findTrainedWeights } from './inputs.ts';
import type { CommandContext } from './spec.ts';

/**
 * Computes the features that no mirror has: fetches the images and the detector, and extracts. Takes days for a whole
 * set, and goes on where it was interrupted. Returns the names of those that were made; the others' reasons are printed.
 */
export async function extractMissing(
  names: readonly string[],
  options: FetchOptions,
  context: CommandContext,
): Promise<readonly string[]> {
  const made: string[] = [];
  for (const name of names) {
    const found = findExtraction(options.manifest, name);
    if (found === undefined || assetOf(options.manifest, name).kind !== 'features') continue;
    try {
      await extractOne(found, options, context);
      made.push(name);
    } catch (error) {
      context.signal.throwIfAborted();
      if (!(error instanceof LxmertDataError)) throw error;
      context.error(error.message);
    }
  }
  return made;
}

async function extractOne(
  { set, images }: { readonly set: string; readonly images: string | undefined },
  options: FetchOptions,
  context: CommandContext,
): Promise<void> {
  const { manifest, dataRoot } = options;
  if (images === undefined) {
    throw new LxmertDataError('ERR_FETCH', {
      what: `the images of ${set} cannot be fetched: their publisher hands them out after a form`,
      hint: `get them as LXMERT's README says, then: lxmert-data extract ${set} --images DIR`,
    });
  }
  const folder = join(dataRoot, targetPath(assetOf(manifest, images)));
  if (!existsSync(folder)) await fetchOrFail(...datasetOf(manifest, images), options, context);
  if (!existsSync(findTrainedWeights(dataRoot))) await fetchOrFail('detector', 'weights', options, context);
  const backend = await chooseBackend({}, context);
  context.emit({ event: 'note', message: `${set}: extracted with backend ${backend.name}: ${backend.why}` });
  const plan = await planExtraction(
    {
      split: findImageSet(manifest, set),
      images: folder,
      data: dataRoot,
      verdicts: await readVerdicts(dataRoot),
    },
    context,
  );
  const result = await extract({ plan, extractors: await withArchives(plan, backend.prepare) }, context);
  if (result.ok) return;
  throw new LxmertDataError('ERR_EXTRACTOR', {
    what: `${result.missing.length} images of ${set} have no row`,
    where: plan.out,
    got: result.missing
      .slice(0, 3)
      .map(({ img_id: id, reason }) => `${id}: ${reason}`)
      .join('; '),
    hint: `lxmert-data extract ${set} --images ${folder} goes on, and --skip-bad leaves them out`,
  });
}

async function fetchOrFail(
  dataset: string,
  split: string,
  options: FetchOptions,
  context: CommandContext,
): Promise<void> {
  const result = await fetchData(
    { ...options, datasets: [dataset], splits: [split], kinds: undefined },
    context,
  );
  if (result.ok) return;
  throw new LxmertDataError('ERR_FETCH', {
    what: `${dataset}/${split} is needed for the extraction and could not be fetched`,
    got: result.failed.flatMap(({ reasons }) => reasons.map(({ mirror }) => mirror)).join(', '),
    hint: `the reasons stand above; with the files at hand: lxmert-data fetch ${dataset}/${split} --from DIR`,
  });
}

function datasetOf(manifest: Manifest, asset: string): readonly [dataset: string, split: string] {
  for (const [dataset, { splits }] of Object.entries(manifest.datasets)) {
    const split = Object.entries(splits).find(([, names]) => names.includes(asset));
    if (split !== undefined) return [dataset, split[0]];
  }
  throw new RangeError(`no dataset has ${asset}`);
}
