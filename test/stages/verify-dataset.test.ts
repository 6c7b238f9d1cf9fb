import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { digestFile } from '../../pipeline/files/digest.ts';
import { addToLock } from '../../pipeline/fetch/data-lock.ts';
import { loadManifest } from '../../pipeline/manifest/load.ts';
import type { Manifest } from '../../pipeline/manifest/load.ts';
import { convert } from '../../pipeline/stages/convert.ts';
import { verifyDatasets } from '../../pipeline/stages/verify-dataset.ts';
import { runCli } from '../helpers/cli.ts';
import { makeContext, makeLines, splitLine, writeTsv } from '../helpers/rows.ts';
import { makeTempFolder } from '../helpers/temp.ts';

type Json = Record<string, unknown>;
const LINES = makeLines(4);
const IDS = LINES.map(line => splitLine(line)[0]!);

/** NLVR2's valid split in small: the manifest's own but for the counts. */
async function setUp(t: ExecutionContext, change: (records: Json[]) => unknown = records => records) {
  const data = await makeTempFolder(t);
  const records = [0, 1].map((pair): Json => ({
    identifier: `dev-${pair}-0-0`,
    img0: IDS[pair * 2],
    img1: IDS[pair * 2 + 1],
    label: pair,
    sent: 's',
    uid: `nlvr2_valid_${pair}`,
  }));
  const path = join(data, 'nlvr2/valid.json');
  await mkdir(dirname(path), { recursive: true });
  await mkdir(join(data, 'nlvr2_imgfeat'));
  await writeFile(path, JSON.stringify(change(records)));
  const store = join(data, 'nlvr2_imgfeat/valid_obj36.safetensors');
  await convert({ files: [await writeTsv(data, LINES)], out: store }, makeContext());
  const own = join(data, 'own.json');
  await writeFile(
    own,
    JSON.stringify({ manifest_version: 1, assets: { 'nlvr2/valid.json': { records: 2 } } }),
  );
  return { data, path, store, own, manifest: await loadManifest({ files: [own] }) };
}

async function verify(manifest: Manifest, dataRoot: string, quick = false) {
  const options = { manifest, dataRoot, datasets: ['nlvr2'], splits: ['valid'], quick };
  const [report] = await verifyDatasets(options, makeContext());
  return report!;
}

test('a sound dataset', async t => {
  const { data, manifest } = await setUp(t);
  const report = await verify(manifest, data);
  t.deepEqual(report.problems, []);
  t.true(report.ok);
  t.deepEqual(
    report.assets.map(({ file, ok }) => [file, ok]),
    [
      ['nlvr2/valid.json', true],
      ['nlvr2_imgfeat/valid_obj36.safetensors', true],
    ],
  );
});

async function testProblem(t: ExecutionContext, change: (records: Json[]) => unknown, what: RegExp) {
  const { data, manifest } = await setUp(t, change);
  const report = await verify(manifest, data);
  t.false(report.ok);
  t.is(report.problems.length, 1);
  t.regex(report.problems[0]!.what, what);
  t.not(report.problems[0]!.hint, '');
}
const edit = (field: string, value: unknown) => (records: Json[]) => [
  records[0],
  { ...records[1], [field]: value },
];
test(
  'an image of a pair has no features',
  testProblem,
  edit('img1', 'other'),
  /image without features: 1 of 2 records; record 2 \(uid "nlvr2_valid_1"\): other/,
);
test('an id twice', testProblem, edit('uid', 'nlvr2_valid_0'), /uid comes twice: 1 of 2/);
test('a wrong label', testProblem, edit('label', 'True'), /label is not 0 or 1/);
test('a missing field', testProblem, edit('sent', undefined), /record 2 is not a record of nlvr2/);
test('a record too few', testProblem, records => records.slice(1), /1 records, expected 2/);
test('no JSON', testProblem, () => 'x', /does not begin with \[/);

test('missing files say how to get them', async t => {
  const report = await verify(await loadManifest(), await makeTempFolder(t));
  t.deepEqual(
    report.problems.map(({ what, hint }) => [what, hint]),
    [
      ['missing', 'fetch it: lxmert-data fetch nlvr2'],
      ['missing', 'fetch it: lxmert-data fetch nlvr2'],
    ],
  );
});

test('a damaged store, and the difference to the lock', async t => {
  const { data, manifest, store, path } = await setUp(t);
  const digest = await digestFile(path);
  const entry = { file: 'nlvr2/valid.json', mirror: 'm', location: 'p', date: '2020-01-01' };
  await addToLock(data, 'nlvr2/valid.json', { ...entry, size: digest.sizeBytes, sha256: digest.sha256 });
  const bytes = await readFile(store);
  bytes[bytes.length >> 1]! ^= 1;
  await writeFile(store, bytes);
  await writeFile(path, (await readFile(path, 'utf8')).replace('"s"', '"t"'));
  const quick = await verify(manifest, data, true);
  t.deepEqual(quick.problems, [], 'sizes and headers are as they were');
  const report = await verify(manifest, data);
  t.deepEqual(
    report.problems.map(({ asset, what }) => [asset, what.replace(/:.*/s, '')]),
    [
      ['nlvr2/valid.json', 'not the locked copy'],
      ['nlvr2_imgfeat/valid_obj36', 'the store is damaged'],
    ],
  );
});

test('minival must be the first rows of val2014', async t => {
  const { data, manifest } = await setUp(t);
  const vqa: Manifest = {
    ...manifest,
    datasets: {
      vqa: {
        title: 'v',
        common: ['t.json'],
        default_splits: ['m'],
        splits: { m: ['vqa/minival.json', 'feat/val'] },
      },
    },
    assets: {
      't.json': { kind: 'table', target: 't.json', schema: 'ans2label', sources: [] },
      'feat/val': { kind: 'features', target: 'feat/val', sources: [] },
      'vqa/minival.json': {
        kind: 'json',
        target: 'vqa/minival.json',
        schema: 'vqa',
        first_rows: 3,
        sources: [],
      },
    },
  };
  await mkdir(join(data, 'vqa'));
  await mkdir(join(data, 'feat'));
  await writeFile(join(data, 't.json'), '{"yes": 0}');
  const record = (id: number, img_id: string, label: Json = { yes: 1 }): Json => ({
    question_id: id,
    img_id,
    sent: 's',
    label,
  });
  const check = async (records: Json[]) => {
    await writeFile(join(data, 'vqa/minival.json'), JSON.stringify(records));
    const [report] = await verifyDatasets(
      { manifest: vqa, dataRoot: data, datasets: ['vqa'] },
      makeContext(),
    );
    return report!.problems.map(({ what, hint }) => [what, hint]);
  };
  const store = join(data, 'feat/val.safetensors');
  const lines = makeLines(5);
  await convert({ files: [await writeTsv(data, lines, 'val.tsv')], out: store }, makeContext());
  const idOf = (row: number): string => splitLine(lines[row]!)[0]!;
  t.deepEqual(await check([record(1, idOf(0)), record(2, idOf(2))]), []);
  const [[what, hint] = []] = await check([record(1, idOf(0)), record(2, idOf(3))]);
  t.regex(what!, /1 of its 2 images are not among the first 3 rows of feat\/val/);
  t.is(hint, 'convert feat/val again with --first and this JSON');
  t.regex(
    (await check([record(1, idOf(0), { no: 1 })]))[0]![0]!,
    /unknown answer: 1 of 1 records; record 1 .*"no"/,
  );
});

for (const [title, table] of [
  ['that is cut', '{"yes": 0, "no'],
  ['that is an HTML page', '<!DOCTYPE html><title>Quota exceeded</title>'],
  ['with null entries', '[{"ans": "yes", "dsets": ["vqa"]}, null]'],
  ['whose answers are numbers', '[{"ans": 1, "dsets": ["vqa"]}]'],
  ['that is missing', undefined],
] as const) {
  test(`an answer table ${title} is one finding, and the rest is checked`, async t => {
    const { data, path, manifest } = await setUp(t);
    const dataset = { ...manifest.datasets['nlvr2']!, common: ['table.json'] };
    const own: Manifest = {
      ...manifest,
      datasets: { nlvr2: dataset },
      assets: {
        ...manifest.assets,
        'table.json': {
          kind: 'table',
          target: 'table.json',
          schema: table?.startsWith('[') ? 'all-ans' : 'ans2label',
          sources: [],
        },
      },
    };
    if (table !== undefined) await writeFile(join(data, 'table.json'), table);
    await writeFile(path, (await readFile(path, 'utf8')).replace(IDS[1]!, 'other'));
    const { problems } = await verify(own, data);
    t.deepEqual(
      problems.map(({ asset }) => asset),
      ['table.json', 'nlvr2/valid.json'],
    );
  });
}

test('ids that match no image at all: one of each, and the way out', async t => {
  const { data, path, manifest } = await setUp(t);
  let text = await readFile(path, 'utf8');
  for (const [index, id] of IDS.entries()) text = text.replaceAll(id, String(132_417 + index));
  await writeFile(path, text);
  const { problems } = await verify(manifest, data);
  t.is(problems.length, 1);
  t.regex(problems[0]!.what, new RegExp(`images such as 132417, the features such as ${IDS[0]!}`));
  t.regex(problems[0]!.hint, /convert the source again with --ids/);
});

test('status and verify on the command line', async t => {
  const { data, own, path } = await setUp(t);
  const words = ['--data', data, '--manifest', own];
  const status = await runCli(['status', ...words]);
  t.is(status.code, 0);
  t.regex(
    status.stdout,
    /nlvr2: 2 of 6 files\n[^]*missing +nlvr2\/train\.json\n +present, not locked {2}nlvr2\/valid\.json, /,
  );
  t.regex(status.stdout, /vqa: 0 of 9 files\n/);
  const good = await runCli(['verify', 'nlvr2', '--split', 'valid', ...words]);
  t.is(good.code, 0, good.stderr);
  t.regex(good.stdout, /nlvr2: complete and valid/);
  await truncate(path, 5);
  const report = join(data, 'report.json');
  const bad = await runCli(['verify', 'nlvr2', '--split', 'valid', '--report', report, ...words]);
  t.is(bad.code, 1);
  t.regex(bad.stdout, /nlvr2\/valid\.json {2,}NOT OK\n[^]*what to do: move .* away and fetch it again/);
  const [written] = JSON.parse(await readFile(report, 'utf8')) as { dataset: string; ok: boolean }[];
  t.deepEqual([written?.dataset, written?.ok], ['nlvr2', false]);
});
