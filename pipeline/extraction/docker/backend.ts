import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { LxmertDataError } from '../../errors.ts';
import { formatBytes } from '../../files/format-bytes.ts';
import type { StageContext } from '../../events.ts';
import { checkWeights, type ContainerPlan } from '../container-folders.ts';
import { describeMounts, EXTRACTOR_LABEL, toContainerPath } from '../container-layout.ts';
import type { ExtractorEvent } from '../contract.ts';
import { startImageChecker } from '../image-checker.ts';
import { checkPrivateFolder } from '../private-folder.ts';
import type { Extractors } from '../run-extractors.ts';
import { startContainerExtractor } from './container-extractor.ts';
import { buildContainer, describeRun, type GpuWay } from './container-spec.ts';
import { Engine, type EngineFacts, type EngineImage } from './engine.ts';
import { findEngineAddress, isOpenToNetwork } from './engine-address.ts';
import { probeGpus } from './gpus.ts';
import { ownerLabels, removeLeftovers } from './leftovers.ts';
import { watchSpeed } from './speed.ts';
import { type DockerBackendOptions, makeSettings } from './worker-settings.ts';

const OPEN_WARNING =
  'this connection is neither encrypted nor checked, so others on the network can read and change all of it; use ssh:// or TLS (DOCKER_TLS_VERIFY)';
const ENGINE_WAIT_SECONDS = 120;
/** Caffe on a CPU takes this much. */
const CPU_MEMORY_BYTES = 14e9;

/** The published image of LXMERT's author. */
export const DEFAULT_IMAGE = 'airsplay/bottom-up-attention';

/** Says what would be run, as `docker run` commands, without starting anything. `--gpus all` is shown for one GPU. */
export async function describeDockerRuns(
  options: DockerBackendOptions,
  plan: ContainerPlan,
): Promise<readonly string[]> {
  const gpus = options.gpus === 'none' ? [undefined] : options.gpus === 'all' ? ['0'] : options.gpus;
  const facts = { securityOptions: [] as readonly string[] };
  const base = await makeSettings(options, plan, facts, false);
  return gpus.map(gpu => describeRun({ ...base, gpu, gpuWay: 'request', labels: {} }));
}

/** Makes an engine ready for an extraction: weights checked, leftovers removed, image here, GPUs tried. */
export async function prepareDocker(
  options: DockerBackendOptions,
  plan: ContainerPlan,
  context: StageContext,
): Promise<Extractors> {
  const note = (message: string): void => context.emit({ event: 'note', message });
  const warn = (message: string): void => context.emit({ event: 'warning', message });
  // Before an engine is asked for an image of gigabytes; other images may take other weights.
  checkImageName(options.image);
  if (options.image === DEFAULT_IMAGE) await checkWeights(options.weights, false);
  const { engine, facts } = await openEngine(note, warn);
  if (options.gpus !== 'none') await mkdir(options.cacheDirectory, { recursive: true });
  const image = await ensureImage(engine, options, context);
  const ownExtractor = image.labels[EXTRACTOR_LABEL] !== undefined;
  const base = await makeSettings(options, plan, facts, ownExtractor);
  const run = randomUUID();
  const labels = ownerLabels(run);
  const name = `lxmert-data-${run.slice(0, 8)}`;
  let gpus: readonly (string | undefined)[] = [undefined];
  let gpuWay: GpuWay = 'request';
  if (options.gpus !== 'none') {
    const probe = { image: options.image, name: `${name}-probe`, labels };
    ({ gpus, way: gpuWay } = await probeGpus(engine, facts, options.gpus, probe));
  }
  const workers = gpus.flatMap(gpu => Array.from({ length: options.perGpu }, () => gpu));
  note(
    `image ${options.image} (${image.digest}); ${workers.length} ${workers.length === 1 ? 'worker' : 'workers'} on ${gpus[0] === undefined ? 'the CPU' : `GPU ${gpus.join(', ')}`}`,
  );
  describeMounts(base).forEach(note);
  warnOfMemory(options, facts, warn);
  const startWorker = (gpu: string | undefined, worker: number): Extractors['start'][number] => {
    const workerLabels = { ...labels, 'lxmert-data.worker': String(worker) };
    const body = buildContainer({ ...base, gpu, gpuWay, labels: workerLabels });
    let started = 0;
    return onEvent => {
      const watch = gpu === undefined ? undefined : watchSpeed(gpu, context);
      const onNamedEvent = async (event: ExtractorEvent): Promise<void> => {
        watch?.(event);
        if (event.event === 'ready') note(`worker ${worker} ready on ${event.device}`);
        await onEvent(event.event === 'ready' ? nameImage(event, image) : event);
      };
      const start = {
        engine,
        name: `${name}-${worker}-${started++}`,
        body,
        checkFolders: async () => await checkPrivateFolder(plan.rowFolder),
        engineWaitSeconds: options.engineWaitSeconds ?? ENGINE_WAIT_SECONDS,
        warn,
      };
      return startContainerExtractor(start, onNamedEvent);
    };
  };
  const checker = startImageChecker();
  return {
    start: workers.map(startWorker),
    checkImage: async path => await checker.check(path),
    close: async () => await checker.close(),
    toContainerPath: path => toContainerPath(base.folders, path),
  };
}

/** The engine, without what killed runs left on it. */
async function openEngine(
  note: (message: string) => void,
  warn: (message: string) => void,
): Promise<{ readonly engine: Engine; readonly facts: EngineFacts }> {
  const engine = new Engine(findEngineAddress());
  const facts = await engine.readFacts();
  checkEngine(facts, engine);
  note(`Docker engine ${facts.version} (API ${facts.apiVersion}) at ${engine.address.label}`);
  if (isOpenToNetwork(engine.address)) warn(`${engine.address.label}: ${OPEN_WARNING}`);
  for (const name of await removeLeftovers(engine))
    note(`container ${name} of a run that was killed: removed`);
  return { engine, facts };
}

function warnOfMemory(
  { memoryGib, gpus }: DockerBackendOptions,
  { memoryBytes }: EngineFacts,
  warn: (message: string) => void,
): void {
  const has = `the engine's machine has ${formatBytes(memoryBytes)} of memory`;
  if (memoryGib !== undefined && memoryGib * 2 ** 30 > memoryBytes)
    warn(
      `--memory ${memoryGib} is more than there is: ${has}; the machine may end a container before its limit`,
    );
  if (gpus === 'none' && memoryBytes < CPU_MEMORY_BYTES) warn(`${has}; Caffe on a CPU takes about 13 GB`);
}

/** True where an engine answers on this machine. */
export async function findEngine(): Promise<EngineFacts | undefined> {
  try {
    return await new Engine(findEngineAddress()).readFacts();
  } catch (error) {
    if (error instanceof LxmertDataError) return undefined;
    throw error;
  }
}

function checkEngine({ apiVersion, osType, version }: EngineFacts, engine: Engine): void {
  const [major, minor] = apiVersion.split('.').map(Number) as [number, number];
  if (osType !== 'linux') {
    throw new LxmertDataError('ERR_ENGINE', {
      what: 'this engine does not run Linux containers',
      where: engine.address.label,
      got: osType,
      hint: 'switch it to Linux containers',
    });
  }
  if (major > 1 || minor >= 30) return;
  throw new LxmertDataError('ERR_ENGINE', {
    what: 'this engine is too old',
    where: engine.address.label,
    expected: 'API 1.30 (Docker 17.06) or newer',
    got: `API ${apiVersion} (Docker ${version})`,
  });
}

/** A name as Docker has it: [host[:port]/]path[:tag][@digest]. */
function checkImageName(name: string): void {
  const part = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
  const host = String.raw`(?:[a-zA-Z0-9.-]+(?::\d+)?/)?`;
  const ending = String.raw`(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?`;
  if (new RegExp(`^${host}${part}(?:/${part})*${ending}$`).test(name)) return;
  throw new LxmertDataError('ERR_USAGE', {
    what: 'this is not the name of an image',
    expected: `a name such as ${DEFAULT_IMAGE} or registry.example.org/name:tag`,
    got: JSON.stringify(name),
  });
}

async function ensureImage(
  engine: Engine,
  { image: name }: DockerBackendOptions,
  context: StageContext,
): Promise<EngineImage> {
  const here = await engine.findImage(name);
  if (here !== undefined) return here;
  context.emit({ event: 'note', message: `image ${name} is not on this engine; pulling it` });
  const tagged = /[:@][^/]*$/.test(name) ? name : `${name}:latest`;
  const onProgress = (done: number, total: number): void =>
    context.emit({ event: 'progress', stage: 'pull', input: name, done, total, unit: 'bytes' });
  await engine.pullImage(tagged, onProgress, context.signal);
  const pulled = await engine.findImage(name);
  if (pulled !== undefined) return pulled;
  throw new LxmertDataError('ERR_ENGINE', {
    what: 'the image was pulled and still does not exist',
    where: name,
  });
}

function nameImage(event: Extract<ExtractorEvent, { event: 'ready' }>, image: EngineImage): ExtractorEvent {
  return { ...event, detector: { ...event.detector, image: image.digest } };
}
