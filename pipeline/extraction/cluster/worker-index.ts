import { LxmertDataError } from '../../errors.ts';
import type { WorkerIndex } from './schedule.ts';

/** Where engines put the index of a task: the variable, its first value (or the variable that has it), and the number of tasks. */
const ENGINES: readonly {
  readonly index: string;
  readonly first: number | string;
  readonly count?: string;
}[] = [
  { index: 'SLURM_ARRAY_TASK_ID', first: 'SLURM_ARRAY_TASK_MIN', count: 'SLURM_ARRAY_TASK_COUNT' },
  { index: 'JOB_COMPLETION_INDEX', first: 0 },
  { index: 'AWS_BATCH_JOB_ARRAY_INDEX', first: 0, count: 'AWS_BATCH_JOB_ARRAY_SIZE' },
  { index: 'PBS_ARRAY_INDEX', first: 1, count: 'PBS_ARRAY_COUNT' },
  { index: 'PBS_ARRAYID', first: 1 },
  { index: 'SGE_TASK_ID', first: 'SGE_TASK_FIRST' },
  { index: 'LSB_JOBINDEX', first: 1, count: 'LSB_JOBINDEX_END' },
  // Of a replicated job, whose slots count from 0.
  { index: 'SWARM_TASK_SLOT', first: 0 },
];

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The index of this worker: `I/N`; or `N` or `auto`, where the engine gives the index in the environment, with N where
 * it does not give their number. Fails with ERR_USAGE.
 */
export function readWorkerIndex(text: string, env: Environment): WorkerIndex {
  const [, first, second] = /^(\d+)(?:\/(\d+))?$/.exec(text) ?? [];
  if (second !== undefined) return checkIndex({ index: Number(first), count: Number(second) }, text);
  if (first === undefined && text !== 'auto') throw wrong(text, 'I/N such as 3/8, N, or auto');
  return fromEnvironment(first === undefined ? undefined : Number(first), env);
}

function fromEnvironment(wanted: number | undefined, env: Environment): WorkerIndex {
  const number = (name: string | undefined): number | undefined => {
    const value = name === undefined ? undefined : env[name];
    return value === undefined || !/^\d+$/.test(value) ? undefined : Number(value);
  };
  for (const engine of ENGINES) {
    const value = number(engine.index) ?? firstSlot(engine.index, env);
    // LSF sets 0, and SGE "undefined", outside of arrays.
    if (value === undefined || (engine.index === 'LSB_JOBINDEX' && value === 0)) continue;
    const first = typeof engine.first === 'number' ? engine.first : (number(engine.first) ?? 1);
    const count = wanted ?? number(engine.count);
    if (count === undefined) throw wrong(`${engine.index}=${value}`, `--worker N, the number of workers`);
    return checkIndex({ index: value - first + 1, count }, `${engine.index}=${value} of ${count}`);
  }
  throw wrong(
    'an environment without an index',
    `--worker I/N, or one of ${ENGINES.map(({ index }) => index).join(', ')}`,
  );
}

/** Swarm knows no slot 0: in its place, its template gives the id of the node, 25 letters and digits. */
function firstSlot(name: string, env: Environment): number | undefined {
  return name === 'SWARM_TASK_SLOT' && /^[a-z\d]{25}$/.test(env[name] ?? '') ? 0 : undefined;
}

function checkIndex(index: WorkerIndex, text: string): WorkerIndex {
  if (index.index >= 1 && index.index <= index.count) return index;
  throw wrong(text, 'an index from 1 to the number of workers');
}

function wrong(got: string, expected: string): LxmertDataError {
  return new LxmertDataError('ERR_USAGE', { what: '--worker needs an index', expected, got });
}
