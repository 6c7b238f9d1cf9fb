import {
  CAFFE_COMMAND,
  CUDA_CACHE,
  listArguments,
  listMounts,
  type MountedFolders,
  NO_BYTECODE,
  quoteWord,
} from '../container-layout.ts';
import type { ContainerBody } from './engine.ts';

/** How a container is given its GPU: by a request (Docker 19.03 and newer) or by NVIDIA's runtime. */
export type GpuWay = 'request' | 'runtime';

export interface WorkerSpec {
  readonly image: string;
  /** GPU as the engine's machine numbers it; undefined for a CPU. */
  readonly gpu: string | undefined;
  readonly gpuWay: GpuWay;
  /** Path of the weights on the engine's machine; nothing beside it is mounted. `untrained` has no file. */
  readonly weights: string;
  readonly folders: MountedFolders;
  /** `uid:gid`; undefined where the system has none. */
  readonly user: string | undefined;
  readonly groups: readonly string[];
  readonly memoryBytes: number;
  readonly selinux: boolean;
  /** The image brings an extractor of its own. */
  readonly ownExtractor: boolean;
  readonly labels: Readonly<Record<string, string>>;
}

/** The root file system is read-only; programs of the image keep their caches here. */
const TMP_OPTIONS = 'rw,exec,nosuid,nodev,size=4g';
const SHM_BYTES = 1 << 30;
const MAX_PROCESSES = 2048;
/** Everything of a worker's container that the engine is asked for. */
export function buildContainer(spec: WorkerSpec): ContainerBody {
  const { gpu, gpuWay } = spec;
  const args = listArguments(spec);
  return {
    Image: spec.image,
    ...(spec.ownExtractor ? { Cmd: args } : { Entrypoint: [...CAFFE_COMMAND], Cmd: args }),
    ...(spec.user === undefined ? {} : { User: spec.user }),
    WorkingDir: '/tmp',
    Env: listEnvironment(spec),
    Labels: { ...spec.labels },
    NetworkDisabled: true,
    OpenStdin: true,
    // Our end of the line is its only input: when we die it ends too.
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    Tty: false,
    HostConfig: {
      NetworkMode: 'none',
      CapDrop: ['ALL'],
      ReadonlyRootfs: true,
      Tmpfs: { '/tmp': TMP_OPTIONS },
      // As process 1, Caffe would not be ended by its own failed checks.
      Init: true,
      SecurityOpt: securityOptions(spec),
      GroupAdd: [...spec.groups],
      Memory: spec.memoryBytes,
      MemorySwap: spec.memoryBytes,
      ShmSize: SHM_BYTES,
      PidsLimit: MAX_PROCESSES,
      // Rows and events are all that counts; the engine need not keep a copy.
      LogConfig: { Type: 'none', Config: {} },
      Mounts: listMounts(spec).map(({ source, target, readOnly }) => ({
        Type: 'bind',
        Source: source,
        Target: target,
        ReadOnly: readOnly,
      })),
      ...(gpu === undefined ? {} : requestGpus(gpuWay, [gpu])),
    },
  };
}

/** The part of a container's settings that gives it these GPUs; all of them if none is named. */
export function requestGpus(
  way: GpuWay,
  gpus: readonly string[] | undefined,
): NonNullable<ContainerBody['HostConfig']> {
  if (way === 'runtime') return { Runtime: 'nvidia' };
  const which = gpus === undefined ? { Count: -1 } : { Count: 0, DeviceIDs: [...gpus] };
  return { DeviceRequests: [{ Driver: '', ...which, Capabilities: [['gpu']], Options: {} }] };
}

/** What NVIDIA's tools read in a container. */
export function gpuEnvironment(way: GpuWay, gpus: readonly string[] | undefined): string[] {
  const seen = way === 'runtime' ? [`NVIDIA_VISIBLE_DEVICES=${gpus?.join(',') ?? 'all'}`] : [];
  return [...seen, 'NVIDIA_DRIVER_CAPABILITIES=compute,utility'];
}

function securityOptions({ selinux }: WorkerSpec): string[] {
  // Labels of the user's own folders stay as they are.
  return ['no-new-privileges', ...(selinux ? ['label=disable'] : [])];
}

function listEnvironment({ gpu, gpuWay, folders }: WorkerSpec): string[] {
  return [
    'HOME=/tmp',
    NO_BYTECODE,
    ...(gpu === undefined ? ['NVIDIA_VISIBLE_DEVICES=void'] : gpuEnvironment(gpuWay, [gpu])),
    ...(folders.cache === undefined ? [] : CUDA_CACHE),
  ];
}

/** The same container as a shell command. */
export function describeRun(spec: WorkerSpec): string {
  const body = buildContainer(spec);
  const { HostConfig: host } = body;
  const device = spec.gpu === undefined ? [] : [['--gpus', `"device=${spec.gpu}"`]];
  const args: readonly (readonly string[])[] = [
    ['docker', 'run', '--rm', '--interactive', '--init', '--network', 'none'],
    ['--read-only', '--tmpfs', `/tmp:${TMP_OPTIONS}`],
    spec.gpuWay === 'runtime' && spec.gpu !== undefined ? ['--runtime', 'nvidia'] : device.flat(),
    ['--cap-drop', 'ALL', ...securityOptions(spec).flatMap(option => ['--security-opt', option])],
    body.User === undefined ? [] : ['--user', body.User],
    spec.groups.flatMap(group => ['--group-add', group]),
    ['--memory', String(spec.memoryBytes), '--memory-swap', String(spec.memoryBytes)],
    ['--shm-size', String(SHM_BYTES), '--pids-limit', String(MAX_PROCESSES), '--workdir', '/tmp'],
    ['--log-driver', 'none'],
    (body.Env ?? []).flatMap(entry => ['--env', entry]),
    (host?.Mounts ?? []).flatMap(({ Source: source, Target: target, ReadOnly: readOnly }) => [
      '--mount',
      `type=bind,source=${source},target=${target}${readOnly === true ? ',readonly' : ''}`,
    ]),
    Object.entries(spec.labels).flatMap(([name, value]) => ['--label', `${name}=${value}`]),
    spec.ownExtractor ? [] : ['--entrypoint', CAFFE_COMMAND[0]],
    [spec.image, ...(spec.ownExtractor ? [] : CAFFE_COMMAND.slice(1)), ...(body.Cmd ?? [])],
  ];
  return args.flat().map(quoteWord).join(' ');
}
