import { mkdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import { copyAtomically, moveAtomically } from '../files/atomic.ts';
import { readNlvr2 } from '../annotations/raw-files.ts';
import { writePythonList } from '../annotations/write-python-list.ts';
import type { Asset, Source } from '../manifest/load.ts';
import { MirrorFault } from '../net/mirror-fault.ts';
import { targetPath } from './asset-files.ts';
import { checkContent, digestFile, digestHandle } from './check-content.ts';
import type { FileDigest } from './check-content.ts';
import { describeLockMismatch } from './data-lock.ts';
import type { LockEntry } from './data-lock.ts';

/** The steps of other stages that putting features in place needs. */
export interface StoreSteps {
  readonly convert: (
    options: { files: readonly string[]; out: string; member?: string | undefined; force: boolean },
    context: StageContext,
  ) => Promise<{
    readonly ok: boolean;
    readonly rows: number;
    readonly errors: number;
    readonly sources: readonly { readonly size: number; readonly sha256: string }[];
  }>;
  readonly verifyStore: (path: string, context: StageContext) => Promise<{ readonly ok: boolean }>;
  readonly exportTsv: (
    options: { store: string; out: string; force: boolean },
    context: StageContext,
  ) => Promise<unknown>;
}

export interface PlaceOptions {
  readonly dataRoot: string;
  readonly name: string;
  readonly asset: Asset;
  /** How the files hold the asset. */
  readonly get: Source['get'];
  readonly member?: string | undefined;
  readonly split?: 'train' | 'valid' | 'test' | undefined;
  /** The file, or the parts of a zip in their order. */
  readonly paths: readonly string[];
  /** Digest of the only file, where it is known already. */
  readonly digest?: FileDigest | undefined;
  readonly locked: LockEntry | undefined;
  /** The files are the user's: they are read and left where they are. */
  readonly areForeign: boolean;
  readonly steps: StoreSteps;
  readonly context: StageContext;
}

/**
 * Checks files that hold an asset, and puts it in place. Throws MirrorFault where they are not the asset; nothing
 * stands under the final name before all checks have passed.
 */
export async function placeAsset(options: PlaceOptions): Promise<FileDigest> {
  const { asset, get, dataRoot } = options;
  const target = join(dataRoot, targetPath(asset));
  await mkdir(dirname(target), { recursive: true });
  if (asset.kind === 'features') return placeStore(options, target);
  if (get === 'raw') return placeMade(options, asset, target);
  if (get !== 'file') throw new MirrorFault('unsupported', `${asset.kind} inside a zip`);
  const path = options.paths[0]!;
  const digest = options.digest ?? (await digestFile(path, options.context.signal));
  await checkContent(path, asset, digest);
  checkLock(options, digest);
  if (options.areForeign) await copyIn(path, target, digest);
  else await moveAtomically(path, target);
  return digest;
}

async function placeMade(
  { paths, split, context, ...options }: PlaceOptions,
  asset: Exclude<Asset, { kind: 'features' }>,
  target: string,
): Promise<FileDigest> {
  const records = readNlvr2(paths[0]!, split ?? 'train', context.signal);
  const check = async (made: FileDigest, partialPath: string): Promise<void> => {
    await checkContent(partialPath, asset, made);
    checkLock(options, made);
  };
  try {
    const { sizeBytes, sha256 } = await writePythonList(target, records, { check });
    return { sizeBytes, sha256 };
  } catch (error) {
    if (error instanceof LxmertDataError && error.code === 'ERR_INPUT') throw wrongContent(error);
    throw error;
  }
}

/** Made under another name, read again from the disk, and only then renamed. */
async function placeStore(options: PlaceOptions, target: string): Promise<FileDigest> {
  const { asset, paths, steps, context } = options;
  const member = options.get === 'file' ? undefined : options.member;
  const staged = join(options.dataRoot, '.downloads', 'stores', basename(target));
  await mkdir(dirname(staged), { recursive: true });
  await rm(staged, { force: true });
  const result = await steps
    .convert({ files: [paths[0]!], out: staged, member, force: true }, context)
    .catch((error: unknown) => {
      const isInput =
        error instanceof LxmertDataError && ['ERR_ZIP', 'ERR_INPUT', 'ERR_ROW'].includes(error.code);
      throw isInput ? wrongContent(error) : error;
    });
  try {
    if (!result.ok)
      throw new MirrorFault('wrong-content', `${result.errors} problems in its rows; they are listed above`);
    const expected = asset.kind === 'features' ? asset.rows : undefined;
    if (expected !== undefined && result.rows !== expected) {
      throw new MirrorFault('wrong-content', `${result.rows} rows, expected ${expected}`);
    }
    const [source] = result.sources;
    const digest = { sizeBytes: source!.size, sha256: source!.sha256 };
    checkLock(options, digest);
    const verified = await steps.verifyStore(staged, context);
    if (!verified.ok) {
      throw new LxmertDataError('ERR_IO', {
        what: 'the store just written does not read back as it was written',
        where: staged,
        hint: 'the disk or the memory of this machine is at fault; check them before going on',
      });
    }
    await moveAtomically(staged, target);
    return digest;
  } finally {
    await rm(staged, { force: true });
  }
}

function wrongContent(error: Error): MirrorFault {
  return new MirrorFault('wrong-content', error.message.replaceAll(/\n\s*/g, '; '), { cause: error });
}

function checkLock({ locked }: Pick<PlaceOptions, 'locked'>, digest: FileDigest): void {
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

/** Moves a download that the user wants to keep beside the store. */
export async function keepDownload(paths: readonly string[], folder: string): Promise<void> {
  for (const path of paths) await moveAtomically(path, join(folder, basename(path)), { force: true });
}
