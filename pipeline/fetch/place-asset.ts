import { mkdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type FileDigest, digestFile, digestHandle } from '../files/digest.ts';
import { LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import { copyAtomically, moveAtomically } from '../files/atomic.ts';
import { openWeights } from '../detector/model/open-weights.ts';
import { writeDetectorWeights } from '../detector/model/write-weights.ts';
import { readNlvr2 } from '../annotations/raw-files.ts';
import { writePythonList } from '../annotations/write-python-list.ts';
import { openTsvFile } from '../inputs/tsv-file.ts';
import { openZipMember } from '../inputs/zip-member.ts';
import type { Asset, Source } from '../manifest/load.ts';
import { MirrorFault } from '../net/mirror-fault.ts';
import { buildStore, type BuildResult } from '../store/build-store.ts';
import { checkStore } from '../store/check-store.ts';
import { DOWNLOADS } from '../manifest/reserved-names.ts';
import { STAGING, targetPath } from './asset-files.ts';
import { checkContent, describeDoubt } from './check-content.ts';
import { describeLockMismatch } from './data-lock.ts';
import type { LockEntry } from './data-lock.ts';

/** Files that hold an asset, and how. */
export interface AssetFiles {
  readonly get: Source['get'];
  readonly member?: string | undefined;
  readonly split?: 'train' | 'valid' | 'test' | undefined;
  /** The file, or the parts of a zip in their order. */
  readonly paths: readonly [string, ...string[]];
  /** Digest of the only file, where it is known already. */
  readonly digest?: FileDigest | undefined;
  /** They are read and left where they are; downloads are moved. */
  readonly ownedByUser: boolean;
}

export interface PlaceOptions {
  readonly dataRoot: string;
  readonly asset: Asset;
  readonly files: AssetFiles;
  readonly locked: LockEntry | undefined;
  readonly context: StageContext;
}

/** The file in place: size and sha256 of it, for features of the TSV inside; and what it was converted from. */
export interface PlacedFile extends FileDigest {
  readonly madeFrom?: LockEntry['made_from'];
}

type FeatureAsset = Extract<Asset, { kind: 'features' }>;
type PlainAsset = Exclude<Asset, FeatureAsset>;

/**
 * Checks files that hold an asset, and puts it in place. Throws MirrorFault where they are not the asset; nothing has the
 * final name before all checks have passed.
 */
export async function placeAsset(options: PlaceOptions): Promise<PlacedFile> {
  const { asset, files, dataRoot } = options;
  const target = join(dataRoot, targetPath(asset));
  await mkdir(dirname(target), { recursive: true });
  if (asset.kind === 'features') return await placeStore(asset, target, options);
  if (files.get === 'raw') return await makeFile(asset, target, options);
  if (files.get === 'file') return await placeFile(asset, target, options);
  if (files.get === 'weights') return await convertWeights(target, options);
  throw new MirrorFault('unsupported', `${asset.kind} inside a zip`);
}

/** The file as it is. */
async function placeFile(
  asset: PlainAsset,
  target: string,
  { files, locked, context }: PlaceOptions,
): Promise<FileDigest> {
  const path = files.paths[0];
  const digest = files.digest ?? (await digestFile(path, context.signal));
  await checkContent(path, asset, digest);
  checkLock(locked, digest);
  const doubt = describeDoubt(asset, digest);
  if (doubt !== undefined) context.emit({ event: 'warning', message: `${asset.target}: ${doubt}` });
  if (files.ownedByUser) await copyIn(path, target, digest);
  else await moveAtomically(path, target);
  return digest;
}

/** A JSON made from the official raw file. */
async function makeFile(
  asset: PlainAsset,
  target: string,
  { files, locked, context }: PlaceOptions,
): Promise<FileDigest> {
  const records = readNlvr2(files.paths[0], files.split ?? 'train', context.signal);
  const check = async (made: FileDigest, partialPath: string): Promise<void> => {
    await checkContent(partialPath, asset, made);
    checkLock(locked, made);
  };
  const made = await writePythonList(target, records, { check }).catch(blameInput);
  return { sizeBytes: made.sizeBytes, sha256: made.sha256 };
}

/** The detector's weights in its one canonical form, whichever program's file they came in. */
async function convertWeights(target: string, { files, locked, context }: PlaceOptions): Promise<PlacedFile> {
  const path = files.paths[0];
  const { sizeBytes, sha256 } = files.digest ?? (await digestFile(path, context.signal));
  const weights = await openWeights(path).catch(blameInput);
  try {
    const check = (written: FileDigest): void => checkLock(locked, written);
    const written = await writeDetectorWeights(target, weights, { check }).catch(blameInput);
    const form = weights.layout === 'caffe' ? weights.form : `${weights.form}, ${weights.layout}'s layout`;
    context.emit({ event: 'note', message: `${basename(path)} (${form}) was made ${basename(target)}` });
    if (weights.boxes === 'undecided') {
      const message = `whether ${basename(path)} holds LXMERT's 36-box detector is not known; before you extract, prove it: lxmert-data verify detector`;
      context.emit({ event: 'warning', message });
    }
    return { ...written, madeFrom: { name: basename(path), size: sizeBytes, sha256 } };
  } finally {
    await weights.close();
  }
}

/** A store of the rows in the files: made under another name, read again from the disk, and only then moved. */
async function placeStore(
  asset: FeatureAsset,
  target: string,
  { files, dataRoot, locked, context }: PlaceOptions,
): Promise<FileDigest> {
  const staged = join(dataRoot, DOWNLOADS, STAGING, basename(target));
  await mkdir(dirname(staged), { recursive: true });
  await rm(staged, { force: true });
  try {
    const result = await convertInto(staged, files, context).catch(blameInput);
    const digest = checkResult(result, asset);
    checkLock(locked, digest);
    await checkReadsBack(staged, context);
    await moveAtomically(staged, target);
    return digest;
  } finally {
    await rm(staged, { force: true });
  }
}

async function convertInto(
  store: string,
  { get, paths, member }: AssetFiles,
  context: StageContext,
): Promise<BuildResult> {
  const source = get === 'file' ? await openTsvFile(paths[0]) : await openZipMember(paths, member);
  try {
    return await buildStore([source], { out: store, dtype: 'f32', skipBad: false, force: true }, context);
  } finally {
    await source.close();
  }
}

function checkResult({ ok, errors, rows, sources }: BuildResult, asset: FeatureAsset): FileDigest {
  if (!ok) throw new MirrorFault('wrong-content', `${errors} problems in its rows; they are listed above`);
  if (asset.rows !== undefined && rows !== asset.rows) {
    throw new MirrorFault('wrong-content', `${rows} rows, expected ${asset.rows}`);
  }
  const [source] = sources;
  return { sizeBytes: source?.size ?? 0, sha256: source?.sha256 ?? '' };
}

async function checkReadsBack(store: string, context: StageContext): Promise<void> {
  const { ok } = await checkStore(store, context);
  if (ok) return;
  throw new LxmertDataError('ERR_IO', {
    what: 'the store just written does not read back as it was written',
    where: store,
    hint: 'the disk or the memory of this machine is at fault; check them before you continue',
  });
}

/** What is wrong with the files is the fault of the mirror that sent them. */
export function blameInput(error: unknown): never {
  const isInput =
    error instanceof LxmertDataError && ['ERR_ZIP', 'ERR_INPUT', 'ERR_ROW'].includes(error.code);
  if (!isInput) throw error;
  throw new MirrorFault('wrong-content', error.message.replaceAll(/\n\s*/g, '; '), { cause: error });
}

/** Throws MirrorFault where a file is not the locked copy. */
export function checkLock(locked: LockEntry | undefined, digest: FileDigest): void {
  const mismatch = describeLockMismatch(locked, digest);
  if (mismatch !== undefined) throw new MirrorFault('wrong-hash', `not the locked copy: ${mismatch}`);
}

async function copyIn(path: string, target: string, digest: FileDigest): Promise<void> {
  await copyAtomically(path, target, {
    check: async copy => {
      const copied = await digestHandle(copy);
      if (copied.sha256 === digest.sha256) return;
      throw new LxmertDataError('ERR_IO', { what: 'the copy differs from the file copied', where: path });
    },
  });
}

/** Moves downloads that the user wants to keep beside the store. */
export async function keepDownload(paths: readonly string[], folder: string): Promise<void> {
  for (const path of paths) await moveAtomically(path, join(folder, basename(path)), { force: true });
}
