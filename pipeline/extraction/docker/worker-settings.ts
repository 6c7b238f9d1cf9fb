import { realpathSync } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LxmertDataError } from '../../errors.ts';
import type { WorkerSpec } from './container-spec.ts';
import type { GpuChoice } from './gpus.ts';

const GIB = 2 ** 30;
/** On a GPU the host's side of Caffe stays below 8 GiB; on the CPU the network itself takes 14. */
const MEMORY_GIB = { gpu: 16, cpu: 32 } as const;
export interface DockerBackendOptions {
  readonly image: string;
  readonly gpus: GpuChoice;
  /** Workers a GPU; with `none`, workers in all. */
  readonly perGpu: number;
  readonly weights: string;
  readonly memoryGib?: number | undefined;
  /** For what CUDA compiles. */
  readonly cacheDirectory: string;
}

export interface DockerPlan {
  readonly rowFolder: string;
  readonly images: readonly { readonly path: string }[];
}

/** What all workers of a run have in common. */
export async function makeSettings(
  options: DockerBackendOptions,
  plan: DockerPlan,
  facts: { readonly securityOptions: readonly string[] },
  ownExtractor: boolean,
): Promise<Omit<WorkerSpec, 'gpu' | 'gpuWay' | 'labels'>> {
  const weights = await findWeights(options.weights);
  const memoryGib = options.memoryGib ?? MEMORY_GIB[options.gpus === 'none' ? 'cpu' : 'gpu'];
  // In a rootless engine the calling user is what containers know as root.
  const rootless = facts.securityOptions.some(option => option.startsWith('name=rootless'));
  const user = rootless ? '0:0' : userOfProcess();
  return {
    image: options.image,
    weightsFile: basename(weights),
    folders: {
      images: await commonFolder(plan.images),
      rows: resolve(plan.rowFolder),
      weights: dirname(weights),
      script: fileURLToPath(new URL('../../../docker', import.meta.url)),
      cache: options.gpus === 'none' ? undefined : resolve(options.cacheDirectory),
    },
    user,
    groups: rootless ? [] : groupsOfProcess(),
    memoryBytes: memoryGib * GIB,
    selinux: facts.securityOptions.some(option => option.startsWith('name=selinux')),
    ownExtractor,
  };
}

async function findWeights(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() === true) return await realpath(path);
  throw new LxmertDataError('ERR_INPUT', {
    what: 'the weights of the detector are not there',
    where: path,
    expected: 'resnet101_faster_rcnn_final_iter_320000.caffemodel',
    hint: 'fetch it first, or name it with --weights FILE',
  });
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

function userOfProcess(): string | undefined {
  return process.getuid === undefined ? undefined : `${process.getuid()}:${process.getgid!()}`;
}

function groupsOfProcess(): string[] {
  const own = process.getgid?.();
  return (process.getgroups?.() ?? []).filter(group => group !== own).map(String);
}

/** Where a path leads to. */
export function followLinks(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}
