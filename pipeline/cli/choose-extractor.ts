import { DEFAULT_WEIGHTS } from './inputs.ts';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import {
  DEFAULT_IMAGE,
  describeDockerRuns,
  findEngine,
  prepareDocker,
} from '../extraction/docker/backend.ts';
import { parseGpus } from '../extraction/docker/gpus.ts';
import { startEmbeddedExtractor } from '../extraction/embedded/start.ts';
import type { ExtractPlan } from '../extraction/plan-extraction.ts';
import type { Extractors } from '../extraction/run-extractors.ts';
import {
  type CommandContext,
  integerOption,
  type OptionSpec,
  type OptionValues,
  textOption,
} from './spec.ts';

/** Options that only one of the two understands; naming one chooses it. */
const DOCKER_ONLY = ['image', 'gpus', 'per-gpu', 'memory'] as const;
const EMBEDDED_ONLY = ['device', 'rois', 'batch', 'threads'] as const;

export const BACKEND_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'backend',
    value: 'NAME',
    description: 'what runs the detector: docker or embedded (default: docker where it can use a GPU)',
    choices: ['docker', 'embedded'],
  },
  {
    name: 'weights',
    short: 'w',
    value: 'FILE',
    description: `the detector's weights (.caffemodel, .pth, .bin, .pkl, .safetensors), or untrained (default: ${DEFAULT_WEIGHTS} below --data)`,
    looksLike: /\.(caffemodel|pth|bin|pkl|safetensors)$|^untrained$/,
  },
  {
    name: 'gpus',
    value: 'LIST',
    description: 'docker: all, none, or numbers such as 0,2 (default all)',
    looksLike: /^(all|none|\d+(,\d+)*)$/,
  },
  { name: 'per-gpu', value: 'N', description: 'docker: workers on each GPU (default 1)', integer: true },
  {
    name: 'image',
    value: 'NAME',
    description: `docker: image of the detector (default ${DEFAULT_IMAGE})`,
    looksLike: /^[a-z0-9][\w.-]*([/:@][\w.:@-]+)*$/,
  },
  {
    name: 'memory',
    value: 'GIB',
    description: 'docker: most memory of a worker (default 16, with --gpus none 32)',
    integer: true,
  },
  {
    name: 'device',
    value: 'NAME',
    description: 'embedded: auto, cpu, cuda or webgpu (default auto)',
    choices: ['auto', 'cpu', 'cuda', 'webgpu'],
  },
  {
    name: 'rois',
    value: 'N',
    description:
      'embedded: regions looked at, 36 to 300; fewer are faster and give other boxes (default 300)',
    integer: true,
  },
  { name: 'batch', value: 'N', description: 'embedded: regions in the network at a time', integer: true },
  {
    name: 'threads',
    value: 'N',
    description: 'embedded: threads of the network on a CPU (default: all cores)',
    integer: true,
  },
];

export interface Backend {
  readonly name: 'docker' | 'embedded';
  readonly why: string;
  /** Makes the extractors of a plan ready. */
  readonly prepare: (plan: ExtractPlan) => Promise<Extractors>;
  /** Commands that would be run, for --dry-run. */
  readonly describe: (plan: ExtractPlan) => Promise<readonly string[]>;
}

/** Decides what runs the detector. */
export async function chooseBackend(options: OptionValues, context: CommandContext): Promise<Backend> {
  const { name, why } = await decide(options, context.data);
  const unsupported = (name === 'docker' ? EMBEDDED_ONLY : DOCKER_ONLY).filter(
    option => options[option] !== undefined,
  );
  if (unsupported.length > 0) {
    throw new LxmertDataError('ERR_USAGE', {
      what: `--backend ${name} does not support ${unsupported.map(option => `--${option}`).join(', ')}`,
      hint: `lxmert-data extract --help lists the options of each backend`,
    });
  }
  const weights = textOption(options, 'weights') ?? join(context.data, DEFAULT_WEIGHTS);
  if (name === 'embedded') {
    const start = startEmbeddedExtractor({
      weights,
      cacheDirectory: join(context.data, 'detector', 'converted'),
      device: textOption(options, 'device'),
      rois: integerOption(options, 'rois'),
      batch: integerOption(options, 'batch'),
      threads: integerOption(options, 'threads'),
    });
    return {
      name,
      why,
      prepare: () => Promise.resolve({ start: [start] }),
      describe: () => Promise.resolve([]),
    };
  }
  const settings = {
    image: textOption(options, 'image') ?? DEFAULT_IMAGE,
    gpus: parseGpus(textOption(options, 'gpus') ?? 'all'),
    perGpu: integerOption(options, 'per-gpu') ?? 1,
    weights,
    memoryGib: integerOption(options, 'memory'),
    cacheDirectory: join(context.data, 'detector', 'cuda'),
  };
  return {
    name,
    why,
    prepare: async plan => await prepareDocker(settings, plan, context),
    describe: async plan => await describeDockerRuns(settings, plan),
  };
}

async function decide(options: OptionValues, data: string): Promise<Pick<Backend, 'name' | 'why'>> {
  const asked = textOption(options, 'backend');
  if (asked === 'docker' || asked === 'embedded') return { name: asked, why: 'as requested' };
  const given = (names: readonly string[]): string | undefined =>
    names.find(name => options[name] !== undefined);
  const docker = given(DOCKER_ONLY);
  if (docker !== undefined) return { name: 'docker', why: `--${docker} is one of its options` };
  const embedded = given(EMBEDDED_ONLY);
  if (embedded !== undefined) return { name: 'embedded', why: `--${embedded} is one of its options` };
  const weights = textOption(options, 'weights') ?? join(data, DEFAULT_WEIGHTS);
  if (!existsSync(weights))
    return { name: 'embedded', why: 'the trained weights for the Caffe image were not found' };
  if (/\.(pth|bin|pkl|safetensors)$/.test(weights))
    return { name: 'embedded', why: 'the Caffe of a container cannot read this kind of weights' };
  const engine = await findEngine();
  if (engine === undefined) return { name: 'embedded', why: 'no Docker engine answers' };
  if (!engine.runtimes.includes('nvidia') && !hasNvidiaGpu())
    return { name: 'embedded', why: 'a Docker engine was found, but no NVIDIA GPU' };
  return { name: 'docker', why: 'a Docker engine and an NVIDIA GPU were found' };
}

function hasNvidiaGpu(): boolean {
  return existsSync('/proc/driver/nvidia/version') || spawnSync('nvidia-smi', ['-L']).status === 0;
}
