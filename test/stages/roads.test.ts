import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { describeStatus } from '../../pipeline/cli/health-pages.ts';
import type { Asset, Manifest, Source } from '../../pipeline/manifest/load.ts';
import { fetchData, type FetchOptions, previewFetch } from '../../pipeline/stages/fetch.ts';
import { readStatus } from '../../pipeline/stages/status.ts';
import { verifyDatasets } from '../../pipeline/stages/verify-dataset.ts';
import { runCli } from '../helpers/cli.ts';
import { FAST_RETRY, makeTemporaryFolder } from '../helpers/downloads.ts';
import { startDriveServer } from '../helpers/drive-server.ts';
import { startFileServer } from '../helpers/file-server.ts';
import { makeContext, makeLine } from '../helpers/rows.ts';
import { makeZip } from '../helpers/small-zip.ts';
import { writeOfficialVqa } from '../helpers/vqa-official.ts';

/*
 * Stand-ins for all kinds of hosts, each of them dead in turn: whatever still lives, a fetch ends in verified data or
 * says what is missing and what to do.
 */

const HOSTS = ['plain', 'drive', 'hub', 'bucket', 'official'] as const;
type Host = (typeof HOSTS)[number];

const QUESTIONS = 12;
const IDS = ['600000', '600001', '600002'].map(id => `COCO_test2015_000000${id}`);
const TSV = IDS.map((id, index) => makeLine({ img_id: id }, index)).join('');
const JSON_FILE = JSON.stringify(
  Array.from({ length: QUESTIONS }, (_, index) => ({
    img_id: IDS[index % 3],
    question_id: index,
    sent: 'what?',
  })),
);
const ZIP = makeZip({ 'data/test2015_obj36.tsv': TSV });

async function makeOfficialZip(t: ExecutionContext): Promise<Buffer> {
  const folder = await makeTemporaryFolder(t);
  writeOfficialVqa(folder, { sizes: { train2014: 0, val2014: 0, test2015: QUESTIONS } });
  const name = 'v2_OpenEnded_mscoco_test2015_questions.json';
  return makeZip({ [name]: readFileSync(join(folder, name)) });
}

const id = (name: string): string => `drive-id-${name}`.padEnd(20, '0');

/** All hosts, of which those in `living` answer; the others refuse connections or have nothing. */
async function setUp(t: ExecutionContext, living: readonly Host[]) {
  const lives = (host: Host): boolean => living.includes(host);
  const files = new Map<string, Buffer>();
  const add = (host: Host, path: string, content: Buffer | string): void => {
    if (lives(host)) files.set(path, Buffer.from(content));
  };
  add('plain', '/plain/test.json', JSON_FILE);
  add('plain', '/plain/test2015_obj36.zip', ZIP);
  add('hub', '/hub/datasets/o/r/resolve/main/test.json', JSON_FILE);
  add('hub', '/hub/datasets/o/r/resolve/main/test2015_obj36.tsv', TSV);
  for (const [path, content] of Object.entries({ 'test.json': JSON_FILE, 'test2015_obj36.zip': ZIP })) {
    const bytes = Buffer.from(content);
    const md5 = createHash('md5').update(bytes).digest('base64');
    const object = { size: String(bytes.length), generation: '1', md5Hash: md5 };
    add('bucket', `/gcs/storage/v1/b/b/o/${path}`, JSON.stringify(object));
    add('bucket', `/gcs/b/${path}`, bytes);
  }
  add('official', '/official/v2_Questions_Test_mscoco.zip', await makeOfficialZip(t));
  const server = await startFileServer(path => {
    const bytes = files.get(path.replace(/\?.*/s, ''));
    return bytes === undefined ? undefined : { bytes };
  });
  t.teardown(() => server.close());
  const drive = await startDriveServer({
    id: id('root'),
    name: 'root',
    ...(lives('drive')
      ? {
          files: [
            { id: id('json'), name: 'test.json', bytes: Buffer.from(JSON_FILE) },
            { id: id('zip'), name: 'all.zip', bytes: ZIP, isLarge: true },
          ],
        }
      : { trouble: 'gone' as const }),
  });
  t.teardown(() => drive.close());
  const dataRoot = join(await makeTemporaryFolder(t), 'data');
  const plain = { provider: 'https', allow_http: true } as const;
  const manifest: Manifest = {
    manifest_version: 1,
    mirrors: {
      plain: {
        ...plain,
        title: 'Plain',
        base: `${server.url}plain/`,
        manual: 'open the address in a browser',
      },
      drive: {
        provider: 'google-drive',
        title: 'Drive',
        base: drive.drive,
        allow_http: true,
        folder: id('root'),
      },
      hub: {
        provider: 'huggingface',
        title: 'Hub',
        repository: 'datasets/o/r',
        base: `${server.url}hub/`,
        allow_http: true,
      },
      bucket: { provider: 'gcs', title: 'Bucket', bucket: 'b', base: `${server.url}gcs/`, allow_http: true },
      official: { ...plain, title: 'Official', base: `${server.url}official/` },
    },
    datasets: {
      vqa: {
        title: 'VQA',
        common: [],
        default_splits: ['test'],
        splits: { test: ['vqa/test.json', 'mscoco_imgfeat/test2015_obj36'] },
      },
    },
    image_sets: { 'coco/test': { asset: 'mscoco_imgfeat/test2015_obj36', folders: ['test2015'] } },
    assets: ASSETS,
  };
  const context = makeContext();
  const options: FetchOptions = {
    datasets: ['vqa'],
    dataRoot,
    manifest,
    environment: {},
    transfer: { retry: FAST_RETRY, watchdog: { idleMs: 300, minBytes: 10 } },
  };
  const lock = (): Record<string, { mirror: string }> =>
    (
      JSON.parse(readFileSync(join(dataRoot, 'lxmert-data.lock.json'), 'utf8')) as {
        assets: Record<string, { mirror: string }>;
      }
    ).assets;
  return { options, context, lock, manifest, dataRoot };
}

const JSON_SOURCES: Source[] = ['plain', 'drive', 'hub', 'bucket'].map(mirror => ({
  mirror,
  get: 'file',
  path: 'test.json',
}));
const MEMBER = { get: 'zip-member', member: 'test2015_obj36.tsv' } as const;
const ASSETS: Record<string, Asset> = {
  'vqa/test.json': {
    kind: 'json',
    target: 'vqa/test.json',
    schema: 'vqa-test',
    records: QUESTIONS,
    make: { rule: 'vqa', from: ['official/v2_Questions_Test_mscoco.zip'] },
    sources: JSON_SOURCES,
  },
  'mscoco_imgfeat/test2015_obj36': {
    kind: 'features',
    target: 'mscoco_imgfeat/test2015_obj36',
    rows: IDS.length,
    sources: [
      { mirror: 'plain', path: 'test2015_obj36.zip', ...MEMBER },
      { mirror: 'drive', path: 'all.zip', ...MEMBER },
      { mirror: 'hub', get: 'file', path: 'test2015_obj36.tsv' },
      { mirror: 'bucket', path: 'test2015_obj36.zip', ...MEMBER },
    ],
  },
  'official/v2_Questions_Test_mscoco.zip': {
    kind: 'archive',
    target: 'official/v2_Questions_Test_mscoco.zip',
    files: 1,
    sources: [{ mirror: 'official', get: 'file', path: 'v2_Questions_Test_mscoco.zip' }],
  },
};

const FEATURES = 'mscoco_imgfeat/test2015_obj36';

/** Everything comes, from these hosts, and verifies. */
const testComplete = test.macro(async (t, living: readonly Host[], json: Host | 'made', features: Host) => {
  const { options, context, lock, manifest, dataRoot } = await setUp(t, living);
  const result = await fetchData(options, context);
  t.deepEqual(result.failed, []);
  t.is(lock()['vqa/test.json']?.mirror, json);
  t.is(lock()[FEATURES]?.mirror, features);
  const [report] = await verifyDatasets({ manifest, dataRoot, datasets: ['vqa'] }, makeContext());
  t.deepEqual(report?.problems, []);
  // A second fetch has nothing to do.
  const again = await fetchData(options, makeContext());
  t.deepEqual([again.ok, again.fetched], [true, []]);
});

const without = (...dead: readonly Host[]): Host[] => HOSTS.filter(host => !dead.includes(host));

test('every host lives', testComplete, HOSTS, 'plain', 'plain');
test('the plain server is gone', testComplete, without('plain'), 'drive', 'drive');
test('the Drive folder is gone', testComplete, without('drive'), 'plain', 'plain');
test('plain server and Drive are gone', testComplete, without('plain', 'drive'), 'hub', 'hub');
test('only the hub lives', testComplete, ['hub'], 'hub', 'hub');
test('only the bucket lives', testComplete, ['bucket'], 'bucket', 'bucket');
test('only Drive lives', testComplete, ['drive'], 'drive', 'drive');
test('only the plain server lives', testComplete, ['plain'], 'plain', 'plain');

test('only the official files live: JSON is made of them, and features say how they are computed', async t => {
  const { options, context, lock, dataRoot } = await setUp(t, ['official']);
  const result = await fetchData(options, context);
  t.deepEqual(result.fetched, ['vqa/test.json']);
  t.is(lock()['vqa/test.json']?.mirror, 'made');
  t.is((JSON.parse(readFileSync(join(dataRoot, 'vqa/test.json'), 'utf8')) as unknown[]).length, QUESTIONS);
  t.deepEqual(
    result.failed.map(({ name, reasons }) => [name, reasons.map(({ mirror }) => mirror)]),
    [[FEATURES, ['plain', 'drive', 'hub', 'bucket']]],
  );
  const [, features] = (await previewFetch(options, context)).assets;
  t.regex(features?.roads.at(-1)?.what ?? '', /^lxmert-data extract coco\/test --images/);
});

test('a damaged official file is a reason, and the other files still come', async t => {
  const { options, context, dataRoot } = await setUp(t, ['official']);
  const bytes = await makeOfficialZip(t);
  bytes[bytes.length >> 1]! ^= 1;
  mkdirSync(join(dataRoot, 'official'), { recursive: true });
  writeFileSync(join(dataRoot, 'official/v2_Questions_Test_mscoco.zip'), bytes);
  const result = await fetchData(options, context);
  t.is(result.failed[0]?.name, 'vqa/test.json');
  t.is(result.failed[0]?.reasons.at(-1)?.mirror, 'made here');
  t.is(result.failed.length, 2);
});

test('nothing lives: each file is named with every reason and what is left', async t => {
  const { options, context } = await setUp(t, []);
  const result = await fetchData(options, context);
  t.deepEqual(result.fetched, []);
  t.deepEqual(
    result.failed.map(({ name, reasons, manual }) => [name, reasons.at(-1)?.reason, manual.length]),
    [
      ['vqa/test.json', 'could not be fetched: official/v2_Questions_Test_mscoco.zip', 1],
      [FEATURES, result.failed[1]?.reasons.at(-1)?.reason, 1],
    ],
  );
  t.regex(result.failed[1]?.manual[0] ?? '', /http:.*test2015_obj36\.zip/);
});

test('nothing lives, but the files were downloaded by hand', async t => {
  const { options, context, lock } = await setUp(t, []);
  const from = await makeTemporaryFolder(t);
  writeFileSync(join(from, 'test2015_obj36 (1).zip'), ZIP);
  writeFileSync(join(from, 'v2_Questions_Test_mscoco.zip'), await makeOfficialZip(t));
  const plan = await previewFetch({ ...options, from }, context);
  t.deepEqual(Object.keys(plan.taken), [FEATURES]);
  const result = await fetchData({ ...options, from }, context);
  t.deepEqual(result.failed, []);
  t.deepEqual([lock()['vqa/test.json']?.mirror, lock()[FEATURES]?.mirror], ['made', 'own folder']);
});

test('features that were extracted are accepted, and say so; untrained ones are not', async t => {
  const { options, context, lock, manifest, dataRoot } = await setUp(t, ['official']);
  await fetchData(options, context);
  const folder = join(dataRoot, 'mscoco_imgfeat');
  mkdirSync(folder, { recursive: true });
  const tsv = join(await makeTemporaryFolder(t), 'rows.tsv');
  writeFileSync(tsv, TSV);
  const store = join(folder, 'test2015_obj36.safetensors');
  const detector = { name: 'a detector', weights: 'ab'.repeat(32), known_answer: 'published' } as const;
  const { convert } = await import('../../pipeline/stages/convert.ts');
  await convert({ files: [tsv], out: store, detector }, context);
  t.true((await fetchData(options, makeContext())).ok);
  t.is(lock()[FEATURES]?.mirror, 'extracted');
  const verify = async () =>
    (await verifyDatasets({ manifest, dataRoot, datasets: ['vqa'] }, makeContext()))[0];
  const report = await verify();
  t.deepEqual(report?.problems, []);
  const words = `a detector, weights ${detector.weights}, proven to be the published detector`;
  t.is(report?.assets.find(({ name }) => name === FEATURES)?.extracted, words);
  const [vqa] = (await readStatus(manifest, dataRoot)).datasets;
  t.is(vqa?.assets.find(({ name }) => name === FEATURES)?.extracted, words);
  const reader = { data: dataRoot, asTyped: (text: string) => text };
  const page = await describeStatus(await readStatus(manifest, dataRoot), manifest, reader);
  t.true(JSON.stringify(page.sections).includes(`extracted by ${words}`));
  await convert(
    { files: [tsv], out: store, force: true, detector: { name: 'x', weights: 'untrained' } },
    context,
  );
  t.regex((await verify())?.problems[0]?.what ?? '', /UNTRAINED/);
});

test('--list names every file, and a plan that does not fit the disk exits with 1', async t => {
  const listed = await runCli(['fetch', '--list']);
  t.is(listed.code, 0);
  for (const file of [
    'vqa/trainval_ans2label.json',
    'vocab/objects_vocab.txt',
    'detector/detector.safetensors',
  ])
    t.true(listed.stdout.includes(file), file);
  const plan = await runCli(['fetch', 'vqa', '--dry-run', '--data', await makeTemporaryFolder(t)]);
  t.regex(plan.stdout, /made of 3 official files/);
  t.is(plan.code, /NOT ENOUGH/.test(plan.stdout) ? 1 : 0);
});
