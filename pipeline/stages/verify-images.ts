import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { averageHash, countDifferentBits } from '../detector/image/average-hash.ts';
import { decodeImage } from '../detector/image/decode-image.ts';
import { errorText, LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import { ImageArchives } from '../extraction/image-archives.ts';
import { listImages } from '../extraction/list-images.ts';
import { readRegular } from '../files/open-checked.ts';
import { v } from '../schema.ts';
import { makeLimit } from '../workers/limit.ts';

export interface VerifyImagesOptions {
  /** Folder or zip of the images. */
  readonly images: string;
  /** JSON files of official average hashes, by name of the image. */
  readonly hashes: readonly string[];
}

export interface ImageProblem {
  readonly image: string;
  readonly problem: 'missing' | 'differs' | 'unreadable';
  /** Bits of 64 that differ. */
  readonly bits?: number;
  readonly reason?: string;
}

export interface VerifyImagesResult {
  readonly ok: boolean;
  /** Images with the official hash, of how many. */
  readonly same: number;
  readonly near: number;
  readonly wanted: number;
  /** Files that no hash is known of. */
  readonly unknown: number;
  readonly problems: readonly ImageProblem[];
}

/** An image that was stored anew differs in a few bits; another image in about half of the 64. */
const NEAR_BITS = 6;
const MAX_HASH_BYTES = 64 * 2 ** 20;
const CONCURRENT = 4;
const hashesSchema = v.record(v.string(), v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/i)));

/**
 * Compares images with their official average hashes. Sets of which no image is there are left out. The hash survives
 * compression; it is no proof against somebody who forges images. Throws ERR_INPUT where no image has a known name.
 */
export async function verifyImages(
  { images, hashes }: VerifyImagesOptions,
  context: StageContext,
): Promise<VerifyImagesResult> {
  const listed = new Map((await listImages(images, true)).images.map(({ path }) => [basename(path), path]));
  const sets = await Promise.all(hashes.map(readHashes));
  const wanted = sets.filter(set => [...set.keys()].some(name => listed.has(name)));
  if (wanted.length === 0) {
    throw new LxmertDataError('ERR_INPUT', {
      what: 'none of these images has an official hash',
      where: images,
      expected: `images such as ${[...(sets[0]?.keys() ?? [])][0] ?? 'those of the official sets'}`,
      got: [...listed.keys()].slice(0, 3).join(', '),
    });
  }
  const work = await mkdtemp(join(tmpdir(), 'lxmert-data-images-'));
  const paths = [...listed.values()].map(path => ({ path }));
  const archives = await ImageArchives.open(paths, join(work, 'images.rows'));
  try {
    return await compare(new Map(wanted.flatMap(set => [...set])), listed, archives, context);
  } finally {
    await archives?.close();
    await rm(work, { recursive: true, force: true });
  }
}

async function readHashes(path: string): Promise<ReadonlyMap<string, string>> {
  const bytes = await readRegular(path, { maxBytes: MAX_HASH_BYTES });
  try {
    return new Map(Object.entries(v.parse(hashesSchema, JSON.parse(bytes.toString('utf8')))));
  } catch (cause) {
    throw new LxmertDataError('ERR_INPUT', {
      what: 'this is not a file of average hashes',
      where: path,
      expected: '{"NAME.png": "16 hex digits", …}',
      got: errorText(cause),
      cause,
    });
  }
}

async function compare(
  expected: ReadonlyMap<string, string>,
  listed: ReadonlyMap<string, string>,
  archives: ImageArchives | undefined,
  context: StageContext,
): Promise<VerifyImagesResult> {
  const problems: ImageProblem[] = [];
  const limit = makeLimit(CONCURRENT);
  let [same, near, done] = [0, 0, 0];
  const check = async (image: string, hash: string): Promise<void> => {
    context.signal.throwIfAborted();
    const path = listed.get(image);
    const found = path === undefined ? undefined : await readHash(path, archives);
    if (found === undefined) problems.push({ image, problem: 'missing' });
    else if ('reason' in found) problems.push({ image, problem: 'unreadable', reason: found.reason });
    else {
      const bits = countDifferentBits(found.hash, hash);
      if (bits === 0) same++;
      else if (bits <= NEAR_BITS) near++;
      else problems.push({ image, problem: 'differs', bits });
    }
    done++;
    context.emit({
      event: 'progress',
      stage: 'verify',
      input: 'images',
      done,
      total: expected.size,
      unit: 'images',
    });
  };
  await Promise.all([...expected].map(async ([image, hash]) => await limit(() => check(image, hash))));
  problems.sort((a, b) => (a.image < b.image ? -1 : 1));
  const unknown = [...listed.keys()].filter(name => !expected.has(name)).length;
  return { ok: problems.length === 0, same, near, wanted: expected.size, unknown, problems };
}

async function readHash(
  path: string,
  archives: ImageArchives | undefined,
): Promise<{ readonly hash: string } | { readonly reason: string }> {
  const reason = await archives?.unpack(path);
  if (reason !== undefined) return { reason };
  try {
    return { hash: averageHash(await decodeImage(archives?.fileOf(path) ?? path)) };
  } catch (error) {
    if (!(error instanceof LxmertDataError) || error.code !== 'ERR_IMAGE') throw error;
    return { reason: error.parts.what };
  } finally {
    await archives?.remove(path);
  }
}
