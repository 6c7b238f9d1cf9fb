import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { errorText, isErrno, LxmertDataError } from '../../errors.ts';

/** The largest index that slurm.conf allows where nothing is set. */
const MAX_WORKERS = 1000;
/** TERM comes up to 60 seconds before this; enough to sync the rows. */
const SECONDS_BEFORE_LIMIT = 180;
const MAX_REQUEUES = 20;

/** Options of sbatch by their names there. */
export type SlurmOptions = Readonly<Record<string, string | undefined>>;

/** Options that the array and the publication get, and those of the array alone. */
export const SLURM_COMMON = ['partition', 'account', 'qos', 'constraint'] as const;
export const SLURM_WORKER = ['time', 'gres', 'gpus-per-task', 'cpus-per-task', 'mem'] as const;

export interface SlurmJob {
  /** X.rows, by a path that all nodes know. */
  readonly folder: string;
  /** Program and first arguments of this tool, before `extract`. */
  readonly command: readonly string[];
  readonly workers: number;
  /** Workers that may run at the same time. */
  readonly atOnce: number;
  readonly options: SlurmOptions;
  /** More options of sbatch, as they stand on its command line. */
  readonly more?: string | undefined;
}

/** Text of job.sbatch and publish.sbatch. Fails (ERR_USAGE) where options cannot stand on a line of it. */
export function writeSlurmScripts(job: SlurmJob): { readonly work: string; readonly publish: string } {
  const { folder, workers, atOnce, options, more } = job;
  if (workers < 1 || workers > MAX_WORKERS || atOnce < 1)
    throw wrong('--workers', `1 to ${MAX_WORKERS}`, String(workers));
  const common = SLURM_COMMON.flatMap(name => option(name, options[name]));
  const own = SLURM_WORKER.flatMap(name => option(name, options[name]));
  // Slurm puts in what its own % stand for.
  const logs = join(folder, 'logs').replaceAll('%', '%%');
  const log = (name: string): string => `--output=${sbatchQuote(join(logs, name))}`;
  const lines = [
    '--job-name=lxmert-data',
    `--array=1-${workers}%${Math.min(atOnce, workers)}`,
    '--requeue',
    '--open-mode=append',
    `--signal=B:TERM@${SECONDS_BEFORE_LIMIT}`,
    log('%A_%a.out'),
    ...common,
    ...own,
    ...(more === undefined ? [] : [oneLine('--sbatch', more)]),
  ];
  const publishLines = ['--job-name=lxmert-data-publish', '--open-mode=append', log('%j.out'), ...common];
  const run = [...job.command, 'extract', '--plan', folder].map(shellQuote).join(' ');
  return { work: workScript(lines, run, workers), publish: publishScript(publishLines, run) };
}

function workScript(lines: readonly string[], run: string, workers: number): string {
  return `#!/bin/bash
${lines.map(line => `#SBATCH ${line}`).join('\n')}

# A worker of a planned extraction; it may be submitted again at any time, by hand too: sbatch job.sbatch
${run} --worker "$SLURM_ARRAY_TASK_ID/${workers}" --job "$SLURM_ARRAY_JOB_ID" &
pid=$!
trap 'kill -TERM "$pid" 2>/dev/null' TERM
wait "$pid"
code=$?
# A signal ends the wait, not the worker.
while kill -0 "$pid" 2>/dev/null; do
  wait "$pid"
  code=$?
done
# 75: interrupted, come again; from 128 on: killed. A job that was cancelled or requeued by others does not run any more.
task="\${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
if { [ "$code" = 75 ] || [ "$code" -ge 128 ]; } && [ "\${SLURM_RESTART_COUNT:-0}" -lt ${MAX_REQUEUES} ]; then
  # The controller may be busy.
  for try in 1 2 3 4 5; do
    state=$(squeue -h -j "$task" -o %T) && break
    sleep 5
  done
  echo "worker ended with code $code; task $task is \${state:-not known}"
  for try in 1 2 3 4 5; do
    if [ "$state" != RUNNING ] || scontrol requeue "$task"; then break; fi
    sleep 5
  done
fi
exit "$code"
`;
}

function publishScript(lines: readonly string[], run: string): string {
  return `#!/bin/bash
${lines.map(line => `#SBATCH ${line}`).join('\n')}

# Makes the store when all workers have ended, well or not; names the units that are missing.
exec ${run} --publish
`;
}

function option(name: string, value: string | undefined): readonly string[] {
  return value === undefined ? [] : [`--${name}=${sbatchQuote(oneLine(`--${name}`, value))}`];
}

/** A word for a shell, whatever is in it. */
export function shellQuote(text: string): string {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** A word for a line of #SBATCH, whose reader knows quotes and backslashes. */
function sbatchQuote(text: string): string {
  return /^[\w./:@%+=,*|&()[\]-]+$/.test(text) ? text : `"${text.replace(/["\\]/g, String.raw`\$&`)}"`;
}

function oneLine(name: string, value: string): string {
  if (!/[\n\r]/.test(value)) return value;
  throw wrong(name, 'one line', JSON.stringify(value));
}

function wrong(name: string, expected: string, got: string): LxmertDataError {
  return new LxmertDataError('ERR_USAGE', { what: `${name} cannot be given to Slurm`, expected, got });
}

/** Submits the array and, to follow it however it ends, the publication; returns the numbers of both jobs. */
export async function submitSlurmJobs(
  folder: string,
): Promise<{ readonly id: string; readonly publish: string }> {
  const id = await submit([join(folder, 'job.sbatch')]);
  const publish = await submit([`--dependency=afterany:${id}`, join(folder, 'publish.sbatch')]);
  return { id, publish };
}

async function submit(args: readonly string[]): Promise<string> {
  const printed = await runSlurm('sbatch', ['--parsable', ...args]);
  // In a federation the name of the cluster follows.
  const [, id] = /^(\d+)/.exec(printed) ?? [];
  if (id !== undefined) return id;
  throw new LxmertDataError('ERR_ENGINE', {
    what: 'sbatch did not print the number of a job',
    got: printed.trim().slice(0, 200),
  });
}

/** Tasks of a job that still wait or run: how many are in each state, with Slurm's reason for those that wait. */
export async function readSlurmQueue(id: string): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  let printed: string;
  try {
    printed = await runSlurm('squeue', ['-h', '-r', '-j', id, '-o', '%i|%T|%r']);
  } catch (error) {
    // Jobs that ended long ago are not known any more.
    if (error instanceof LxmertDataError && error.parts.got?.includes('Invalid job id') === true)
      return counts;
    throw error;
  }
  for (const line of printed.split('\n').filter(text => text !== '')) {
    const [, state = '', reason = ''] = line.split('|');
    const key = state === 'PENDING' ? `${state} (${reason})` : state;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

async function runSlurm(program: string, args: readonly string[]): Promise<string> {
  return await new Promise((resolve, reject) => {
    execFile(program, args, { timeout: 60_000, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(describe(program, error, stderr));
    });
  });
}

function describe(program: string, error: Error, stderr: string): LxmertDataError {
  const isMissing = isErrno(error, 'ENOENT');
  return new LxmertDataError('ERR_ENGINE', {
    what: isMissing ? `there is no ${program} here` : `${program} failed`,
    got: isMissing ? undefined : stderr.trim().slice(-1000) || errorText(error),
    hint: isMissing
      ? 'run this on a login node of the cluster; --dry-run writes the files for it anywhere'
      : "change the options, or submit the file by hand; it is in the plan's folder",
    cause: error,
  });
}
