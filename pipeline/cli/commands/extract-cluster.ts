import { extname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { LxmertDataError } from '../../errors.ts';
import { describeKubernetesJob, toYaml } from '../../extraction/cluster/kubernetes.ts';
import {
  isSifBackend,
  openPlan,
  rowOptionsOf,
  UNIT_IMAGES,
  writePlan,
  type ClusterPlan,
} from '../../extraction/cluster/plan.ts';
import {
  describeMissingUnits,
  type PublishOptions,
  type PublishResult,
} from '../../extraction/cluster/publish.ts';
import { reopenFailedUnits } from '../../extraction/cluster/reopen.ts';
import type { WorkerResult } from '../../extraction/cluster/run-worker.ts';
import { nameUnits, type WorkerIndex } from '../../extraction/cluster/schedule.ts';
import {
  readSlurmQueue,
  SLURM_COMMON,
  SLURM_WORKER,
  submitSlurmJobs,
  writeSlurmScripts,
} from '../../extraction/cluster/slurm.ts';
import { addJob, type ClusterStatus, readJobs, readStatus } from '../../extraction/cluster/status.ts';
import { identifyWeights } from '../../extraction/cluster/weights-identity.ts';
import { readWorkerIndex } from '../../extraction/cluster/worker-index.ts';
import type { ExtractPlan } from '../../extraction/plan-extraction.ts';
import { ExtractorFailure } from '../../extraction/run-extractors.ts';
import { readVerdicts } from '../../fetch/data-lock.ts';
import { writeAtomically } from '../../files/atomic.ts';
import { UNTRAINED_WARNING } from '../../store/metadata.ts';
import { extractUnits, publishPlan } from '../../stages/extract-on-cluster.ts';
import { type Backend, BACKEND_OPTIONS, chooseBackend } from '../choose-extractor.ts';
import { openReport } from '../report-file.ts';
import { quoted } from '../typed-commands.ts';
import {
  type CommandContext,
  integerOption,
  type OptionSpec,
  type OptionValues,
  textOption,
} from '../spec.ts';

/** Exit codes of a worker: come again, and those for which another try cannot help. */
const EXIT = { again: 75, usage: 2, weights: 3, device: 4, failed: 1 } as const;
const WATCH_MS = 5000;
const QUEUE_MS = 30_000;
const MAX_LISTED = 20;

export const CLUSTER_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'plan',
    value: 'X.rows',
    description: 'plan an extraction for many machines in this shared folder; with the next ones: that plan',
    looksLike: /\.rows\/?$/,
  },
  {
    name: 'worker',
    value: 'I/N',
    description: 'compute part I of N of the plan; N or auto where the engine gives the index',
    looksLike: /^(\d+(\/\d+)?|auto)$/,
  },
  { name: 'publish', description: "make the store of the plan's finished units" },
  { name: 'retry-failed', description: 'let workers try images without a row again' },
  { name: 'status', description: 'print how far the plan is' },
  { name: 'watch', description: 'with --status: go on printing until all is done' },
  {
    name: 'on',
    value: 'ENGINE',
    description: 'slurm: submit the plan; kubernetes: print a Job for kubectl apply',
    choices: ['slurm', 'kubernetes'],
  },
  { name: 'workers', value: 'N', description: 'workers in all (default 8)', integer: true },
  { name: 'at-once', value: 'N', description: 'workers at the same time (default: all)', integer: true },
  {
    name: 'unit-images',
    value: 'N',
    description: `images of a unit of the plan (default ${UNIT_IMAGES})`,
    integer: true,
  },
  { name: 'job', value: 'NAME', description: 'name of the job that a worker belongs to' },
  { name: 'partition', value: 'NAME', description: 'slurm: as of sbatch' },
  { name: 'account', value: 'NAME', description: 'slurm: as of sbatch' },
  { name: 'qos', value: 'NAME', description: 'slurm: as of sbatch' },
  { name: 'constraint', value: 'LIST', description: 'slurm: as of sbatch' },
  {
    name: 'time',
    value: 'LIMIT',
    description: 'slurm: as of sbatch; a worker that runs out of it comes again',
  },
  { name: 'gres', value: 'LIST', description: 'slurm: as of sbatch, such as gpu:1' },
  { name: 'gpus-per-task', value: 'N', description: 'slurm: as of sbatch; kubernetes: GPUs of a pod' },
  { name: 'cpus-per-task', value: 'N', description: 'slurm: as of sbatch; kubernetes: CPUs of a pod' },
  {
    name: 'mem',
    value: 'SIZE',
    description: 'slurm: as of sbatch; kubernetes: memory of a pod, such as 16Gi',
  },
  { name: 'sbatch', value: 'OPTIONS', description: 'slurm: anything else of sbatch, in one word' },
  { name: 'claim', value: 'NAME', description: 'kubernetes: ReadWriteMany claim that has images and plan' },
  { name: 'mount', value: 'DIR', description: 'kubernetes: where pods see the claim (default /shared)' },
  { name: 'pod-image', value: 'NAME', description: 'kubernetes: image that runs lxmert-data' },
];

/** What the command does on a plan: the other options say which. */
export async function runOnPlan(
  options: OptionValues,
  context: CommandContext,
  planImages: () => Promise<ExtractPlan>,
): Promise<boolean> {
  const folder = checkFolder(textOption(options, 'plan') ?? '');
  const asked = ['worker', 'publish', 'status', 'on', 'retry-failed'].filter(
    name => options[name] !== undefined,
  );
  if (asked.length > 1) {
    throw new LxmertDataError('ERR_USAGE', {
      what: 'one thing at a time',
      expected: 'one of --worker, --publish, --status, --retry-failed and --on',
      got: asked.map(name => `--${name}`).join(' '),
    });
  }
  if (options['worker'] !== undefined) return await work(await openPlan(folder), options, context);
  if (options['retry-failed'] === true) return await retryFailed(await openPlan(folder), context);
  if (options['publish'] === true) return await publish(await openPlan(folder), options, context);
  if (options['status'] === true) return await showStatus(await openPlan(folder), options, context);
  // Planning and submitting in one go is what most do.
  const hasImages = options['images'] !== undefined;
  const plan = hasImages ? await makePlan(folder, options, context, planImages) : await openPlan(folder);
  if (options['on'] === 'slurm') return await submitToSlurm(plan, options, context);
  if (options['on'] === 'kubernetes') return showKubernetesJob(plan, options, context);
  const { images } = plan.file;
  const result = { event: 'result', stage: 'extract', ok: true, plan: plan.folder, out: plan.out } as const;
  context.emit({ ...result, images, units: plan.units });
  context.finish(`${plan.folder}: ${images} images in ${plan.units} units -> ${plan.out}`, {
    next: `on each of N machines, lxmert-data extract --plan ${quoted(plan.folder)} --worker I/N`,
  });
  return true;
}

/** Exit code of a worker that failed. */
export function exitCodeOfWorker(
  error: unknown,
  options: OptionValues,
  wasInterrupted: boolean,
): number | undefined {
  if (options['worker'] === undefined) return undefined;
  if (wasInterrupted) return EXIT.again;
  if (error instanceof ExtractorFailure) {
    const { exitCode } = error;
    return exitCode === EXIT.usage || exitCode === EXIT.weights || exitCode === EXIT.device
      ? exitCode
      : EXIT.failed;
  }
  if (!(error instanceof LxmertDataError)) return EXIT.failed;
  if (['ERR_USAGE', 'ERR_INPUT'].includes(error.code)) return EXIT.usage;
  return ['ERR_DEVICE', 'ERR_ENGINE', 'ERR_LIBRARY'].includes(error.code) ? EXIT.device : EXIT.failed;
}

function checkFolder(folder: string): string {
  if (/[^/]\.rows\/?$/.test(folder) && !/[\n\r]/.test(folder)) return resolve(folder);
  throw new LxmertDataError('ERR_USAGE', {
    what: '--plan needs a folder whose name ends in .rows',
    expected: 'X.rows, which becomes X.safetensors',
    got: JSON.stringify(folder),
  });
}

/** The output that a plan has where none is named. */
export function defaultOut(folder: string): string {
  return `${folder.replace(/\.rows\/?$/, '')}.safetensors`;
}

async function makePlan(
  folder: string,
  options: OptionValues,
  context: CommandContext,
  planImages: () => Promise<ExtractPlan>,
): Promise<ClusterPlan> {
  const backend = await fixBackend(options, context);
  const { images, out } = await planImages();
  const { plan, isNew } = await writePlan({
    folder,
    out,
    images,
    unitImages: integerOption(options, 'unit-images') ?? UNIT_IMAGES,
    backend,
    weights: await identifyWeights(backend['weights'] ?? ''),
  });
  context.emit({ event: 'note', message: isNew ? `planned in ${folder}` : `the same plan is there already` });
  return plan;
}

/** The options of the backend, which the plan keeps. */
async function fixBackend(options: OptionValues, context: CommandContext): Promise<Record<string, string>> {
  const given = textOption(options, 'backend');
  if (given === undefined) {
    throw new LxmertDataError('ERR_USAGE', {
      what: 'a plan needs --backend, since the machine that plans is not the one that computes',
      expected: '--backend torch, docker, apptainer or embedded',
    });
  }
  const { name, weights } = await chooseBackend(options, context);
  const fixed: Record<string, string> = {};
  for (const option of BACKEND_OPTIONS) {
    const value = textOption(options, option.name);
    if (value !== undefined)
      fixed[option.name] = option.name === 'image' && isSifBackend(name) ? resolve(value) : value;
  }
  return { ...fixed, backend: name, weights: weights === 'untrained' ? weights : resolve(weights) };
}

async function work(plan: ClusterPlan, options: OptionValues, context: CommandContext): Promise<boolean> {
  const { index, count } = readWorkerIndex(textOption(options, 'worker') ?? '', process.env);
  const { backend } = plan.file;
  const other = rowOptionsOf(backend['backend']).filter(
    name => options[name] !== undefined && options[name] !== backend[name],
  );
  if (other.length > 0) {
    throw new LxmertDataError('ERR_USAGE', {
      what: 'workers of a plan make the same rows',
      expected: other.map(name => `--${name} ${backend[name] ?? '(not given)'}`).join(' '),
      got: other.map(name => `--${name} ${String(options[name])}`).join(' '),
    });
  }
  const all = { ...backend, ...options };
  const weights = await identifyWeights(textOption(all, 'weights') ?? '');
  if (weights !== plan.file.weights) {
    throw new LxmertDataError('ERR_USAGE', {
      what: 'these are not the weights of the plan',
      where: textOption(all, 'weights'),
      expected: `sha256 ${plan.file.weights}`,
      got: weights,
    });
  }
  const chosen = await chooseBackend(all, context);
  const images = textOption(options, 'images');
  const root = images === undefined ? undefined : resolve(images);
  const result = await runPlanWorker({ plan, index, count, chosen, root }, options, context);
  context.emit({ event: 'result', stage: 'extract', ok: true, ...result });
  context.finish(
    `worker ${index} of ${count}: ${result.units} units, ${result.images} images computed in ${plan.folder}`,
    { done: result.images, next: `lxmert-data extract --plan ${quoted(plan.folder)} --status, or --publish` },
  );
  return true;
}

export interface PlanWorker extends WorkerIndex {
  readonly plan: ClusterPlan;
  readonly chosen: Backend;
  /** Folder of the images on this host; the plan's where not given. */
  readonly root: string | undefined;
  readonly ownOnly?: boolean;
}

/** Computes a worker's units of a plan. */
export async function runPlanWorker(
  { chosen, ...worker }: PlanWorker,
  options: OptionValues,
  context: CommandContext,
): Promise<WorkerResult> {
  const { out } = worker.plan;
  return await extractUnits(
    {
      ...worker,
      exchangeInPlan: chosen.name === 'docker',
      stallSeconds: integerOption(options, 'stall') ?? 600,
      job: textOption(options, 'job') ?? process.env['SLURM_JOB_ID'],
      prepare: async ({ rowFolder, root }) =>
        // Containers see the folder of all images, whichever unit comes.
        await chosen.prepare({
          out,
          rowFolder,
          images: [{ img_id: '', path: join(root, '*') }],
          force: false,
        }),
    },
    context,
  );
}

async function publish(plan: ClusterPlan, options: OptionValues, context: CommandContext): Promise<boolean> {
  const report = await openReport(options, []);
  const result = await publishPlan(await publishOptions(plan, options, context), context);
  await report.write(result);
  const { ok, ...details } = result;
  context.emit({ event: 'result', stage: 'extract', ok, ...details });
  printPublication(result, context);
  return ok;
}

async function retryFailed(plan: ClusterPlan, { emit, finish }: CommandContext): Promise<boolean> {
  const units = await reopenFailedUnits(plan);
  emit({ event: 'result', stage: 'extract', ok: true, reopened_units: units });
  if (units.length === 0) finish(`${plan.folder}: every image that was computed has its row`);
  else
    finish(`${plan.folder}: ${units.length} units are open again: ${nameUnits(units)}`, {
      next: 'run workers, then --publish',
    });
  return true;
}

export async function publishOptions(
  plan: ClusterPlan,
  options: OptionValues,
  context: CommandContext,
): Promise<PublishOptions> {
  return {
    plan,
    skipBad: options['skip-bad'] === true,
    keepRows: options['keep-rows'] === true,
    force: options['force'] === true,
    verdicts: await readVerdicts(context.data),
  };
}

/** The command to run on what an extraction made. */
export function nextFor(out: string): string {
  return `lxmert-data ${out.endsWith('.tsv') ? 'convert' : 'verify'} ${quoted(out)}`;
}

/** What was published, and where nothing was, why. */
export function printPublication(
  result: PublishResult,
  { print, fault, finish, error }: Pick<CommandContext, 'print' | 'fault' | 'finish' | 'error'>,
): void {
  const { out, rows, missing, missing_units: open, publisher } = result;
  if (result.detector?.weights === 'untrained') print(`  ${UNTRAINED_WARNING}`);
  for (const { img_id: id, reason } of missing.slice(0, MAX_LISTED)) fault(`  no row for ${id}: ${reason}`);
  if (out !== null) {
    finish(`${out}: ${rows} images`, { done: rows, next: nextFor(out) });
    return;
  }
  if (publisher !== undefined) {
    error(`nothing was published here: ${publisher} is publishing`);
    return;
  }
  const why = open.length > 0 ? describeMissingUnits(open) : `${missing.length} images have no row`;
  const then = open.length > 0 ? 'run workers again, then --publish' : 'leave them out with --skip-bad';
  error(`nothing was published: ${why}; ${then}`);
}

async function showStatus(
  plan: ClusterPlan,
  options: OptionValues,
  context: CommandContext,
): Promise<boolean> {
  let queue: Readonly<Record<string, number>> = {};
  let asked = -Infinity;
  for (;;) {
    if (Date.now() - asked >= QUEUE_MS) {
      queue = await readQueue(plan.folder, context);
      asked = Date.now();
    }
    const status = await readStatus(plan, Date.now());
    const isOver = options['watch'] !== true || status.published || status.units_done === status.units;
    if (isOver)
      context.emit({ event: 'result', stage: 'extract', ok: true, ...status, queue: describeQueue(queue) });
    const { done, total } = status;
    if (!isOver)
      context.emit({ event: 'progress', stage: 'extract', input: plan.out, done, total, unit: 'images' });
    printStatus(status, queue, context);
    if (isOver) {
      context.finish(`${plan.folder}: ${done} of ${total} images done`, { next: nextForPlan(plan, status) });
      return true;
    }
    await delay(WATCH_MS, undefined, { signal: context.signal });
  }
}

/** What a plan needs next: workers, to be published, or to be looked at. */
function nextForPlan(
  { folder, out }: ClusterPlan,
  { published, units_done: done, units }: ClusterStatus,
): string {
  if (published) return nextFor(out);
  const step = done === units ? '--publish' : '--worker I/N';
  return `lxmert-data extract --plan ${quoted(folder)} ${step}`;
}

function describeQueue(queue: Readonly<Record<string, number>>): readonly object[] {
  return Object.entries(queue).map(([state, tasks]) => ({ state, tasks }));
}

/** Tasks of all jobs of the plan that wait or run, by state. */
async function readQueue(folder: string, context: CommandContext): Promise<Readonly<Record<string, number>>> {
  const all: Record<string, number> = {};
  for (const { id } of await readJobs(folder)) {
    try {
      for (const [state, tasks] of Object.entries(await readSlurmQueue(id)))
        all[state] = (all[state] ?? 0) + tasks;
    } catch (error) {
      if (!(error instanceof LxmertDataError)) throw error;
      context.emit({ event: 'warning', message: `the queue is not known: ${error.parts.what}` });
      break;
    }
  }
  return all;
}

function printStatus(
  status: ClusterStatus,
  queue: Readonly<Record<string, number>>,
  { show }: CommandContext,
): void {
  const { done, total, failed, rate, seconds_left: left, units_done: units, workers } = status;
  const working = workers.filter(({ state }) => state === 'working');
  const silent = workers.filter(({ state }) => state === 'silent');
  const time = left === null || left === 0 ? '' : `, ${formatSeconds(left)} left`;
  show(
    `${done} of ${total} images, ${units} of ${status.units} units; ${rate.toPrecision(2)} images/s${time}`,
  );
  show(`  ${working.length} workers at work, ${status.units_without_worker} units without a worker`);
  if (failed > 0) show(`  ${failed} images have no row`);
  for (const { worker, host, silent_seconds: seconds } of silent.slice(0, MAX_LISTED))
    show(`  ${worker} on ${host} has been silent for ${seconds} s`);
  for (const [state, tasks] of Object.entries(queue)) show(`  Slurm: ${tasks} tasks ${state}`);
  if (status.published) show('  published');
}

function formatSeconds(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

async function submitToSlurm(
  plan: ClusterPlan,
  options: OptionValues,
  context: CommandContext,
): Promise<boolean> {
  const names = [...SLURM_COMMON, ...SLURM_WORKER];
  const workers = integerOption(options, 'workers') ?? 8;
  const scripts = writeSlurmScripts({
    folder: plan.folder,
    command: [
      process.execPath,
      fileURLToPath(new URL(`../main${extname(import.meta.filename)}`, import.meta.url)),
    ],
    workers,
    atOnce: integerOption(options, 'at-once') ?? workers,
    options: Object.fromEntries(names.map(name => [name, textOption(options, name)])),
    more: textOption(options, 'sbatch'),
  });
  const files = { work: join(plan.folder, 'job.sbatch'), publish: join(plan.folder, 'publish.sbatch') };
  for (const key of ['work', 'publish'] as const)
    await writeAtomically(files[key], 'sbatch', file => file.writeFile(scripts[key]), { force: true });
  if (options['dry-run'] === true) {
    context.emit({ event: 'result', stage: 'extract', ok: true, files: Object.values(files), job: null });
    context.show(`${files.work}: submit it with sbatch, then publish.sbatch with --dependency=afterany:JOB`);
    context.finish(`${plan.folder}: scripts of ${workers} workers written`, {
      next: `sbatch ${quoted(files.work)}, or the same without --dry-run`,
    });
    return true;
  }
  const { id, publish: end } = await submitSlurmJobs(plan.folder);
  await addJob(plan.folder, { engine: 'slurm', id, publish: end, time: Date.now() });
  context.emit({
    event: 'result',
    stage: 'extract',
    ok: true,
    files: Object.values(files),
    job: id,
    publish_job: end,
  });
  context.show(`job ${id}: ${workers} workers; job ${end} publishes ${plan.out} when they have ended`);
  context.finish(`${plan.folder}: ${plan.file.images} images submitted to Slurm`, {
    next: `lxmert-data extract --plan ${quoted(plan.folder)} --status --watch`,
  });
  return true;
}

function showKubernetesJob(plan: ClusterPlan, options: OptionValues, context: CommandContext): boolean {
  const required = (name: string): string => {
    const value = textOption(options, name);
    if (value !== undefined) return value;
    throw new LxmertDataError('ERR_USAGE', { what: `--on kubernetes needs --${name}` });
  };
  const workers = integerOption(options, 'workers') ?? 8;
  const job = describeKubernetesJob({
    name: textOption(options, 'job') ?? 'lxmert-data',
    image: required('pod-image'),
    claim: required('claim'),
    mount: textOption(options, 'mount') ?? '/shared',
    folder: plan.folder,
    workers,
    atOnce: integerOption(options, 'at-once') ?? workers,
    gpus: Number(textOption(options, 'gpus-per-task') ?? 0),
    cpus: textOption(options, 'cpus-per-task'),
    memory: textOption(options, 'mem'),
  });
  const manifest = toYaml(job);
  context.emit({ event: 'result', stage: 'extract', ok: true, manifest });
  context.show(manifest.trimEnd());
  context.finish(`${plan.folder}: a Job of ${workers} workers for ${plan.file.images} images`, {
    next: `kubectl apply it, then lxmert-data extract --plan ${quoted(plan.folder)} --status`,
    aside: true,
  });
  return true;
}
