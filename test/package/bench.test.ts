import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { ROOT } from '../helpers/cli.ts';

test('bench/README.md lists the programs that npm run bench starts, and each of them exists', async t => {
  const text = await readFile(join(ROOT, 'bench', 'programs.json'), 'utf8');
  const programs = JSON.parse(text) as Record<string, { file: string; about: string }>;
  const readme = await readFile(join(ROOT, 'bench', 'README.md'), 'utf8');
  for (const [name, { file, about }] of Object.entries(programs)) {
    t.true(readme.includes(`| \`${name}\` | ${about} |`), name);
    t.true((await readFile(join(ROOT, 'bench', file), 'utf8')).length > 0);
  }
});
