import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import test from 'ava';
import { planShared, run, sha256 } from '../../helpers/cluster.ts';
import { ROOT, startProgram } from '../../helpers/cli.ts';
import { hasLinuxEngine } from '../../helpers/tools.ts';

/*
 * Workers as a job of Docker Swarm, as in docs/cluster.md, with a real engine that is a swarm of one node meanwhile. The containers run this
 * checkout: they see it, and the programs and libraries of this machine, read-only.
 */

const IMAGE = 'debian:bookworm-slim';

const lacks = findLack();

/** What is missing for a swarm; where nothing is, there is one, which this file leaves again. */
function findLack(): string | undefined {
  if (!hasLinuxEngine()) return 'a Docker engine for Linux on this machine';
  if (docker('image', 'inspect', IMAGE).status !== 0) return `the image ${IMAGE}`;
  if (docker('info', '--format', '{{.Swarm.LocalNodeState}}').stdout.trim() !== 'inactive')
    return 'an engine that is in no swarm';
  if (docker('swarm', 'init', '--advertise-addr', '127.0.0.1').status !== 0)
    return 'an engine that can be a swarm';
  test.after.always(() => void docker('swarm', 'leave', '--force'));
  return undefined;
}

function docker(...args: readonly string[]): { readonly status: number | null; readonly stdout: string } {
  return spawnSync('docker', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

const title = 'the tasks of a replicated job of Docker Swarm are the workers of a plan';

(lacks === undefined ? test : test.skip)(
  lacks === undefined ? title : `${title} (needs ${lacks})`,
  async t => {
    const shared = await planShared(t, 12, 2);
    const mounts = [shared.folder, ROOT, '/usr'].map(
      path => `type=bind,source=${path},target=${path}${path === shared.folder ? '' : ',readonly'}`,
    );
    const job = `lxmert-data-test-${process.pid}`;
    const created = await startProgram('docker', [
      ...['service', 'create', '--name', job, '--network', 'host'],
      ...['--mode', 'replicated-job', '--replicas', '4', '--max-concurrent', '2'],
      ...['--restart-condition', 'on-failure', '--user', `${process.getuid!()}:${process.getgid!()}`],
      ...mounts.flatMap(mount => ['--mount', mount]),
      ...['--env', 'SWARM_TASK_SLOT={{.Task.Slot}}'],
      ...['--env', `PATH=${dirname(process.execPath)}:/usr/bin:/bin`],
      ...[IMAGE, process.execPath, join(ROOT, 'pipeline', 'cli', 'main.ts')],
      ...['extract', '--plan', shared.rows, '--worker', '4'],
    ]).result;
    t.teardown(() => void docker('service', 'rm', job));
    // The command ends with its job.
    t.is(created.code, 0, created.stdout + created.stderr);
    t.regex(docker('service', 'ls', '--filter', `name=${job}`).stdout, /\(4\/4 completed\)/);
    await run(t, ['extract', '--plan', shared.rows, '--publish']);
    t.is(await sha256(shared.out), shared.single);
  },
);
