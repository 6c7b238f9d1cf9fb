import { LxmertDataError } from '../../errors.ts';
import {
  CAFFE_COMMAND,
  type ContainerInput,
  CUDA_CACHE,
  listArguments,
  listMounts,
  NO_BYTECODE,
  quoteWord,
} from '../container-layout.ts';

/** Options of a network that an image's own extractor may have. */
export interface NetworkOptions {
  readonly rois?: number | undefined;
  readonly batch?: number | undefined;
  readonly threads?: number | undefined;
}

export interface ApptainerRun extends ContainerInput {
  /** `apptainer`, or `singularity`, which has the same options. */
  readonly program: string;
  /** Path of a .sif, or of a folder that `build --sandbox` made. */
  readonly image: string;
  /** As this process numbers it; undefined for the CPU. */
  readonly gpu: string | undefined;
  /** The image brings an extractor of its own. */
  readonly ownExtractor: boolean;
  /** Drop what root may do; others have nothing to drop. */
  readonly isRoot: boolean;
  readonly network: NetworkOptions;
}

/**
 * Arguments that run an extractor in a container: nothing of the host but the folders of the contract, no variables of
 * the caller, no home, a root file system that cannot be written. Throws ERR_INPUT for a path that --bind cannot take.
 */
export function listRunArguments(run: ApptainerRun): readonly string[] {
  const { image, gpu, ownExtractor, isRoot, folders, network } = run;
  const variables = [
    NO_BYTECODE,
    ...(folders.cache === undefined ? [] : CUDA_CACHE),
    ...(gpu === undefined ? [] : [`CUDA_VISIBLE_DEVICES=${gpu}`]),
  ];
  const options = Object.entries(network).flatMap(([name, value]: [string, number | undefined]) =>
    value === undefined ? [] : [`--${name}=${value}`],
  );
  return [
    ownExtractor ? 'run' : 'exec',
    ...['--containall', '--no-home', '--pwd', '/'],
    ...(isRoot ? ['--no-privs'] : []),
    ...(gpu === undefined ? [] : ['--nv']),
    ...['--bind', listMounts(run).map(formatBind).join(',')],
    ...variables.flatMap(variable => ['--env', variable]),
    image,
    ...(ownExtractor ? [] : CAFFE_COMMAND),
    ...listArguments(run),
    ...options,
  ];
}

/** The same as a shell command. */
export function describeApptainerRun(run: ApptainerRun): string {
  return [run.program, ...listRunArguments(run)].map(quoteWord).join(' ');
}

function formatBind({ source, target, readOnly }: ReturnType<typeof listMounts>[number]): string {
  if (/[,:]/.test(source) || /[,:]/.test(target)) {
    throw new LxmertDataError('ERR_INPUT', {
      what: 'a path with a comma or a colon cannot be bound into a container',
      where: source,
      hint: 'rename it, or give another path to it',
    });
  }
  return `${source}:${target}${readOnly ? ':ro' : ''}`;
}
