import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { loadExpectedRows } from '../../pipeline/manifest/expected-rows.ts';
import { findImageSet } from '../../pipeline/manifest/image-sets.ts';
import { loadManifest } from '../../pipeline/manifest/load.ts';
import { runCli } from '../helpers/cli.ts';
import { startFileServer } from '../helpers/file-server.ts';
import { makeLines } from '../helpers/rows.ts';
import { makeZip } from '../helpers/small-zip.ts';
import { makeTempFolder } from '../helpers/temp.ts';

const ROWS = makeLines(3);
const IDS = ROWS.map(row => row.split('\t')[0]!);
const QUESTIONS = IDS.map((img_id, index) => ({
  img_id,
  question_id: index,
  sent: 'Why?',
  label: { yes: 1 },
}));

/** A dataset that this tool knows nothing of, as its owner would write it down. */
const manifestFor = (base: string) => ({
  manifest_version: 1,
  mirrors: { lab: { provider: 'https', title: 'Our file server', base, allow_http: true } },
  datasets: {
    whyqa: {
      title: 'Why QA',
      common: ['whyqa/answers.json'],
      default_splits: ['train'],
      splits: { train: ['whyqa/train.json', 'whyqa_imgfeat/why_obj36'] },
    },
  },
  image_sets: { 'whyqa/train': { asset: 'whyqa_imgfeat/why_obj36', only: 'whyqa/train.json' } },
  assets: {
    'whyqa/train.json': {
      kind: 'json',
      target: 'whyqa/train.json',
      schema: 'vqa',
      records: QUESTIONS.length,
      sources: [{ mirror: 'lab', get: 'file', path: 'train.json' }],
    },
    'whyqa/answers.json': {
      kind: 'table',
      target: 'whyqa/answers.json',
      schema: 'label2ans',
      sources: [{ mirror: 'lab', get: 'file', path: 'answers.json' }],
    },
    'whyqa_imgfeat/why_obj36': {
      kind: 'features',
      target: 'whyqa_imgfeat/why_obj36',
      rows: ROWS.length,
      sources: [{ mirror: 'lab', get: 'zip-member', path: 'why.zip', member: 'why_obj36.tsv' }],
    },
  },
});

test('a dataset is added by a manifest alone: fetched, shown, verified, extracted and counted', async t => {
  const served = new Map([
    ['/train.json', JSON.stringify(QUESTIONS)],
    ['/answers.json', '["yes"]'],
  ]);
  const zip = makeZip({ 'x/why_obj36.tsv': ROWS.join('') });
  const server = await startFileServer(path => {
    const text = served.get(path);
    if (text !== undefined) return { bytes: Buffer.from(text) };
    return path === '/why.zip' ? { bytes: zip } : undefined;
  });
  t.teardown(() => server.close());
  const folder = await makeTempFolder(t);
  const data = join(folder, 'data');
  const file = join(folder, 'lab.json');
  await writeFile(file, JSON.stringify(manifestFor(server.url)));
  const run = (command: string, ...args: string[]) =>
    runCli([command, ...args, '--manifest', file, '--data', data]);

  const fetched = await run('fetch', 'whyqa');
  t.is(fetched.code, 0, fetched.stderr);
  t.deepEqual((await readdir(data)).sort(), ['lxmert-data.lock.json', 'whyqa', 'whyqa_imgfeat']);
  const status = await run('status');
  t.regex(status.stdout, /^whyqa: 3 of 3 files$/m);
  const verified = await run('verify', 'whyqa');
  t.is(verified.code, 0, verified.stdout + verified.stderr);

  const manifest = await loadManifest({ files: [file] });
  t.like(findImageSet(manifest, 'whyqa/train'), {
    target: 'whyqa_imgfeat/why_obj36',
    only: 'whyqa/train.json',
  });
  // The count holds for files that are converted by hand, too.
  await writeFile(join(folder, 'why_obj36.tsv'), ROWS.slice(1).join(''));
  const cut = await run('validate', join(folder, 'why_obj36.tsv'));
  t.is(cut.code, 1);
  t.regex(cut.stderr, /3 rows in why_obj36\.tsv/);
  t.is((await runCli(['validate', join(folder, 'why_obj36.tsv')])).code, 0, 'unknown without the manifest');
});

test("a user's count of rows replaces the published one", async t => {
  const file = join(await makeTempFolder(t), 'own.json');
  const assets = { 'mscoco_imgfeat/train2014_obj36': { rows: 3 } };
  await writeFile(file, JSON.stringify({ manifest_version: 1, assets }));
  t.is((await loadExpectedRows([file]))('train2014_obj36.tsv'), 3);
  t.is((await loadExpectedRows())('train2014_obj36.tsv'), 82_783);
});

test('an image set must name what there is', async t => {
  const file = join(await makeTempFolder(t), 'own.json');
  const refused = async (set: object, message: RegExp): Promise<void> => {
    await writeFile(file, JSON.stringify({ manifest_version: 1, image_sets: { 'x/y': set } }));
    await t.throwsAsync(loadManifest({ files: [file] }), { code: 'ERR_MANIFEST', message });
  };
  await refused({ asset: 'nothing' }, /\$\.image_sets\["x\/y"\]: there is no asset "nothing"/);
  await refused({}, /either "asset" or "target"/);
  await refused({ target: '../x' }, /relative path/);
});
