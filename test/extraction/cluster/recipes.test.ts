import { join } from 'node:path';
import { planShared, run, sha256 } from '../../helpers/cluster.ts';
import { ROOT, startProgram } from '../../helpers/cli.ts';
import { testWithTools } from '../../helpers/tools.ts';

testWithTools('GNU parallel starts the workers of a plan', ['parallel'], async t => {
  const shared = await planShared(t, 9, 2);
  // As in docs/cluster.md; ":" is this host.
  const hosts = [
    '--sshlogin',
    ':',
    '--jobs',
    '2',
    process.execPath,
    join(ROOT, 'pipeline', 'cli', 'main.ts'),
  ];
  const words = [...hosts, 'extract', '--plan', shared.rows, '--worker', '{}/2', ':::', '1', '2'];
  const { code, stderr } = await startProgram('parallel', words).result;
  t.is(code, 0, stderr);
  await run(t, ['extract', '--plan', shared.rows, '--publish']);
  t.is(await sha256(shared.out), shared.single);
});
