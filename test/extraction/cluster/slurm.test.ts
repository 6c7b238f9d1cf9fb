import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext, type Implementation } from 'ava';
import { BACKEND, planShared, run, sha256, type SharedFolder } from '../../helpers/cluster.ts';
import { startProgram } from '../../helpers/cli.ts';
import { SLURM_TOOLS, slurmPath, startSlurm, type TestSlurm, until } from '../../helpers/slurm.ts';
import { hasTool, testWithTools } from '../../helpers/tools.ts';

const IMAGES = 36;
const UNIT = 3;

process.env['PATH'] = slurmPath();
let parent = '';
let slurm: TestSlurm | undefined;
let shared: SharedFolder | undefined;

test.serial.before(async t => {
  if (SLURM_TOOLS.some(tool => !hasTool(tool)) || process.getuid?.() !== 0) return;
  parent = await mkdtemp(join(tmpdir(), 'lxmert-data-test-'));
  slurm = await startSlurm();
  shared = await planShared(t, IMAGES, UNIT, parent);
});

test.after.always(async () => {
  await slurm?.stop();
  if (parent !== '') await rm(parent, { recursive: true, force: true });
});

/** Daemons, namespaces and mounts are root's. */
function testAsRoot(title: string, tools: readonly string[], body: Implementation<[]>): void {
  if (process.getuid?.() === 0) testWithTools(title, tools, body);
  else test.skip(`${title} (needs root)`, body);
}

function ready(): { slurm: TestSlurm; shared: SharedFolder } {
  if (slurm === undefined || shared === undefined) throw new Error('Slurm did not start; it needs root');
  return { slurm, shared };
}

async function mkdirIn(parent: string, name: string): Promise<string> {
  await mkdir(join(parent, name), { recursive: true });
  return join(parent, name);
}

interface Submission {
  readonly rows: string;
  readonly out: string;
  readonly job: string;
  readonly publish: string;
}

/** Plans the shared images in a folder of that name, and submits it. */
async function submit(t: ExecutionContext, name: string, ms: number, more: readonly string[] = []) {
  const { slurm, shared } = ready();
  const rows = join(await mkdirIn(shared.folder, name), 'x.rows');
  const args = ['--images', shared.images, '--plan', rows, '--unit-images', String(UNIT), ...BACKEND];
  const on = ['--on', 'slurm', '--workers', '4', '--mem', '100M', ...more, '--json'];
  const env = { ...slurm.env, EXTRACTOR_MS: String(ms) };
  const { stdout } = await run(t, ['extract', 'custom', ...args, ...on], 0, env);
  const last = JSON.parse(stdout.trim().split('\n').at(-1)!) as { job: string; publish_job: string };
  return { rows, out: join(rows, '..', 'x.safetensors'), job: last.job, publish: last.publish_job };
}

/** Numbers of the processes of a plan's workers. */
async function workersOf({ rows }: Submission, least: number) {
  return await until(`${least} workers at work`, async () => {
    const names = (await readdir(join(rows, 'workers'))).filter(name => name.endsWith('.json'));
    const beats = await Promise.all(
      names.map(
        async name =>
          JSON.parse(await readFile(join(rows, 'workers', name), 'utf8')) as {
            pid: number;
            index: number;
            state: string;
          },
      ),
    );
    const working = beats.filter(({ state }) => state === 'working');
    if (working.length < least) throw new Error(JSON.stringify(beats));
    return working;
  });
}

/** Slurm makes a requeued task wait for two minutes; a test does not. */
async function hurry({ job }: Submission): Promise<void> {
  const { slurm } = ready();
  const queue = (await slurm.call('squeue', '-h', '-r', '-j', job, '-o', '%i|%T|%r').catch(() => '')).trim();
  for (const line of queue.split('\n')) {
    const [id, , reason] = line.split('|');
    if (reason === 'BeginTime')
      await slurm.call('scontrol', 'update', `jobid=${id!}`, 'StartTime=now').catch(() => '');
  }
}

/** Waits for the publication of a submission, whatever is requeued in between. */
async function published(t: ExecutionContext, submission: Submission): Promise<void> {
  const { slurm, shared } = ready();
  await until(
    'publication',
    async () => {
      await delay(1000);
      await hurry(submission);
      const left = await slurm
        .call('squeue', '-h', '-j', `${submission.job},${submission.publish}`, '-o', '%i %T %r')
        .catch(() => '');
      if (left.trim() !== '') throw new Error(left);
    },
    150,
  );
  const logs = await readLogs(submission.rows);
  t.is(await sha256(submission.out).catch(() => logs), shared.single, logs);
}

async function readLogs(rows: string): Promise<string> {
  const names = await readdir(join(rows, 'logs'));
  const texts = await Promise.all(
    names.map(async name => `${name}:\n${await readFile(join(rows, 'logs', name), 'utf8')}`),
  );
  return texts.join('\n').slice(-4000);
}

testAsRoot('an array on three nodes loses a worker, and one runs out of time', SLURM_TOOLS, async t => {
  t.timeout(280_000);
  const { slurm } = ready();
  const submission = await submit(t, `it's "a" folder %A $(touch x)`, 300);
  const [killed, timedOut] = await workersOf(submission, 2);
  process.kill(killed!.pid, 'SIGKILL');
  // What --signal=B:TERM does before the time limit.
  await slurm.call('scancel', '--signal=TERM', '--batch', `${submission.job}_${timedOut!.index}`);
  const { stdout } = await run(t, ['extract', '--plan', submission.rows, '--status', '--json'], 0, slurm.env);
  const status = JSON.parse(stdout.trim().split('\n').at(-1)!) as {
    total: number;
    queue: { state: string }[];
  };
  t.is(status.total, IMAGES);
  t.true(status.queue.length > 0, stdout);
  await published(t, submission);
  t.regex(await readLogs(submission.rows), /interrupted by SIGTERM/);
});

testAsRoot(
  'nodes that are lost: their tasks run elsewhere while their processes go on',
  SLURM_TOOLS,
  async t => {
    t.timeout(280_000);
    const { slurm } = ready();
    const submission = await submit(t, 'lost', 600);
    await workersOf(submission, 3);
    const [dead, stopped] = await Promise.all(['n1', 'n2'].map(async node => await slurm.pidOf(node)));
    process.kill(dead!, 'SIGKILL');
    process.kill(stopped!, 'SIGSTOP');
    try {
      await published(t, submission);
    } finally {
      process.kill(stopped!, 'SIGCONT');
      await slurm.startNode('n1');
    }
  },
);

testAsRoot(
  'a cancelled array stays cancelled, names what is missing, and can be submitted again',
  SLURM_TOOLS,
  async t => {
    t.timeout(280_000);
    const { slurm } = ready();
    const first = await submit(t, 'cancelled', 400);
    await workersOf(first, 2);
    await slurm.call('scancel', first.job);
    await slurm.waitFor(first.job);
    await slurm.waitFor(first.publish);
    t.regex(await readLogs(first.rows), /nothing was published: \d+ units are not done: unit-0000/);
    await published(t, await submit(t, 'cancelled', 0));
  },
);

testAsRoot(
  'a requeued task goes on, and one that reaches its time limit comes again by itself',
  SLURM_TOOLS,
  async t => {
    t.timeout(280_000);
    const { slurm } = ready();
    const limit = ['--time', '00:01:00', '--sbatch', '--signal=B:TERM@50', '--at-once', '2'];
    const submission = await submit(t, 'requeued', 900, limit);
    const [worker] = await workersOf(submission, 1);
    await slurm.call('scontrol', 'requeue', `${submission.job}_${worker!.index}`);
    await published(t, submission);
  },
);

testAsRoot('two hosts do the same worker, each as process 1 or 2 of its own', ['unshare'], async t => {
  t.timeout(120_000);
  const { shared } = ready();
  const rows = join(await mkdirIn(shared.folder, 'hosts'), 'x.rows');
  const args = ['--images', shared.images, '--plan', rows, '--unit-images', String(UNIT), ...BACKEND];
  await run(t, ['extract', 'custom', ...args]);
  const command = `hostname "$0"; exec ${process.execPath} pipeline/cli/main.ts extract --plan ${rows} --worker 1/1`;
  const hosts = ['host-a', 'host-b'].map(
    host =>
      startProgram('unshare', ['--pid', '--fork', '--mount-proc', '--uts', 'sh', '-c', command, host], {
        env: { EXTRACTOR_MS: '50' },
      }).result,
  );
  for (const { code, stderr } of await Promise.all(hosts)) t.is(code, 0, stderr);
  await run(t, ['extract', '--plan', rows, '--publish']);
  t.is(await sha256(join(rows, '..', 'x.safetensors')), shared.single);
});

testAsRoot('a full disk ends a worker, and with room it goes on', ['mount'], async t => {
  t.timeout(120_000);
  const { shared } = ready();
  const disk = await mkdirIn(shared.folder, 'small');
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=5m', 'tmpfs', disk]);
  try {
    const rows = join(disk, 'x.rows');
    const args = ['--images', shared.images, '--plan', rows, '--unit-images', String(UNIT), ...BACKEND];
    await run(t, ['extract', 'custom', ...args]);
    const { stderr } = await run(t, ['extract', '--plan', rows, '--worker', '1/1'], 1);
    t.regex(stderr, /not enough disk space/);
    execFileSync('mount', ['-o', 'remount,size=200m', disk]);
    await run(t, ['extract', '--plan', rows, '--worker', '1/1']);
    await run(t, ['extract', '--plan', rows, '--publish']);
    t.is(await sha256(join(disk, 'x.safetensors')), shared.single);
  } finally {
    execFileSync('umount', ['-l', disk]);
  }
});
