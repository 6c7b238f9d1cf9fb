import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { readIdRule } from '../../pipeline/inputs/id-rule.ts';
import { makeSyntheticRow } from '../../pipeline/rows/synthetic-row.ts';
import { convert } from '../../pipeline/stages/convert.ts';
import { type RewriteOptions, rewriteStores } from '../../pipeline/stages/rewrite-stores.ts';
import { verifyStore } from '../../pipeline/stages/verify-store.ts';
import { openStore } from '../../pipeline/store/feature-store.ts';
import { makeContext, makeLines, writeTsv } from '../helpers/rows.ts';
import { makeTempFolder } from '../helpers/temp.ts';

async function makeStore(folder: string, name: string, count: number, begin = 0): Promise<string> {
  const tsv = await writeTsv(folder, makeLines(count, begin), `${name}.tsv`);
  const out = join(folder, `${name}.safetensors`);
  await convert({ files: [tsv], out }, makeContext());
  return out;
}

async function rewrite(options: Partial<RewriteOptions> & Pick<RewriteOptions, 'stores' | 'out'>) {
  return await rewriteStores({ force: false, ...options }, makeContext());
}

async function idsOf(path: string): Promise<readonly string[]> {
  const store = await openStore(path);
  return await store.ids().finally(() => store.close());
}

const idAt = (row: number): string => makeSyntheticRow(row).img_id;

async function isIntact(path: string): Promise<boolean> {
  return (await verifyStore(path, makeContext())).ok;
}

test('merge: all rows of all stores, in their order, intact, with all sources', async t => {
  const folder = await makeTempFolder(t);
  const stores = [await makeStore(folder, 'a', 3), await makeStore(folder, 'b', 2, 3)];
  const out = join(folder, 'ab.safetensors');
  const result = await rewrite({ stores, out });
  t.is(result.rows, 5);
  t.deepEqual(await idsOf(out), [0, 1, 2, 3, 4].map(idAt));
  t.true(await isIntact(out));
  const store = await openStore(out);
  t.deepEqual(
    store.provenance.sources.map(({ name }) => name),
    ['a.tsv', 'b.tsv'],
  );
  t.deepEqual(store.provenance.detector.caffe_edge, [5, 5]);
  await store.close();
});

test('a merged store has the data of one that was converted from both sources', async t => {
  const folder = await makeTempFolder(t);
  const stores = [await makeStore(folder, 'a', 3), await makeStore(folder, 'b', 2, 3)];
  const merged = join(folder, 'merged.safetensors');
  await rewrite({ stores, out: merged });
  const converted = join(folder, 'converted.safetensors');
  await convert(
    { files: ['a', 'b'].map(name => join(folder, `${name}.tsv`)), out: converted },
    makeContext(),
  );
  const dataOf = async (path: string): Promise<Buffer> => {
    const bytes = await readFile(path);
    return bytes.subarray(8 + Number(bytes.readBigUInt64LE()));
  };
  t.true((await dataOf(merged)).equals(await dataOf(converted)));
});

test('subset: the images of a split, under its ids', async t => {
  const folder = await makeTempFolder(t);
  const store = await makeStore(folder, 'all', 5);
  const json = join(folder, 'split.json');
  await writeFile(json, JSON.stringify([3, 1].map(row => ({ img_id: idAt(row) }))));
  const out = join(folder, 'split.safetensors');
  const result = await rewrite({ stores: [store], out, ids: await readIdRule(json) });
  t.is(result.left_out, 3);
  t.deepEqual(await idsOf(out), [idAt(1), idAt(3)]);
  t.true(await isIntact(out));
});

test('cast: f16 and back has the values of f16, and f32 to f32 changes nothing', async t => {
  const folder = await makeTempFolder(t);
  const store = await makeStore(folder, 'x', 2);
  const [half, back, same] = ['half', 'back', 'same'].map(name => join(folder, `${name}.safetensors`));
  await rewrite({ stores: [store], out: half!, dtype: 'f16' });
  await rewrite({ stores: [half!], out: back!, dtype: 'f32' });
  await rewrite({ stores: [store], out: same! });
  const direct = join(folder, 'direct.safetensors');
  await convert({ files: [join(folder, 'x.tsv')], out: direct, dtype: 'f16' }, makeContext());
  const featuresOf = async (path: string): Promise<Float32Array> => {
    const opened = await openStore(path);
    return await opened
      .row(1)
      .then(row => row.features)
      .finally(() => opened.close());
  };
  t.deepEqual(await featuresOf(half!), await featuresOf(direct));
  t.deepEqual(await featuresOf(back!), await featuresOf(half!));
  t.deepEqual(await featuresOf(same!), await featuresOf(store));
  for (const path of [half!, back!, same!]) t.true(await isIntact(path));
});

async function testRefused(
  t: ExecutionContext,
  options: Partial<RewriteOptions>,
  code: string,
  message: RegExp,
) {
  const folder = await makeTempFolder(t);
  const stores = options.stores?.map(name => join(folder, name)) ?? [];
  await makeStore(folder, 'a', 2);
  await makeStore(folder, 'b', 2, 1);
  const before = await readdir(folder);
  await t.throwsAsync(rewrite({ ...options, stores, out: join(folder, 'out.safetensors') }), {
    code,
    message,
  });
  t.deepEqual(await readdir(folder), before, 'nothing is left behind');
}

test(
  'an image that two stores have',
  testRefused,
  { stores: ['a.safetensors', 'b.safetensors'] },
  'ERR_STORE',
  /would be in the store twice/,
);
test(
  'a store that does not exist',
  testRefused,
  { stores: ['none.safetensors'] },
  'ERR_INPUT',
  /no such file/,
);

test('a listed image that no store has, and an empty selection', async t => {
  const folder = await makeTempFolder(t);
  const store = await makeStore(folder, 'a', 2);
  const list = join(folder, 'ids.txt');
  await writeFile(list, `${idAt(0)}\nnowhere\n`);
  const out = join(folder, 'out.safetensors');
  await t.throwsAsync(rewrite({ stores: [store], out, ids: await readIdRule(list) }), {
    code: 'ERR_STORE',
    message: /1 of 2 listed images are in none of the stores[^]*nowhere/,
  });
});

test('stores of different detectors are kept apart', async t => {
  const folder = await makeTempFolder(t);
  const a = await makeStore(folder, 'a', 1);
  const tsv = await writeTsv(folder, makeLines(1, 1), 'b.tsv');
  const b = join(folder, 'b.safetensors');
  await convert({ files: [tsv], out: b, detector: { name: 'x', weights: 'untrained' } }, makeContext());
  await t.throwsAsync(rewrite({ stores: [a, b], out: join(folder, 'out.safetensors') }), {
    code: 'ERR_USAGE',
    message: /different detectors/,
  });
});

test('a damaged row is named and nothing is written', async t => {
  const folder = await makeTempFolder(t);
  const store = await makeStore(folder, 'a', 2);
  const bytes = await readFile(store);
  bytes[8 + Number(bytes.readBigUInt64LE()) + 294_912 + 5]! ^= 1;
  await writeFile(store, bytes);
  await t.throwsAsync(rewrite({ stores: [store], out: join(folder, 'out.safetensors') }), {
    code: 'ERR_STORE',
    message: new RegExp(`image ${idAt(1)} \\(row 1\\) is damaged`),
  });
});
