import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { PROBLEM_KINDS } from '../pipeline/problem.ts';
import { ROOT } from './helpers/cli.ts';

async function pages(): Promise<readonly (readonly [name: string, text: string])[]> {
  const docs = (await readdir(join(ROOT, 'docs'))).filter(name => name.endsWith('.md'));
  const top = (await readdir(ROOT)).filter(name => name.endsWith('.md'));
  const names = [
    ...docs.map(name => join('docs', name)),
    ...top,
    'reader/README.md',
    'docker/README.md',
    'manifests/README.md',
  ];
  return await Promise.all(
    names.map(async name => [name, await readFile(join(ROOT, name), 'utf8')] as const),
  );
}

test('docs/validate.md explains every problem code, and no others', async t => {
  const text = await readFile(join(ROOT, 'docs', 'validate.md'), 'utf8');
  const explained = [...text.matchAll(/^\| `([a-z0-9_]+)` \|/gm)].map(match => match[1]!);
  t.deepEqual(explained.sort(), Object.keys(PROBLEM_KINDS).sort());
});

test('lines of docs are at most 120 characters, tables and code aside', async t => {
  for (const [name, text] of await pages()) {
    let isCode = false;
    for (const [index, line] of text.split('\n').entries()) {
      if (line.startsWith('```')) isCode = !isCode;
      if (isCode || /^\s*\||^<|^!\[|\]\(http/.test(line)) continue;
      t.true(line.length <= 120, `${name}:${index + 1} has ${line.length} characters`);
    }
  }
});

test('links between pages lead to files that exist', async t => {
  for (const [name, text] of await pages()) {
    for (const [, link] of text.matchAll(/\]\(((?!https?:|#|mailto:)[^)#\s]+)[^)]*\)/g)) {
      const path = join(ROOT, name, '..', link!);
      await t.notThrowsAsync(
        readFile(path).catch(async () => await readdir(path)),
        `${name} links to ${link!}`,
      );
    }
  }
});

/** Words of a private vocabulary that once were here, each with the field's own. */
const BANNED = [
  /\bartefacts?\b/i,
  /\bdata sets?\b/i,
  /could not be had|cannot be had|not to be had|can't be had/,
  /\bso-manieth\b/,
  /\bthe wish (for|of)\b/,
  /\bis nobody's\b/,
];

test('code and docs speak the language of the field', async t => {
  const sources = (await readdir(join(ROOT, 'pipeline'), { recursive: true })).filter(name =>
    /\.(ts|js)$/.test(name),
  );
  const read = sources.map(
    async name => [name, await readFile(join(ROOT, 'pipeline', name), 'utf8')] as const,
  );
  for (const [name, text] of [...(await pages()), ...(await Promise.all(read))]) {
    // The former key of manifests and locks is still read, and the changelog names it.
    if (/former-keys|data-lock|CHANGELOG/.test(name) || name.startsWith('manifests')) continue;
    for (const pattern of BANNED) t.notRegex(text, pattern, name);
  }
});
