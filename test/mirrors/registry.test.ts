import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { v } from '../../pipeline/schema.ts';
import { mirrorSchema } from '../../pipeline/mirrors/registry.ts';
import { ROOT } from '../helpers/cli.ts';

test('every file that defines a kind of mirror is in the registry, and in the README of the manifests', async t => {
  const folder = join(ROOT, 'pipeline', 'mirrors');
  const readme = await readFile(join(ROOT, 'manifests', 'README.md'), 'utf8');
  let kinds = 0;
  for (const name of await readdir(folder)) {
    const text = await readFile(join(folder, name), 'utf8');
    const [, provider] = /defineMirrorKind\(\{\s*provider: '([^']+)'/.exec(text) ?? [];
    if (provider === undefined) continue;
    kinds++;
    const result = v.safeParse(mirrorSchema, { provider });
    t.false(JSON.stringify(result.issues?.map(issue => issue.path?.[0]?.key)).includes('provider'), name);
    t.true(readme.includes(`\`${provider}\``), provider);
  }
  t.true(kinds >= 6);
});

test('an unknown kind is refused by name', t => {
  const result = v.safeParse(mirrorSchema, { provider: 'ftp', title: 'x' });
  t.false(result.success);
  t.regex(result.issues?.[0].message ?? '', /"https" \| "google-drive"/);
});
