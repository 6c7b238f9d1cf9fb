import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import { targetPath } from '../fetch/asset-files.ts';
import { assetOf, datasetOf, type Manifest } from '../manifest/load.ts';
import { fetchData } from '../stages/fetch.ts';
import { verifyImages } from '../stages/verify-images.ts';
import type { CommandContext } from './spec.ts';
import { quoted } from './typed-commands.ts';

const SPLIT = 'nlvr2-hashes';
const MAX_LISTED = 20;

/** Checks NLVR2's images, which come from a form of their authors, by the official average hashes. */
export async function verifyNlvr2Images(
  images: string,
  manifest: Manifest,
  context: CommandContext,
): Promise<boolean> {
  const names = datasetOf(manifest, 'images').splits[SPLIT] ?? [];
  const paths = names.map(name => join(context.data, targetPath(assetOf(manifest, name))));
  if (!paths.every(path => existsSync(path)))
    await fetchData({ datasets: ['images'], splits: [SPLIT], dataRoot: context.data, manifest }, context);
  const hashes = paths.filter(path => existsSync(path));
  if (hashes.length === 0) {
    throw new LxmertDataError('ERR_FETCH', {
      what: 'the official hashes of the images could not be fetched',
      hint: `put ${paths.map(path => path.replace(/.*\//s, '')).join(', ')} of lil-lab/nlvr into ${join(context.data, 'nlvr2/hashes')}`,
    });
  }
  const result = await verifyImages({ images, hashes }, context);
  context.emit({ event: 'result', stage: 'verify', ...result, images });
  const { same, near, wanted, unknown, problems } = result;
  context.show(
    `${images}: ${same} of ${wanted} images have the official hash, ${near} differ as stored anew`,
  );
  if (unknown > 0) context.show(`  ${unknown} other images, of which no hash is known`);
  for (const { image, problem, bits, reason } of problems.slice(0, MAX_LISTED))
    context.show(
      `  ${image}: ${problem}${bits === undefined ? '' : ` in ${bits} of 64 bits`}${reason === undefined ? '' : `: ${reason}`}`,
    );
  if (problems.length > MAX_LISTED)
    context.show(`  … and ${problems.length - MAX_LISTED} more; --json lists all`);
  context.finish(`${images}: ${wanted} images verified${result.ok ? '' : ', WITH PROBLEMS'}`, {
    done: wanted,
    next: result.ok ? `lxmert-data extract nlvr2/train --images ${quoted(images)}` : undefined,
  });
  return result.ok;
}
