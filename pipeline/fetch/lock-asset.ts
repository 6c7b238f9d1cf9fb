import { type FileDigest } from '../files/digest.ts';
import { assetOf, type Manifest } from '../manifest/load.ts';
import { targetPath } from './asset-files.ts';
import { addToLock, type LockEntries, type LockEntry } from './data-lock.ts';

export interface LockOptions {
  readonly dataRoot: string;
  readonly manifest: Manifest;
  readonly lock: LockEntries;
}

/** Locks an asset that is in place, unless it is locked already. */
export async function lockAsset(
  name: string,
  { sizeBytes, sha256 }: FileDigest,
  origin: Pick<LockEntry, 'mirror' | 'location' | 'made_from'>,
  { lock, manifest, dataRoot }: LockOptions,
): Promise<void> {
  if (lock[name] !== undefined) return;
  const file = targetPath(assetOf(manifest, name));
  const date = new Date().toISOString().slice(0, 10);
  await addToLock(dataRoot, name, { file, size: sizeBytes, sha256, ...origin, date });
}
