import { CAFFE_WEIGHTS, DEFAULT_WEIGHTS, findTrainedWeights } from './inputs.ts';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import {
  type ApptainerOptions,
  describeApptainerRuns,
  prepareApptainer,
} from '../extraction/apptainer/backend.ts';
import type { ApptainerName } from '../extraction/apptainer/program.ts';
import { SIF_RECIPE } from '../extraction/apptainer/image.ts';
import {
  DEFAULT_IMAGE,
  describeDockerRuns,
  findEngine,
  prepareDocker,
} from '../extraction/docker/backend.ts';
import { givenGpus, type GpuChoice, parseGpus, visibleGpus } from '../extraction/gpu-choice.ts';
import { startEmbeddedExtractor } from '../extraction/embedded/start.ts';
import { listTorchDevices, mayHaveGpu } from '../extraction/torch/devices.ts';
import { prepareTorch, TORCH_LIBRARIES } from '../extraction/torch/start.ts';
import { findPython } from '../python/find-python.ts';
import type { ExtractPlan } from '../extraction/plan-extraction.ts';
import type { Extractors } from '../extraction/run-extractors.ts';
import {
  type CommandContext,
  integerOption,
  type OptionSpec,
  type OptionValues,
  textOption,
} from './spec.ts';

const NAMES = ['docker', 'apptainer', 'singularity', 'torch', 'embedded'] as const;
type BackendName = (typeof NAMES)[number];

const IN_SIF = ['image', 'gpus', 'per-gpu', 'rois', 'batch', 'threads'];

/** Which backends understand an option; naming one that only one of them has chooses it. */
const OPTIONS_OF: Readonly<Record<BackendName, readonly string[]>> = {
  docker: ['image', 'gpus', 'per-gpu', 'memory'],
  apptainer: IN_SIF,
  singularity: IN_SIF,
  torch: ['device', 'python', 'rois', 'batch', 'threads'],
  embedded: ['device', 'rois', 'batch', 'threads'],
};
const TORCH_ONLY = ['python'];

export const BACKEND_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'backend',
    value: 'NAME',
    description:
      'what runs the detector: docker, apptainer (or singularity), torch or embedded (default: torch or docker where they can use a GPU)',
    choices: NAMES,
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
    description:
      'docker, apptainer: all, none, or numbers such as 0,2 (default: those of CUDA_VISIBLE_DEVICES, else all)',
    looksLike: /^(all|none|\d+(,\d+)*)$/,
  },
  {
    name: 'per-gpu',
    value: 'N',
    description: 'docker, apptainer: workers on each GPU (default 1)',
    integer: true,
  },
  {
    name: 'image',
    value: 'NAME',
    description: `docker: image of the detector (default ${DEFAULT_IMAGE}); apptainer: path of a .sif`,
    looksLike: /^[a-z0-9][\w.-]*([/:@][\w.:@-]+)*$|\.sif$/,
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
    description: 'auto, cpu; torch: cuda, cuda:0,1 or mps too (default auto: every GPU)',
    looksLike: /^(auto|cpu|mps|cuda(:\d+(,\d+)*)?)$/,
  },
  {
    name: 'python',
    value: 'COMMAND',
    description: 'torch: the Python with PyTorch (default python3); nothing is installed into it',
    looksLike: /python/,
  },
  {
    name: 'rois',
    value: 'N',
    description:
      'torch, embedded, also in a .sif: regions looked at, 36 to 300; fewer are faster and give other boxes (default 300)',
    integer: true,
  },
  {
    name: 'batch',
    value: 'N',
    description: 'torch, embedded, also in a .sif: regions in the network at a time',
    integer: true,
  },
  {
    name: 'threads',
    value: 'N',
    description: 'torch, embedded, also in a .sif: threads of the network on a CPU (default: all cores)',
    integer: true,
  },
];

export interface Backend {
  readonly name: BackendName;
  readonly why: string;
  /** Path of the weights, or `untrained`. */
  readonly weights: string;
  /** Makes the extractors of a plan ready. */
  readonly prepare: (plan: ExtractPlan) => Promise<Extractors>;
  /** Commands that would be run, for --dry-run. */
  readonly describe: (plan: ExtractPlan) => Promise<readonly string[]>;
}

/** Decides what runs the detector. */
export async function chooseBackend(options: OptionValues, context: CommandContext): Promise<Backend> {
  const { name, why } = await decide(options, context.data);
  const unsupported = [...new Set(Object.values(OPTIONS_OF).flat())].filter(
    option => options[option] !== undefined && !OPTIONS_OF[name].includes(option),
  );
  if (unsupported.length > 0) {
    throw new LxmertDataError('ERR_USAGE', {
      what: `--backend ${name} does not support ${unsupported.map(option => `--${option}`).join(', ')}`,
      hint: `lxmert-data extract --help lists the options of each backend`,
    });
  }
  const image = textOption(options, 'image') ?? DEFAULT_IMAGE;
  // The Caffe of the published image reads caffemodels only; images with an extractor of their own read every form.
  const wantsCaffe = name === 'docker' && image === DEFAULT_IMAGE;
  const weights =
    textOption(options, 'weights') ??
    (wantsCaffe ? join(context.data, CAFFE_WEIGHTS) : findTrainedWeights(context.data));
  const network = {
    rois: integerOption(options, 'rois'),
    batch: integerOption(options, 'batch'),
    threads: integerOption(options, 'threads'),
  };
  const describe = (): Promise<readonly string[]> => Promise.resolve([]);
  if (name === 'torch') {
    const settings = {
      weights,
      device: textOption(options, 'device'),
      python: textOption(options, 'python'),
      ...network,
    };
    return { name, why, weights, prepare: async () => await prepareTorch(settings, context), describe };
  }
  if (name === 'embedded') {
    const start = startEmbeddedExtractor({
      weights,
      cacheDirectory: join(context.data, 'detector', 'converted'),
      ...network,
    });
    return { name, why, weights, prepare: () => Promise.resolve({ start: [start] }), describe };
  }
  if (name === 'apptainer' || name === 'singularity')
    return { name, why, weights, ...inApptainer(name, { weights, network }, options, context) };
  const settings = {
    image,
    gpus: chooseGpus(textOption(options, 'gpus')),
    perGpu: integerOption(options, 'per-gpu') ?? 1,
    weights,
    memoryGib: integerOption(options, 'memory'),
    cacheDirectory: join(context.data, 'detector', 'cuda'),
  };
  return {
    name,
    why,
    weights,
    prepare: async plan => await prepareDocker(settings, plan, context),
    describe: async plan => await describeDockerRuns(settings, plan),
  };
}

function inApptainer(
  program: ApptainerName,
  { weights, network }: Pick<ApptainerOptions, 'weights' | 'network'>,
  options: OptionValues,
  context: CommandContext,
): Pick<Backend, 'prepare' | 'describe'> {
  const gpus = textOption(options, 'gpus');
  const settings: ApptainerOptions = {
    program,
    image: sifOf(options),
    gpus: gpus === undefined ? visibleGpus(process.env) : parseGpus(gpus),
    perGpu: integerOption(options, 'per-gpu') ?? 1,
    weights,
    cacheDirectory: join(context.data, 'detector', 'converted'),
    network,
  };
  return {
    prepare: async plan => await prepareApptainer(settings, plan, context),
    describe: async plan => await describeApptainerRuns(settings, plan),
  };
}

function sifOf(options: OptionValues): string {
  const path = textOption(options, 'image');
  if (path !== undefined) return path;
  throw new LxmertDataError('ERR_USAGE', {
    what: 'apptainer needs an image',
    expected: '--image X.sif',
    hint: SIF_RECIPE,
  });
}

/** Throws ERR_INPUT if the weights are missing, before anything is started. */
export function requireWeights({ weights }: Pick<Backend, 'weights'>): void {
  if (weights === 'untrained' || existsSync(weights)) return;
  throw new LxmertDataError('ERR_INPUT', {
    what: 'the weights file does not exist',
    where: weights,
    hint: weights.endsWith('.caffemodel')
      ? 'lxmert-data fetch detector --split caffe downloads the file for Caffe; or name yours with --weights'
      : 'lxmert-data fetch detector downloads them; or name yours with --weights; --weights untrained tries every step without them',
  });
}

function chooseGpus(text: string | undefined): GpuChoice {
  return text === undefined ? givenGpus(process.env) : parseGpus(text);
}

async function decide(options: OptionValues, data: string): Promise<Pick<Backend, 'name' | 'why'>> {
  const asked = NAMES.find(name => name === textOption(options, 'backend'));
  const given = decideByOptions(options);
  if (asked === 'embedded' && given?.name === 'torch') {
    throw new LxmertDataError('ERR_USAGE', {
      what: `--backend embedded runs on the CPU only`,
      got: given.why,
      hint: 'take --backend torch for GPUs',
    });
  }
  if (asked !== undefined) return { name: asked, why: 'as requested' };
  if (given !== undefined) return given;
  const gpu = await findTorchGpu();
  return gpu === undefined ? await decideWithoutTorch(options, data) : { name: 'torch', why: gpu };
}

async function decideWithoutTorch(
  options: OptionValues,
  data: string,
): Promise<Pick<Backend, 'name' | 'why'>> {
  const weights = textOption(options, 'weights') ?? join(data, CAFFE_WEIGHTS);
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

/** What the given options need, where they need one backend. */
function decideByOptions(options: OptionValues): Pick<Backend, 'name' | 'why'> | undefined {
  const given = (names: readonly string[]): string | undefined =>
    names.find(name => options[name] !== undefined);
  const device = textOption(options, 'device') ?? 'auto';
  if (!['auto', 'cpu'].includes(device))
    return { name: 'torch', why: `--device ${device} is one of its devices` };
  if (textOption(options, 'image')?.endsWith('.sif') === true)
    return { name: 'apptainer', why: '--image is a .sif' };
  for (const [name, only] of [
    ['docker', OPTIONS_OF.docker],
    ['torch', TORCH_ONLY],
    ['embedded', OPTIONS_OF.embedded],
  ] as const) {
    const option = given(only);
    if (option !== undefined) return { name, why: `--${option} is one of its options` };
  }
  return undefined;
}

/** Says which GPU PyTorch sees, in the Python that would be taken. */
async function findTorchGpu(): Promise<string | undefined> {
  if (!mayHaveGpu()) return undefined;
  try {
    const python = await findPython(undefined, TORCH_LIBRARIES, 'the PyTorch detector is run');
    const seen = await listTorchDevices(python);
    if (typeof seen === 'string') return undefined;
    const names = seen.mps ? ["Apple's GPU"] : seen.cuda;
    return names.length === 0 ? undefined : `PyTorch ${seen.torch} of ${python} sees ${names.join(', ')}`;
  } catch (error) {
    if (error instanceof LxmertDataError) return undefined;
    throw error;
  }
}

function hasNvidiaGpu(): boolean {
  return existsSync('/proc/driver/nvidia/version') || spawnSync('nvidia-smi', ['-L']).status === 0;
}
