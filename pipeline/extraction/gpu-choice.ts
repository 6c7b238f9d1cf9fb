import { LxmertDataError } from '../errors.ts';

/** GPUs wanted: all there are, these, or none (the CPU). */
export type GpuChoice = 'all' | 'none' | readonly string[];

/** Reads `--gpus`. */
export function parseGpus(text: string): GpuChoice {
  if (text === 'all' || text === 'none') return text;
  const names = text.split(',').map(name => name.trim());
  const valid = names.every(name => /^\d+$|^GPU-[\w-]+$|^MIG-[\w/-]+$/.test(name));
  if (valid && new Set(names).size === names.length) return names;
  throw new LxmertDataError('ERR_USAGE', {
    what: '--gpus is not understood',
    expected: 'all, none, or numbers such as 0,2',
    got: text,
  });
}

/** The numbers of the GPUs in what `nvidia-smi -L` prints. */
export function readGpuListing(listing: string): readonly string[] {
  return [...listing.matchAll(/^GPU (\d+):/gm)].map(match => match[1]!);
}

/**
 * The GPUs that a scheduler gave to this process, as the engine's machine numbers them: Slurm's own list first, since
 * within its limits CUDA counts from 0. `all` where nobody gave any.
 */
export function givenGpus(env: Readonly<Record<string, string | undefined>>): GpuChoice {
  const text = env['SLURM_STEP_GPUS'] ?? env['SLURM_JOB_GPUS'] ?? env['CUDA_VISIBLE_DEVICES'];
  return readGpus(text) ?? 'all';
}

/** The GPUs that a scheduler gave to this process, as CUDA numbers them here; undefined where nobody gave any. */
export function visibleGpus(env: Readonly<Record<string, string | undefined>>): GpuChoice | undefined {
  return readGpus(env['CUDA_VISIBLE_DEVICES']);
}

function readGpus(text: string | undefined): GpuChoice | undefined {
  if (text === undefined) return undefined;
  return text === '' || text === '-1' || text === 'NoDevFiles' ? 'none' : parseGpus(text);
}
