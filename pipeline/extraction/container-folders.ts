import { realpathSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { dirname, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkCaffemodel } from '../detector/model/caffemodel.ts';
import { errorText, LxmertDataError } from '../errors.ts';
import { openRegular } from '../files/open-checked.ts';
import type { MountedFolders } from './container-layout.ts';
import { exchangeFolderOf } from './exchange-folder.ts';

/** What containers need to know of an extraction. */
export interface ContainerPlan {
  readonly rowFolder: string;
  readonly images: readonly { readonly path: string }[];
}

/** The folders that containers of an extraction get. */
export async function findFolders(plan: ContainerPlan, cache: string | undefined): Promise<MountedFolders> {
  return {
    images: await commonFolder(plan.images),
    rows: resolve(exchangeFolderOf(plan.rowFolder)),
    script: fileURLToPath(new URL('../../docker', import.meta.url)),
    cache,
  };
}

/**
 * The real path of the weights. Caffe fills layers that a file lacks at random and goes on, so the file is checked as
 * the embedded detector does it; an extractor of the image's own knows best what it needs.
 */
export async function checkWeights(path: string, ownExtractor: boolean): Promise<string> {
  if (path === 'untrained' && ownExtractor) return path;
  if (path === 'untrained') {
    throw new LxmertDataError('ERR_USAGE', {
      what: 'the Caffe of a container needs trained weights',
      expected: '--weights FILE.caffemodel',
      got: '--weights untrained',
      hint: 'give the file, or use --backend embedded, which has untrained weights for a trial',
    });
  }
  if (/\.(pth|bin|pkl|safetensors)$/.test(path) && !ownExtractor) {
    throw new LxmertDataError('ERR_USAGE', {
      what: 'the Caffe of a container reads caffemodels only',
      expected: '--weights FILE.caffemodel',
      got: path,
      hint: 'use --backend embedded, which reads this form too',
    });
  }
  if (!ownExtractor) await checkCaffemodel(path);
  else await checkReadable(path);
  return await realpath(path);
}

async function checkReadable(path: string): Promise<void> {
  try {
    await (await openRegular(path)).close();
  } catch (error) {
    throw new LxmertDataError('ERR_INPUT', {
      what: 'cannot open the weights',
      where: path,
      got: error instanceof LxmertDataError ? error.parts.got : errorText(error),
      cause: error,
    });
  }
}

/** The folder that holds all images, links followed, since a link that leads out of it would lead nowhere in the container. */
async function commonFolder(images: readonly { readonly path: string }[]): Promise<string> {
  let common: string[] | undefined;
  for (const { path } of images) {
    const parts = dirname(await realpath(path).catch(() => resolve(path))).split(sep);
    common ??= parts;
    let same = 0;
    while (same < common.length && common[same] === parts[same]) same++;
    if (same < common.length) common = common.slice(0, same);
  }
  const folder = common?.join(sep) ?? '';
  if (folder !== '') return folder;
  throw new LxmertDataError('ERR_INPUT', {
    what: 'the images have no folder in common but the root',
    hint: 'put them, or the files they are links to, below one folder',
  });
}

/** Where a path leads to. */
export function followLinks(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}
