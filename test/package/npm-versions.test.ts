import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { copyCheckout, installTools, type NpmTools, runIn, testInCi } from '../helpers/package.ts';

/**
 * The oldest Node.js that bootstrap takes, with the npm that it brings; then the current npm of later lines. npm 12 needs a newer
 * Node.js. The last npm 10 is that of .ci/bare-machine.
 */
const VERSIONS: readonly NpmTools[] = [
  { npm: '10.1.0', node: '20.9.0' },
  { npm: '11.21.2', node: '22.23.3' },
  { npm: '12.2.1' },
];

async function worksInFreshClone(t: ExecutionContext, tools: NpmTools): Promise<void> {
  t.timeout(600_000);
  const bin = await installTools(t, tools);
  const clone = await copyCheckout(t);
  t.teardown(() => rm(join(clone, 'node_modules'), { recursive: true, force: true }));
  const first = await runIn(t, clone, ['npm', 'start', '--', '--help'], [bin]);
  t.regex(first.stdout, /Usage: lxmert-data start/);
  t.notRegex(first.stderr, /project config|allowScripts|install scripts/);
  const second = await runIn(t, clone, ['npm', 'run', 'validate', '--', '--help'], [bin]);
  t.regex(second.stdout, /Usage: lxmert-data validate/);
  t.notRegex(second.stderr, /Installing|project config/);
}

for (const tools of VERSIONS) {
  testInCi(`npm ${tools.npm} installs and runs the commands in a fresh clone`, worksInFreshClone, tools);
}
