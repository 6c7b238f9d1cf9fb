import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { LxmertDataError } from '../../pipeline/errors.ts';
import { loadManifest, orderSources } from '../../pipeline/manifest/load.ts';

async function loadWith(t: ExecutionContext, ...contents: unknown[]) {
  const directory = await mkdtemp(join(tmpdir(), 'lxmert-manifest-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const files = await Promise.all(
    contents.map(async (content, index) => {
      const path = join(directory, `user-${index}.json`);
      await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
      return path;
    }),
  );
  return loadManifest({ files });
}

test('every dataset of the built-in manifest names its parts', async t => {
  const manifest = await loadManifest();
  t.deepEqual(Object.keys(manifest.datasets), [
    'vqa',
    'gqa',
    'nlvr2',
    'pretrain',
    'weights',
    'detector',
    'vqa-official',
    'images',
  ]);
  t.deepEqual(manifest.datasets['pretrain']?.splits['mscoco_minival'], [
    'lxmert/mscoco_minival.json',
    'mscoco_imgfeat/val2014_obj36',
  ]);
  const used = new Set(
    Object.values(manifest.datasets).flatMap(set => [...set.common, ...Object.values(set.splits).flat()]),
  );
  t.deepEqual(
    Object.keys(manifest.assets).filter(name => !used.has(name)),
    [],
  );
});

test('counts that sources state are those of the manifest', async t => {
  const { assets } = await loadManifest();
  const records = (name: string) => {
    const asset = assets[name];
    return asset !== undefined && 'records' in asset ? asset.records : undefined;
  };
  t.is((records('vqa/train.json') ?? 0) + (records('vqa/nominival.json') ?? 0), 632_117);
  t.is(records('nlvr2/train.json'), 86_373);
  const train = assets['mscoco_imgfeat/train2014_obj36'];
  t.is(train?.kind === 'features' ? train.rows : 0, 82_783);
});

test('dead mirrors come last, and a list of mirrors picks and orders', async t => {
  const manifest = await loadManifest();
  const asset = manifest.assets['mscoco_imgfeat/train2014_obj36']!;
  const names = orderSources(manifest, asset).map(source => source.mirror);
  t.deepEqual(names, ['unc', 'drive', 'drive', 'baidu', 'drive-files', 'unc-nlp1']);
  t.deepEqual(
    orderSources(manifest, asset, ['baidu', 'unc']).map(source => source.mirror),
    ['baidu', 'unc'],
  );
});

test("the user's mirror and sources come first", async t => {
  const manifest = await loadWith(t, {
    manifest_version: 1,
    mirrors: { lab: { provider: 'https', title: 'Lab', base: 'https://files.example.org/' } },
    assets: { 'vqa/train.json': { sources: [{ mirror: 'lab', get: 'file', path: 'x/train.json' }] } },
  });
  const asset = manifest.assets['vqa/train.json']!;
  t.deepEqual(
    orderSources(manifest, asset).map(source => source.mirror),
    ['lab', 'unc', 'drive', 'baidu', 'unc-nlp1'],
  );
  t.is(asset.kind === 'json' ? asset.records : 0, 443_757);
});

test('a manifest of former releases, with "artefacts", is still read', async t => {
  const source = { mirror: 'unc', get: 'file', path: 'x.json' };
  const totals = [{ artefacts: ['vqa/train.json'], records: 5 }];
  const manifest = await loadWith(t, {
    manifest_version: 1,
    artefacts: { 'vqa/train.json': { sources: [source] } },
    datasets: { vqa: { totals } },
  });
  t.like(manifest.assets['vqa/train.json']?.sources[0], source);
  t.deepEqual(manifest.datasets['vqa']?.totals, [{ assets: ['vqa/train.json'], records: 5 }]);
  await t.throwsAsync(loadWith(t, { manifest_version: 1, artefacts: {}, assets: {} }), {
    message: /\$\.artefacts/,
  });
});

test('--base-url moves a mirror and takes it for alive', async t => {
  const manifest = await loadManifest({ baseUrls: { 'unc-nlp1': 'http://127.0.0.1:1/' } });
  t.is(manifest.mirrors['unc-nlp1']?.base, 'http://127.0.0.1:1/');
  t.true(manifest.mirrors['unc-nlp1']?.allow_http);
  t.is(manifest.mirrors['unc-nlp1']?.dead, undefined);
  await t.throwsAsync(loadManifest({ baseUrls: { nowhere: 'http://127.0.0.1:1/' } }), {
    message: /unknown mirror "nowhere"/,
  });
  await t.throwsAsync(loadManifest({ baseUrls: { unc: 'ftp://x' } }), { message: /not an http\(s\) URL/ });
});

async function testRefused(t: ExecutionContext, content: unknown, message: RegExp) {
  const error = await t.throwsAsync(loadWith(t, content), { instanceOf: LxmertDataError, message });
  t.is(error.code, 'ERR_MANIFEST');
}

const oneSource = (source: object) => ({
  manifest_version: 1,
  assets: { 'vqa/train.json': { sources: [source] } },
});

test('not JSON', testRefused, '{', /user-0\.json: not a JSON object/);
test('a list', testRefused, '[]', /not a JSON object/);
test(
  'another version',
  testRefused,
  { manifest_version: 2 },
  /\$\.manifest_version[^]*expected: 1[^]*got: +2/,
);
test('an unknown key', testRefused, { manifest_version: 1, mirror: {} }, /\$\.mirror: unexpected content/);
test(
  'a path that climbs',
  testRefused,
  oneSource({ mirror: 'unc', get: 'file', path: '../x' }),
  /\$\["assets"\]\["vqa\/train\.json"\]\["sources"\]\[0\]\["path"\]: must be a relative path/,
);
test(
  'an absolute path',
  testRefused,
  oneSource({ mirror: 'unc', get: 'file', path: '/etc/x' }),
  /must be a relative path/,
);
test(
  'two places',
  testRefused,
  oneSource({ mirror: 'unc', get: 'file', path: 'a', id: '1234567890' }),
  /exactly one/,
);
test(
  'an unknown mirror',
  testRefused,
  oneSource({ mirror: 'moon', get: 'file', path: 'a' }),
  /no mirror "moon"/,
);
test(
  'an unknown field',
  testRefused,
  oneSource({ mirror: 'unc', get: 'file', path: 'a', sise: 3 }),
  /\["sources"\]\[0\]\["sise"\]/,
);
test(
  'a member with a folder',
  testRefused,
  oneSource({ mirror: 'unc', get: 'zip-member', path: 'a.zip', member: 'x/y.tsv' }),
  /must be a file name/,
);
for (const target of [
  '.downloads/x',
  'lxmert-data.lock.json',
  '.fetch-running',
  'C:x',
  'a/con.json',
  'a/x.',
]) {
  test(
    `the target ${target}`,
    testRefused,
    { manifest_version: 1, assets: { 'vqa/train.json': { target } } },
    /\["target"\]: must be a relative path/,
  );
}
test(
  'two assets with one target',
  testRefused,
  { manifest_version: 1, assets: { 'vqa/train.json': { target: 'vqa/test.json' } } },
  /has the same target/,
);
test(
  'a dataset with an unknown asset',
  testRefused,
  { manifest_version: 1, datasets: { vqa: { common: ['vqa/nothing.json'] } } },
  /\$\.datasets\["vqa"\]: there is no asset "vqa\/nothing\.json"/,
);
