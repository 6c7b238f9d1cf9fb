import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { errorText, LxmertDataError } from '../../errors.ts';
import type { StageContext } from '../../events.ts';
import { checkWeights, type ContainerPlan, findFolders } from '../container-folders.ts';
import { describeMounts, EXTRACTOR_LABEL, toContainerPath } from '../container-layout.ts';
import type { ExtractorEvent } from '../contract.ts';
import { makeFolder } from '../../files/make-folder.ts';
import { type GpuChoice, readGpuListing } from '../gpu-choice.ts';
import { startImageChecker } from '../image-checker.ts';
import { type ExtractorEnd, type RunningExtractor, startExtractorProcess } from '../process.ts';
import type { Extractors } from '../run-extractors.ts';
import { type ApptainerRun, describeApptainerRun, listRunArguments, type NetworkOptions } from './command.ts';
import { identifyImage } from './image.ts';
import { type ApptainerName, readLabels, requireApptainer } from './program.ts';

const LIST_MS = 60_000;
/** Exit code with which it ends where it cannot start a container, with a line that begins so. */
const NOT_STARTED = { code: 255, line: /\bFATAL\b/ } as const;

export interface ApptainerOptions {
  readonly program: ApptainerName;
  /** Path of a .sif, or of a folder that `build --sandbox` made. */
  readonly image: string;
  /** As this process numbers them; where not given, `all` for images that can use GPUs. */
  readonly gpus: GpuChoice | undefined;
  /** Processes a GPU; with `none`, processes in all. */
  readonly perGpu: number;
  readonly weights: string;
  /** For converted models and what CUDA compiles. */
  readonly cacheDirectory: string;
  readonly network: NetworkOptions;
}

/** Says what would be run, as shell commands, without starting anything. */
export async function describeApptainerRuns(
  options: ApptainerOptions,
  plan: ContainerPlan,
): Promise<readonly string[]> {
  const { runs } = await planRuns(options, plan);
  return runs.map(describeApptainerRun);
}

/** Makes ready an extractor for each GPU, each a process of this machine in a container. */
export async function prepareApptainer(
  options: ApptainerOptions,
  plan: ContainerPlan,
  context: StageContext,
): Promise<Extractors> {
  const note = (message: string): void => context.emit({ event: 'note', message });
  await makeFolder(options.cacheDirectory);
  const { runs, version, digest } = await planRuns(options, plan);
  const gpus = [...new Set(runs.flatMap(({ gpu }) => gpu ?? []))];
  note(
    `${version}; image ${options.image} (${digest ?? 'a folder'}); ${runs.length} ${runs.length === 1 ? 'process' : 'processes'} on ${gpus.length === 0 ? 'the CPU' : `GPU ${gpus.join(', ')}`}`,
  );
  describeMounts(runs[0]!).forEach(note);
  const checker = startImageChecker();
  return {
    start: runs.map(run => onEvent => {
      const onNamedEvent = async (event: ExtractorEvent): Promise<void> =>
        await onEvent(event.event === 'ready' ? nameImage(event, digest) : event);
      return explained(startExtractorProcess(run.program, listRunArguments(run), onNamedEvent));
    }),
    checkImage: async path => await checker.check(path),
    close: async () => await checker.close(),
    toContainerPath: path => toContainerPath(runs[0]!.folders, path),
  };
}

interface PlannedRuns {
  /** At least one. */
  readonly runs: readonly ApptainerRun[];
  readonly version: string;
  readonly digest: string | undefined;
}

async function planRuns(options: ApptainerOptions, plan: ContainerPlan): Promise<PlannedRuns> {
  const found = await requireApptainer(options.program);
  const image = resolve(options.image);
  const digest = await identifyImage(image);
  const label = (await readLabels(found, image))[EXTRACTOR_LABEL];
  const ownExtractor = label !== undefined;
  const base = {
    program: found.program,
    image,
    ownExtractor,
    weights: await checkWeights(options.weights, ownExtractor),
    folders: await findFolders(plan, resolve(options.cacheDirectory)),
    isRoot: process.getuid?.() === 0,
    network: options.network,
  };
  // The embedded detector runs on the CPU only.
  const gpus = await chooseGpus(options.gpus ?? (label === 'embedded' ? 'none' : 'all'));
  const runs = gpus.flatMap(gpu => Array.from({ length: options.perGpu }, () => ({ ...base, gpu })));
  // Paths that cannot be bound are named now.
  runs.forEach(listRunArguments);
  return { runs, version: found.version, digest };
}

async function chooseGpus(wanted: GpuChoice): Promise<readonly (string | undefined)[]> {
  if (wanted === 'none') return [undefined];
  return wanted === 'all' ? await listGpus() : wanted;
}

async function listGpus(): Promise<readonly string[]> {
  const answer = await promisify(execFile)('nvidia-smi', ['-L'], { timeout: LIST_MS }).then(
    ({ stdout }) => stdout,
    errorText,
  );
  const numbers = readGpuListing(answer);
  if (numbers.length > 0) return numbers;
  throw new LxmertDataError('ERR_DEVICE', {
    what: 'this machine shows no NVIDIA GPU',
    where: 'nvidia-smi -L',
    got: answer.trim() || 'nothing',
    hint: 'ask the scheduler for one, or name GPUs (--gpus 0,1) if you know better; --gpus none uses the CPU',
  });
}

function nameImage(
  event: Extract<ExtractorEvent, { event: 'ready' }>,
  digest: string | undefined,
): ExtractorEvent {
  return digest === undefined ? event : { ...event, detector: { ...event.detector, image: digest } };
}

/** An extractor whose end says where no container could be started, which another try does not change. */
function explained(running: RunningExtractor): RunningExtractor {
  const ended = running.ended.then((end): ExtractorEnd => {
    if (end.code !== NOT_STARTED.code || !NOT_STARTED.line.test(end.stderrTail)) return end;
    return { ...end, why: 'the container could not be started', isFinal: true };
  });
  return { ...running, ended };
}
