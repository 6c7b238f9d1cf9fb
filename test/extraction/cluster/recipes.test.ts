import { writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ROOT, startProgram } from '../../helpers/cli.ts';
import { planShared, run, sha256, type SharedFolder } from '../../helpers/cluster.ts';
import { startRay } from '../../helpers/ray.ts';
import { testWithTools } from '../../helpers/tools.ts';

/* The recipes of docs/cluster.md for engines that only start a command. */

const COMMAND = [process.execPath, join(ROOT, 'pipeline', 'cli', 'main.ts')];
/** A Python that has Ray and Snakemake. */
const ENGINES = process.env['ENGINES_PYTHON'];

function testWithEngines(title: string, body: (t: ExecutionContext, bin: string) => Promise<void>): void {
  if (ENGINES === undefined) test.skip(`${title} (needs ENGINES_PYTHON)`, () => undefined);
  else test.serial(title, async t => await body(t, dirname(ENGINES)));
}

async function publish(t: ExecutionContext, shared: SharedFolder): Promise<void> {
  await run(t, ['extract', '--plan', shared.rows, '--publish']);
  t.is(await sha256(shared.out), shared.single);
}

testWithTools('GNU parallel starts the workers of a plan', ['parallel'], async t => {
  const shared = await planShared(t, 9, 2);
  // ":" is this host.
  const hosts = ['--sshlogin', ':', '--jobs', '2', ...COMMAND];
  const args = [...hosts, 'extract', '--plan', shared.rows, '--worker', '{}/2', ':::', '1', '2'];
  const { code, stderr } = await startProgram('parallel', args).result;
  t.is(code, 0, stderr);
  await publish(t, shared);
});

testWithEngines('Snakemake starts the workers of a plan and publishes its store', async (t, bin) => {
  const shared = await planShared(t, 9, 2);
  const command = COMMAND.join(' ');
  const rules = [
    'rule store:',
    '    input: expand("done/{i}", i=range(1, 4))',
    `    output: "${shared.out}"`,
    `    shell: "${command} extract --plan ${shared.rows} --publish"`,
    'rule worker:',
    `    input: "${shared.rows}/plan.json"`,
    '    output: touch("done/{i}")',
    `    shell: "${command} extract --plan ${shared.rows} --worker {wildcards.i}/3"`,
  ];
  await writeFile(join(shared.folder, 'Snakefile'), `${rules.join('\n')}\n`);
  const env = { HOME: shared.folder, PATH: [bin, process.env['PATH']].join(delimiter) };
  const args = [
    '--cores',
    '2',
    '--directory',
    shared.folder,
    '--snakefile',
    join(shared.folder, 'Snakefile'),
  ];
  const { code, stderr } = await startProgram(join(bin, 'snakemake'), args, { env }).result;
  t.is(code, 0, stderr);
  t.is(await sha256(shared.out), shared.single);
});

testWithEngines('Ray Jobs, submitted by REST, are the workers of a plan', async (t, bin) => {
  const shared = await planShared(t, 9, 2);
  const { submit, waitFor } = await startRay(t, bin);
  const command = [...COMMAND, 'extract', '--plan', shared.rows, '--worker'].join(' ');
  for (const job of await Promise.all([submit(`${command} 1/2`), submit(`${command} 2/2`)])) {
    const { state, log } = await waitFor(job);
    t.is(state, 'SUCCEEDED', log);
  }
  await publish(t, shared);
});
