import { basename, dirname, join } from 'node:path';
import { type FileDigest } from '../files/digest.ts';
import { findVqaQuestions, planVqa, type VqaFile } from '../annotations/make-vqa.ts';
import { loadVqaRule } from '../annotations/vqa-rule.ts';
import { writePythonList } from '../annotations/write-python-list.ts';
import type { StageContext } from '../events.ts';
import { type Asset, assetOf, type Manifest } from '../manifest/load.ts';
import { MirrorFault } from '../net/mirror-fault.ts';
import { targetPath } from './asset-files.ts';
import { checkContent } from './check-content.ts';
import { lockAsset, type LockOptions } from './lock-asset.ts';
import type { FailedAsset } from './fetch-failure.ts';
import { blameInput, checkLock } from './place-asset.ts';
import { makeFolder } from '../files/make-folder.ts';

export interface MakeOptions extends LockOptions {
  readonly context: StageContext;
}

type MadeAsset = Extract<Asset, { kind: 'json' }> & { readonly make: { readonly from: readonly string[] } };

/** The asset where it can be made of official files; undefined for all others. */
export function findMakeable(manifest: Manifest, name: string): MadeAsset | undefined {
  const asset = assetOf(manifest, name);
  return asset.kind === 'json' && asset.make !== undefined ? { ...asset, make: asset.make } : undefined;
}

/**
 * Makes LXMERT's JSON of official files that are in place. Gives for each `made`, or why it cannot be made; the official
 * annotations are read once for all of them.
 */
export async function makeAssets(
  names: readonly string[],
  options: MakeOptions,
): Promise<ReadonlyMap<string, 'made' | FailedAsset['reasons'][number]>> {
  const files = await orReason(planFiles(names, options));
  const outcomes = new Map<string, 'made' | FailedAsset['reasons'][number]>();
  for (const name of names) {
    // What is wrong with the annotations is wrong for all.
    if ('reason' in files) outcomes.set(name, files);
    else outcomes.set(name, await orReason(makeOne(name, files.get(outputOf(name, options)), options)));
  }
  return outcomes;
}

/** Why it failed, where official files are at fault. */
async function orReason<T>(making: Promise<T>): Promise<T | FailedAsset['reasons'][number]> {
  try {
    return await making.catch(blameInput);
  } catch (error) {
    if (!(error instanceof MirrorFault)) throw error;
    return { mirror: 'made here', location: 'official files', reason: error.message };
  }
}

function outputOf(name: string, { manifest }: MakeOptions): string {
  return basename(targetPath(assetOf(manifest, name)));
}

async function planFiles(
  names: readonly string[],
  options: MakeOptions,
): Promise<ReadonlyMap<string, VqaFile>> {
  const { dataRoot, manifest, context } = options;
  const [official = ''] = names.flatMap(name => findMakeable(manifest, name)?.make.from ?? []);
  const rawDirectory = dirname(join(dataRoot, targetPath(assetOf(manifest, official))));
  const found = await findVqaQuestions(rawDirectory);
  const needs = (output: string): boolean => names.some(name => outputOf(name, options) === output);
  const questions = {
    train: needs('train.json') ? found.train : undefined,
    val: needs('nominival.json') || needs('minival.json') ? found.val : undefined,
    test: needs('test.json') ? found.test : undefined,
  };
  const { signal } = context;
  const files = await planVqa({ rawDirectory, questions, rule: await loadVqaRule(), signal });
  return new Map(files.map(file => [file.output, file]));
}

async function makeOne(
  name: string,
  file: VqaFile | undefined,
  { dataRoot, manifest, lock, context }: MakeOptions,
): Promise<'made'> {
  const asset = findMakeable(manifest, name);
  if (asset === undefined || file === undefined)
    throw new MirrorFault('gone', 'its official questions are not in place');
  const target = join(dataRoot, asset.target);
  await makeFolder(dirname(target));
  const check = async (made: FileDigest, partialPath: string): Promise<void> => {
    await checkContent(partialPath, asset, made);
    checkLock(lock[name], made);
  };
  const { records: total } = asset;
  const onRecords = (done: number): void => {
    if (total === undefined) return;
    context.emit({ event: 'progress', stage: 'fetch', input: name, done, total, unit: 'records' });
  };
  onRecords(0);
  const digest = await writePythonList(target, file.read(context.signal), { check, onRecords });
  context.emit({ event: 'note', message: `${name}: made of the official files, since no mirror has it` });
  const origin = { mirror: 'made', location: asset.make.from.map(path => basename(path)).join(', ') };
  await lockAsset(name, digest, origin, { dataRoot, manifest, lock });
  return 'made';
}
