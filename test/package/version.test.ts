import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { TOOL_VERSION } from '../../pipeline/version.ts';
import { ROOT } from '../helpers/cli.ts';

test('npm package, lockfile, Python package and changelog have one version', async t => {
  const lock = JSON.parse(await readFile(join(ROOT, 'package-lock.json'), 'utf8')) as { version: string };
  t.is(lock.version, TOOL_VERSION);
  const python = await readFile(join(ROOT, 'reader', 'src', 'lxmert_data', '_version.py'), 'utf8');
  t.is(/__version__ = "(.*)"/.exec(python)?.[1], TOOL_VERSION);
  t.true((await readFile(join(ROOT, 'CHANGELOG.md'), 'utf8')).includes(`\n## ${TOOL_VERSION}\n`));
});
