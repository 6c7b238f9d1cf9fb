import { readdir } from 'node:fs/promises';
import test from 'ava';
import { runCli, startProgram } from '../helpers/cli.ts';
import { makeLines, writeTsv } from '../helpers/rows.ts';
import { makeTempFolder } from '../helpers/temp.ts';
import { testWithTools } from '../helpers/tools.ts';

test('a published file that is short but valid is not called invalid, and says what it lacks', async t => {
  const folder = await makeTempFolder(t);
  await writeTsv(folder, makeLines(6), 'train2014_obj36.tsv');
  const refused = await runCli(['convert', 'train2014_obj36.tsv'], { cwd: folder });
  t.is(refused.code, 1);
  t.regex(
    refused.stdout,
    /nothing was published: no row is invalid, but 82783 rows .*expected, 6 rows found/,
  );
  t.notRegex(refused.stdout, /invalid rows/);
  t.deepEqual(await readdir(folder), ['train2014_obj36.tsv']);
  const published = await runCli(['convert', 'train2014_obj36.tsv', '--skip-bad'], { cwd: folder });
  t.is(published.code, 1);
  t.regex(published.stdout, /6 images, .*; incomplete: 82783 rows .*expected, 6 rows found/);
});

test('invalid rows are counted as before', async t => {
  const folder = await makeTempFolder(t);
  const [good, bad] = makeLines(2);
  await writeTsv(folder, [good!, bad!.replace('\t36\t', '\t35\t')], 'x.tsv');
  const refused = await runCli(['convert', 'x.tsv'], { cwd: folder });
  t.regex(refused.stdout, /nothing was published: 1 invalid rows; --skip-bad leaves them out/);
  const published = await runCli(['convert', 'x.tsv', '--skip-bad'], { cwd: folder });
  t.regex(published.stdout, /1 images, .*, 1 invalid rows left out; /);
});

testWithTools(
  'a part of a published file is taken where that is said, and equals its archive',
  ['zip'],
  async t => {
    const folder = await makeTempFolder(t);
    const name = 'train2014_obj36.tsv';
    await writeTsv(folder, makeLines(6), name);
    const refused = await runCli(['validate', name], { cwd: folder });
    t.is(refused.code, 1);
    t.regex(refused.stderr, /expected 82783 rows .*, got 6 rows; .*--subset/);
    t.is((await runCli(['validate', name, '--subset'], { cwd: folder })).code, 0);
    const { code, stdout, stderr } = await runCli(['convert', name, '--subset'], { cwd: folder });
    t.is(code, 0, stderr);
    t.regex(stdout, /^train2014_obj36\.safetensors: 6 images, 1\.81 MB; /);
    t.regex(stderr, /a part, 6 of the 82783 rows/);
    t.is((await startProgram('zip', ['-q', 'part.zip', name], { cwd: folder }).result).code, 0);
    const verified = await runCli(['verify', 'train2014_obj36.safetensors', '--against', 'part.zip'], {
      cwd: folder,
    });
    t.is(verified.code, 0, verified.stderr);
    t.regex(verified.stdout, /6 rows compared with the source: all equal/);
  },
);
