import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { recogniseFolder } from '../../pipeline/fetch/recognise-folder.ts';
import { loadManifest } from '../../pipeline/manifest/load.ts';
import { runCli } from '../helpers/cli.ts';
import { makeContext, makeLines } from '../helpers/rows.ts';
import { makeTempFolder } from '../helpers/temp.ts';
import { makeZip } from '../helpers/zip.ts';

const PAGE = '<!doctype html><title>Quota exceeded</title>';

test('files under published names that cannot be used are named with the reason, and the exit code is 1', async t => {
  const folder = await makeTempFolder(t);
  const split = makeZip([{ name: 'valid_obj36.tsv', content: Buffer.from('x') }], { disk: 1 });
  const files: Readonly<Record<string, string | Buffer>> = {
    'train2014_obj36.zip': PAGE,
    'val2014_obj36.tsv.gz': Buffer.from('1f8b0800', 'hex'),
    'test2015_obj36.zip': 'version https://git-lfs.github.com/spec/v1\noid sha256:0\n',
    'valid_obj36.zip': split,
    'train.json': PAGE,
    'vg_gqa_obj36 (1).zip': makeZip([{ name: 'notes.txt', content: Buffer.from('x') }]),
    'photo.jpg': 'not one of ours',
  };
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  const { found, unusable } = await recogniseFolder(folder, await loadManifest({}), makeContext());
  t.deepEqual([...found.keys()], []);
  const reasons = Object.fromEntries(
    unusable.map(({ path, reason }) => [path.slice(folder.length + 1), reason]),
  );
  t.deepEqual(
    Object.keys(reasons).sort(),
    Object.keys(files)
      .filter(name => name !== 'photo.jpg')
      .sort(),
  );
  t.regex(reasons['train2014_obj36.zip']!, /HTML page titled "Quota exceeded"/);
  t.regex(reasons['val2014_obj36.tsv.gz']!, /gzip.*gunzip/);
  t.regex(reasons['test2015_obj36.zip']!, /Git LFS pointer.*git lfs pull/);
  t.regex(reasons['valid_obj36.zip']!, /split archive[^]*zip -s 0/);
  t.regex(reasons['train.json']!, /HTML page/);
  t.regex(reasons['vg_gqa_obj36 (1).zip']!, /none of the published files inside/);
  const { code, stderr } = await runCli([
    'fetch',
    '--from',
    folder,
    '--data',
    join(folder, 'data'),
    '--quiet',
  ]);
  t.is(code, 1);
  t.regex(stderr, /train2014_obj36\.zip has the name of a published file, but it is an HTML page/);
});

test('names of second downloads and capital endings are recognised', async t => {
  const folder = await makeTempFolder(t);
  await mkdir(join(folder, 'vqa'));
  await writeFile(join(folder, 'val2014_obj36 (1).tsv'), makeLines(1).join(''));
  await writeFile(
    join(folder, 'X.ZIP'),
    makeZip([{ name: 'data\\test2015_obj36.tsv', content: Buffer.from(makeLines(1).join('')) }]),
  );
  await writeFile(join(folder, 'vqa', 'minival (2).json'), '[]');
  const { found, unusable } = await recogniseFolder(folder, await loadManifest({}), makeContext());
  t.deepEqual([...found.values()].map(({ paths }) => paths[0].slice(folder.length + 1)).sort(), [
    'X.ZIP',
    'val2014_obj36 (1).tsv',
    'vqa/minival (2).json',
  ]);
  t.deepEqual(unusable, []);
});
