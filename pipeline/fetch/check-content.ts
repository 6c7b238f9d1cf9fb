import { stat } from 'node:fs/promises';
import { LxmertDataError } from '../errors.ts';
import type { FileDigest } from '../files/digest.ts';
import { countRecords } from '../annotations/count-records.ts';
import { openZipArchive } from '../inputs/zip-archive.ts';
import type { Asset } from '../manifest/load.ts';
import { MirrorFault } from '../net/mirror-fault.ts';
import { checkWeights } from './check-weights.ts';

type Plain = Exclude<Asset, { kind: 'features' }>;

/**
 * Whether a file is what the manifest expects of the asset: size, hash, first bytes, and every record of a JSON.
 * Throws MirrorFault `wrong-content` or `wrong-hash`.
 */
export async function checkContent(path: string, asset: Plain, digest: FileDigest): Promise<void> {
  if (asset.size !== undefined && asset.size !== digest.sizeBytes) {
    throw wrong(`${digest.sizeBytes} bytes, expected ${asset.size}`);
  }
  if (asset.sha256 !== undefined && asset.sha256 !== digest.sha256) {
    throw new MirrorFault('wrong-hash', `sha256 ${digest.sha256}, expected ${asset.sha256}`);
  }
  if (asset.kind === 'weights') {
    await checkWeights(path, asset.format).catch(rethrowInput);
    return;
  }
  if (asset.kind === 'archive') {
    await checkArchive(path, asset.files).catch(rethrowInput);
    return;
  }
  // An image is what its hash says.
  if (asset.kind === 'image') return;
  const records = await countRecords(path, asset.schema).catch(rethrowInput);
  if (asset.records !== undefined && records !== asset.records) {
    throw wrong(`${records} records, expected ${asset.records}`);
  }
}

/** A zip's directory, and how many files it holds. Members are checked by their CRC-32 when they are read. */
async function checkArchive(path: string, expected: number | undefined): Promise<void> {
  const archive = await openZipArchive(path);
  await archive.close();
  const count = archive.entries.length;
  if (expected !== undefined && count !== expected)
    throw wrong(`${count} files inside, expected ${expected}`);
}

/** What is to be reported of a valid file: a hash other than the one that a single list has. */
export function describeDoubt(asset: Asset, { sha256 }: FileDigest): string | undefined {
  if (asset.kind !== 'archive' || asset.expected_sha256 === undefined) return undefined;
  if (asset.expected_sha256 === sha256) return undefined;
  return `sha256 ${sha256}, while the only published list has ${asset.expected_sha256}; it may be another edition`;
}

/** What is wrong with the file is the mirror's fault. */
function rethrowInput(error: unknown): never {
  const isInput = error instanceof LxmertDataError && ['ERR_INPUT', 'ERR_ZIP'].includes(error.code);
  throw isInput ? wrong(error.message.replaceAll(/\n\s*/g, '; '), error) : error;
}

export async function sizeOf(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true ? found.size : undefined;
}

function wrong(message: string, cause?: unknown): MirrorFault {
  return new MirrorFault('wrong-content', message, { cause });
}
