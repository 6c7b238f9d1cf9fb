import { appendFile, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { convert } from '../../pipeline/stages/convert.ts';
import { exportTsv } from '../../pipeline/stages/export-tsv.ts';
import { openStore } from '../../pipeline/store/feature-store.ts';
import { runCli } from '../helpers/cli.ts';
import { makeContext, makeLines, writeTsv } from '../helpers/rows.ts';
import { makeTempFolder } from '../helpers/temp.ts';

const UNTRAINED = { name: 'bottom-up-attention (embedded)', weights: 'untrained', rois: 300 };

test('the mark of an untrained detector survives the way over a TSV', async t => {
  const folder = await makeTempFolder(t);
  const context = makeContext();
  const source = await writeTsv(folder, makeLines(3), 'x.tsv');
  const out = join(folder, 'x.safetensors');
  await convert({ files: [source], out, detector: UNTRAINED }, context);
  const tsv = join(folder, 'again.tsv');
  await exportTsv({ store: out, out: tsv }, context);
  t.true((await readFile(tsv)).equals(await readFile(source)));
  t.deepEqual((await readdir(folder)).sort(), [
    'again.tsv',
    'again.tsv.detector.json',
    'x.safetensors',
    'x.tsv',
  ]);
  t.is((await runCli(['convert', 'again.tsv', '--quiet'], { cwd: folder })).code, 0);
  const store = await openStore(join(folder, 'again.safetensors'));
  t.like(store.provenance.detector, UNTRAINED);
  await store.close();
  t.regex((await runCli(['verify', 'again.safetensors'], { cwd: folder })).stdout, /UNTRAINED/);
  // Together with rows of an unknown detector the whole is untrained.
  await writeTsv(folder, makeLines(1, 7), 'other.tsv');
  const both = await runCli(['convert', 'other.tsv', 'again.tsv', '--out', 'both'], { cwd: folder });
  t.is(both.code, 0, both.stderr);
  t.regex((await runCli(['verify', 'both.safetensors'], { cwd: folder })).stdout, /UNTRAINED/);
});

test('a note counts for its own TSV only, and replaces no other file', async t => {
  const folder = await makeTempFolder(t);
  const context = makeContext();
  const source = await writeTsv(folder, makeLines(2), 'x.tsv');
  const out = join(folder, 'x.safetensors');
  await convert({ files: [source], out, detector: UNTRAINED }, context);
  await writeFile(join(folder, 'y.tsv.detector.json'), '{"mine": 1}');
  const refused = await t.throwsAsync(exportTsv({ store: out, out: join(folder, 'y.tsv') }, context));
  t.like(refused, { code: 'ERR_OUTPUT_EXISTS' });
  t.false((await readdir(folder)).includes('y.tsv'));
  const tsv = join(folder, 'z.tsv');
  await exportTsv({ store: out, out: tsv }, context);
  await exportTsv({ store: out, out: tsv, force: true }, context);
  await appendFile(tsv, makeLines(1, 5)[0]!);
  const other = await runCli(['convert', 'z.tsv'], { cwd: folder });
  t.is(other.code, 0);
  t.regex(other.stderr, /z\.tsv\.detector\.json is not about the z\.tsv that is there now/);
  await rename(tsv, join(folder, 'moved.tsv'));
  t.is((await runCli(['convert', 'moved.tsv'], { cwd: folder })).stderr, '');
});
