import { resolve } from 'node:path';
import { checkWeights, type ContainerPlan, findFolders } from '../container-folders.ts';
import type { WorkerSpec } from './container-spec.ts';
import type { GpuChoice } from '../gpu-choice.ts';

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
  /** Seconds to wait for an engine that stops answering; 120 where not given. */
  readonly engineWaitSeconds?: number | undefined;
}

/** What all workers of a run have in common. */
export async function makeSettings(
  options: DockerBackendOptions,
  plan: ContainerPlan,
  facts: { readonly securityOptions: readonly string[] },
  ownExtractor: boolean,
): Promise<Omit<WorkerSpec, 'gpu' | 'gpuWay' | 'labels'>> {
  const weights = await checkWeights(options.weights, ownExtractor);
  const memoryGib = options.memoryGib ?? MEMORY_GIB[options.gpus === 'none' ? 'cpu' : 'gpu'];
  // In a rootless engine the calling user is what containers know as root.
  const rootless = facts.securityOptions.some(option => option.startsWith('name=rootless'));
  const user = rootless ? '0:0' : userOfProcess();
  return {
    image: options.image,
    weights,
    folders: await findFolders(plan, options.gpus === 'none' ? undefined : resolve(options.cacheDirectory)),
    user,
    groups: rootless ? [] : groupsOfProcess(),
    memoryBytes: memoryGib * GIB,
    selinux: facts.securityOptions.some(option => option.startsWith('name=selinux')),
    ownExtractor,
  };
}

function userOfProcess(): string | undefined {
  return process.getuid === undefined ? undefined : `${process.getuid()}:${process.getgid!()}`;
}

function groupsOfProcess(): string[] {
  const own = process.getgid?.();
  return (process.getgroups?.() ?? []).filter(group => group !== own).map(String);
}
