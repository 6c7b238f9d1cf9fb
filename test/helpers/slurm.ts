import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

/** What a test of Slurm needs on the PATH. */
export const SLURM_TOOLS = ['munged', 'slurmctld', 'slurmd', 'sbatch', 'squeue', 'scontrol', 'scancel'];

const POLL_MS = 200;
const run = promisify(execFile);

/** A real Slurm of several nodes on this machine. */
export interface TestSlurm {
  readonly env: NodeJS.ProcessEnv;
  readonly nodes: readonly string[];
  /** Runs a command of Slurm and returns what it prints. */
  call(program: string, ...args: readonly string[]): Promise<string>;
  /** Process number of a node's daemon. */
  pidOf(node: string): Promise<number>;
  startNode(node: string): Promise<void>;
  /** Waits until no task of a job is in the queue. */
  waitFor(job: string): Promise<void>;
  stop(): Promise<void>;
}

/** Daemons are in /usr/sbin, which is on root's PATH only. */
export function slurmPath(): string {
  return `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
}

/** Ports that other tests do not use. */
export async function startSlurm(nodes = ['n1', 'n2', 'n3'], port = 16_817): Promise<TestSlurm> {
  const folder = await mkdtemp(join(tmpdir(), 'slurm-'));
  await chmod(folder, 0o755);
  for (const name of ['munge', 'state', ...nodes.map(node => `spool-${node}`)])
    await mkdir(join(folder, name));
  await writeFile(join(folder, 'munge', 'key'), randomBytes(1024), { mode: 0o400 });
  await writeFile(join(folder, 'slurm.conf'), describeCluster(folder, nodes, port));
  const env = { ...process.env, PATH: slurmPath(), SLURM_CONF: join(folder, 'slurm.conf') };
  const munge = (name: string): string => join(folder, 'munge', name);
  const files = ['key-file=key', 'socket=munge.socket', 'pid-file=pid', 'log-file=log', 'seed-file=seed'];
  const daemons = [
    spawn(
      'munged',
      [...files.map(file => `--${file.replace(/=.*/, '')}=${munge(file.replace(/.*=/, ''))}`), '-f', '-F'],
      { env, stdio: 'ignore' },
    ),
  ];
  const call = async (program: string, ...args: readonly string[]): Promise<string> =>
    (await run(program, args, { env })).stdout;
  const pidOf = async (node: string): Promise<number> =>
    Number(await readFile(join(folder, `slurmd-${node}.pid`), 'utf8'));
  const startNode = async (node: string): Promise<void> => {
    await call('slurmd', '-N', node, '-f', join(folder, 'slurm.conf'));
  };
  await until('munged', async () => await readFile(munge('pid')));
  await call('slurmctld', '-c', '-f', join(folder, 'slurm.conf'));
  for (const node of nodes) await startNode(node);
  await until('idle nodes', async () => {
    const states = (await call('sinfo', '-h', '-N', '-o', '%T')).trim().split('\n');
    if (states.length < nodes.length || states.some(state => state !== 'idle'))
      throw new Error(states.join());
  });
  return {
    env,
    nodes,
    call,
    pidOf,
    startNode,
    waitFor: async job =>
      await until(`the end of job ${job}`, async () => {
        const left = await call('squeue', '-h', '-r', '-j', job, '-o', '%i %T %r').catch(() => '');
        if (left.trim() !== '') throw new Error(left);
      }),
    stop: async () => {
      await call('scancel', '--signal=KILL', '--full', '--user=root').catch(() => undefined);
      for (const node of nodes) kill(await pidOf(node).catch(() => 0));
      kill(Number(await readFile(join(folder, 'slurmctld.pid'), 'utf8').catch(() => '0')));
      for (const daemon of daemons) daemon.kill('SIGKILL');
      await delay(POLL_MS);
      await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    },
  };
}

function kill(pid: number): void {
  try {
    if (pid > 0) process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** Waits until something does not fail any more. */
export async function until<T>(what: string, probe: () => Promise<T>, seconds = 60): Promise<T> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    try {
      return await probe();
    } catch (error) {
      if (Date.now() > end) throw new Error(`waited ${seconds} s for ${what}`, { cause: error });
    }
    await delay(POLL_MS);
  }
}

function describeCluster(folder: string, nodes: readonly string[], port: number): string {
  const host = hostname();
  const lines = [
    'ClusterName=test',
    `SlurmctldHost=${host}(127.0.0.1)`,
    'SlurmUser=root',
    'SlurmdUser=root',
    'AuthType=auth/munge',
    `AuthInfo=socket=${folder}/munge/munge.socket`,
    `StateSaveLocation=${folder}/state`,
    `SlurmdSpoolDir=${folder}/spool-%n`,
    `SlurmdLogFile=${folder}/slurmd-%n.log`,
    `SlurmdPidFile=${folder}/slurmd-%n.pid`,
    `SlurmctldPidFile=${folder}/slurmctld.pid`,
    `SlurmctldLogFile=${folder}/slurmctld.log`,
    `SlurmctldPort=${port}`,
    'ProctrackType=proctrack/linuxproc',
    'TaskPlugin=task/none',
    'SwitchType=switch/none',
    'MpiDefault=none',
    'SelectType=select/cons_tres',
    'SelectTypeParameters=CR_CPU',
    'ReturnToService=2',
    'SlurmdTimeout=8',
    'KillWait=5',
    'SchedulerParameters=sched_min_interval=100000,bf_interval=2',
    'AccountingStorageType=accounting_storage/none',
    'JobAcctGatherType=jobacct_gather/none',
    'JobCompType=jobcomp/filetxt',
    `JobCompLoc=${folder}/jobcomp.log`,
    `PartitionName=cpu Nodes=${nodes.join(',')} Default=YES MaxTime=INFINITE State=UP`,
  ];
  const described = nodes.map(
    (node, index) =>
      `NodeName=${node} NodeHostname=${host} NodeAddr=127.0.0.1 Port=${port + 100 + index} CPUs=2 RealMemory=2000 State=UNKNOWN`,
  );
  return `${[...lines.slice(0, -1), ...described, lines.at(-1)!].join('\n')}\n`;
}
