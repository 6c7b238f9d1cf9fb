import { text } from 'node:stream/consumers';
import { LxmertDataError } from '../../errors.ts';
import { readGpuListing } from '../gpu-choice.ts';
import { type GpuWay, gpuEnvironment, requestGpus } from './container-spec.ts';
import { DemuxStream } from './demux.ts';
import type { Engine, EngineFacts } from './engine.ts';

export interface ReadyGpus {
  readonly way: GpuWay;
  readonly gpus: readonly string[];
}

/** Starts a container with the GPUs to see that the engine can give them, and how many `all` are. */
export async function probeGpus(
  engine: Engine,
  facts: EngineFacts,
  wanted: 'all' | readonly string[],
  probe: { readonly image: string; readonly name: string; readonly labels: Record<string, string> },
): Promise<ReadyGpus> {
  const hasRuntime = facts.runtimes.includes('nvidia');
  const [major, minor] = facts.apiVersion.split('.').map(Number) as [number, number];
  const canRequest = major > 1 || minor >= 40;
  const ways: GpuWay[] = [
    ...(canRequest ? ['request' as const] : []),
    ...(hasRuntime ? ['runtime' as const] : []),
  ];
  if (ways.length === 0) {
    throw new LxmertDataError('ERR_ENGINE', {
      what: 'this engine is too old to be asked for GPUs, and has no runtime named nvidia',
      where: engine.address.label,
      got: `API ${facts.apiVersion}`,
      hint: 'update Docker to 19.03 or newer and install the NVIDIA Container Toolkit; or --gpus none',
    });
  }
  let failure: unknown;
  for (const way of ways) {
    try {
      const listing = await listGpus(engine, way, wanted === 'all' ? undefined : wanted, probe);
      return { way, gpus: wanted === 'all' ? numberGpus(listing, engine) : wanted };
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

async function listGpus(
  engine: Engine,
  way: GpuWay,
  gpus: readonly string[] | undefined,
  {
    image,
    name,
    labels,
  }: { readonly image: string; readonly name: string; readonly labels: Record<string, string> },
): Promise<string> {
  const { id, stream } = await engine.startContainer(name, {
    Image: image,
    Entrypoint: ['/bin/sh', '-c', 'nvidia-smi -L || true'],
    Env: gpuEnvironment(way, gpus),
    Labels: labels,
    Tty: false,
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: {
      NetworkMode: 'none',
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      LogConfig: { Type: 'none', Config: {} },
      ...requestGpus(way, gpus),
    },
  });
  try {
    return await text(stream.pipe(new DemuxStream(() => undefined)));
  } finally {
    await engine.removeContainer(id);
  }
}

function numberGpus(listing: string, engine: Engine): readonly string[] {
  const numbers = readGpuListing(listing);
  if (numbers.length > 0) return numbers;
  throw new LxmertDataError('ERR_ENGINE', {
    what: 'the containers of this engine see no GPU',
    where: engine.address.label,
    got: `nvidia-smi -L: ${listing.trim() || 'nothing'}`,
    hint: 'name GPUs (--gpus 0,1) if you know better; --gpus none uses the CPU; --backend embedded needs no engine',
  });
}
