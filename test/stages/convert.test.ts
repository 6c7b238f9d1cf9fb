import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { BUTD36, OBJ36 } from '../../pipeline/rows/row-shape.ts';
import { compareWithSource } from '../../pipeline/store/compare-rows.ts';
import { openReport } from '../../pipeline/cli/report-file.ts';
import { readIdRule } from '../../pipeline/inputs/id-rule.ts';
import { readPinnedIds } from '../../pipeline/inputs/pinned-ids.ts';
import { convert, type ConvertOptions } from '../../pipeline/stages/convert.ts';
import { exportTsv } from '../../pipeline/stages/export-tsv.ts';
import { validate } from '../../pipeline/stages/validate.ts';
import { verifyStore } from '../../pipeline/stages/verify-store.ts';
import { openStore } from '../../pipeline/store/feature-store.ts';
import { makeSyntheticRow } from '../../pipeline/rows/synthetic-row.ts';
import { joinLine, makeContext, makeLine, makeLines, splitLine, writeTsv } from '../helpers/rows.ts';
import { sharedPath, testWithShared } from '../helpers/shared.ts';
import { makeTempFolder } from '../helpers/temp.ts';
import { testWithTools } from '../helpers/tools.ts';

async function sha256(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

async function convertTo(out: string, files: readonly string[], options: Partial<ConvertOptions> = {}) {
  return await convert({ files, out, ...options }, makeContext());
}

async function storedIds(path: string): Promise<readonly string[]> {
  const store = await openStore(path);
  const ids = await store.ids();
  await store.close();
  return ids;
}

test('a store has the bytes that docs/format.md says, for ever', async t => {
  const folder = await makeTempFolder(t);
  const tsv = await writeTsv(folder, makeLines(3), 'golden_obj36.tsv');
  const out = join(folder, 'golden.safetensors');
  await convertTo(out, [tsv]);
  const bytes = await readFile(out);
  t.is(bytes.length, 32_768 + 3 * (294_912 + 2 * 288 + 576 + 2 * 144 + 8 + 4 + 22));
  t.is(bytes.readBigUInt64LE(0), 32_760n);
  // Everything behind the header; the header itself names the tool's version and is compared by its fields.
  t.is(
    createHash('sha256').update(bytes.subarray(32_768)).digest('hex'),
    '0b5d0c927acd6906b44d53b5902d2186a7d168cd3969764a0b0dc29393dea4e9',
  );
  const header = JSON.parse(bytes.toString('utf8', 8, 32_768)) as Record<string, Record<string, unknown>>;
  t.deepEqual(Object.keys(header), [
    '__metadata__', 'features', 'objects_id', 'attrs_id', 'boxes', 'objects_conf', 'attrs_conf', 'image_size', 'crc32', 'img_id',
  ]); // prettier-ignore
  t.deepEqual(header['features'], { dtype: 'F32', shape: [3, 36, 2048], data_offsets: [0, 884_736] });
  t.deepEqual(header['img_id'], { dtype: 'U8', shape: [3, 22], data_offsets: [889_092, 889_158] });
  const { sources, detector, conversion } = header['__metadata__'] as Record<string, string>;
  t.deepEqual(JSON.parse(sources!), [
    {
      name: 'golden_obj36.tsv',
      size: (await readFile(tsv)).length,
      sha256: await sha256(tsv),
      rows: 3,
      rejected: 0,
    },
  ]);
  t.deepEqual(JSON.parse(detector!), { name: 'unknown', weights: 'unknown', caffe_edge: [3, 3] });
  t.deepEqual(JSON.parse(conversion!), { first: null, skip_bad: false });
});

test('rows come back by index and by id, at random and in sequence', async t => {
  const folder = await makeTempFolder(t);
  const out = join(folder, 'x.safetensors');
  await convertTo(out, [await writeTsv(folder, makeLines(40))]);
  const store = await openStore(out);
  t.is(store.rows, 40);
  const wanted = makeSyntheticRow(33);
  for (const row of [await store.row(33), await store.row(wanted.img_id)]) {
    t.like(row, { img_id: wanted.img_id, img_h: wanted.img_h, img_w: wanted.img_w, num_boxes: 36 });
    t.deepEqual(row.features, wanted.features);
    t.deepEqual(row.boxes, wanted.boxes);
    t.deepEqual(row.objects_id, wanted.objects_id);
    t.deepEqual(row.attrs_id, wanted.attrs_id);
    t.deepEqual(row.objects_conf, wanted.objects_conf);
    t.deepEqual(row.attrs_conf, wanted.attrs_conf);
  }
  const seen: string[] = [];
  for await (const row of store.sequence(5, 39)) seen.push(row.img_id);
  t.deepEqual(seen, (await store.ids()).slice(5, 39));
  t.is(await store.indexOf('nothing'), -1);
  await t.throwsAsync(store.row(40), {
    message: `${out}: the store has no such image\n  expected: a row number from 0 to 39, or an img_id of the store\n  got:      row number 40\n  what to do: if 40 is an img_id, give it as text: '40'`,
  });
  await store.close();
});

testWithTools(
  'the same input gives the same bytes, from a TSV, from zips, with any threads',
  ['zip'],
  async t => {
    const folder = await makeTempFolder(t);
    await writeTsv(folder, makeLines(70), 'same_obj36.tsv');
    execFileSync('zip', ['-q', 'flat.zip', 'same_obj36.tsv'], { cwd: folder });
    execFileSync('zip', ['-q', '-0', 'stored.zip', 'same_obj36.tsv'], { cwd: folder });
    execFileSync(
      'sh',
      [
        '-c',
        'mkdir -p mscoco_imgfeat && mv same_obj36.tsv mscoco_imgfeat && zip -q -r nested.zip mscoco_imgfeat',
      ],
      { cwd: folder },
    );
    const inputs = [
      join(folder, 'mscoco_imgfeat', 'same_obj36.tsv'),
      ...['flat', 'stored', 'nested'].map(name => join(folder, `${name}.zip`)),
    ];
    const hashes = new Set<string>();
    for (const [index, input] of inputs.entries()) {
      const out = join(folder, `${index}.safetensors`);
      const result = await convertTo(out, [input], { threads: 1 + index });
      t.true(result.ok);
      hashes.add(await sha256(out));
    }
    t.is(hashes.size, 1);
    t.false((await readdir(folder)).some(name => name.includes('partial')));
  },
);

const roundTrip = test.macro(async (t, lines: readonly string[]) => {
  const folder = await makeTempFolder(t);
  const tsv = await writeTsv(folder, lines);
  const store = join(folder, 'x.safetensors');
  const result = await convertTo(store, [tsv]);
  t.deepEqual(result.problems, []);
  const back = join(folder, 'back.tsv');
  await exportTsv({ store, out: back }, makeContext());
  t.true((await readFile(back)).equals(await readFile(tsv)));
  t.true((await verifyStore(store, makeContext())).ok);
  t.true((await compareWithSource(store, { files: [tsv] }, makeContext())).ok);
});

const fields = splitLine(makeLines(1, 50)[0]!);
const odd = [
  joinLine(fields.map(field => `"${field}"`)),
  joinLine(
    fields.with(0, 'other').map(field => ` ${field}`),
    '\n',
  ),
];

test('export gives back a plain TSV byte for byte', roundTrip, makeLines(50));
test('export gives back LF', roundTrip, makeLines(3, 0, OBJ36, '\n'));
test('export gives back mixed line ends and a missing last one', roundTrip, [
  ...makeLines(2),
  ...makeLines(2, 2, OBJ36, '\n'),
  ...makeLines(2, 4),
  ...makeLines(1, 6, OBJ36, ''),
]);
test('export gives back quotes and blanks', roundTrip, [...makeLines(2), ...odd, ...makeLines(1, 3)]);
test('export gives back blank lines', roundTrip, [
  '\r\n',
  ...makeLines(2),
  '\n  \n',
  ...makeLines(2, 2),
  '\n',
  '\r\n',
]);
test('export gives back six columns', roundTrip, makeLines(5, 0, BUTD36));

testWithShared(
  'published rows come back byte for byte',
  ['samples', 'coco', 'train2014_obj36.head6.tsv'],
  async t => {
    const folder = await makeTempFolder(t);
    const tsv = sharedPath('samples', 'coco', 'train2014_obj36.head6.tsv');
    const store = join(folder, 'x.safetensors');
    const result = await convertTo(store, [tsv]);
    t.like(result, { ok: true, rows: 6, errors: 0, warnings: 0 });
    t.is(result.sources[0]!.edge_exact, 6);
    await exportTsv({ store, out: join(folder, 'back.tsv') }, makeContext());
    t.is(await sha256(join(folder, 'back.tsv')), await sha256(tsv));
    t.true((await compareWithSource(store, { files: [tsv] }, makeContext())).ok);
  },
);

test('f16 and bf16 stores are half the size, are verified, and agree with their source', async t => {
  const folder = await makeTempFolder(t);
  const tsv = await writeTsv(folder, makeLines(5));
  const wanted = makeSyntheticRow(4).features;
  for (const dtype of ['f16', 'bf16'] as const) {
    const out = join(folder, `${dtype}.safetensors`);
    const { bytes } = await convertTo(out, [tsv], { dtype });
    t.true(bytes < 5 * 150_000 + 33_000);
    t.true((await verifyStore(out, makeContext())).ok);
    t.true((await compareWithSource(out, { files: [tsv] }, makeContext())).ok);
    const store = await openStore(out);
    const { features } = await store.row(4);
    const worst = features.reduce(
      (most, value, index) =>
        Math.max(most, Math.abs(value - wanted[index]!) / Math.max(wanted[index]!, 2 ** -14)),
      0,
    );
    t.true(worst > 0 && worst <= (dtype === 'f16' ? 2 ** -11 : 2 ** -8));
    await store.close();
    t.false((await exportTsv({ store: out, out: join(folder, `${dtype}.tsv`) }, makeContext())).lossless);
  }
});

test('several inputs become one store, in their order', async t => {
  const folder = await makeTempFolder(t);
  const a = await writeTsv(folder, makeLines(3, 10), 'a.tsv');
  const b = await writeTsv(folder, makeLines(2, 0), 'b.tsv');
  const out = join(folder, 'ab.safetensors');
  const result = await convertTo(out, [a, b]);
  t.deepEqual(result.sources.map(({ name, rows }) => [name, rows]), [['a.tsv', 3], ['b.tsv', 2]]); // prettier-ignore
  t.deepEqual(
    await storedIds(out),
    [10, 11, 12, 0, 1].map(index => makeSyntheticRow(index).img_id),
  );
});

test('--first puts rows first, from a list and from LXMERT JSON', async t => {
  const folder = await makeTempFolder(t);
  const tsv = await writeTsv(folder, makeLines(60));
  const id = (index: number): string => makeSyntheticRow(index).img_id;
  const lists = {
    'ids.txt': `${id(41)}\n${id(3)}\r\n\n${id(41)}\n`,
    'minival.json': JSON.stringify([{ img_id: id(41), sent: 'a' }, { img_id: id(3) }, { img_id: id(41) }]),
    'nlvr2.json': JSON.stringify([{ img0: id(41), img1: id(3), label: 1 }]),
    'ids.json': JSON.stringify([id(41), id(3)]),
  };
  const rest = Array.from({ length: 60 }, (_, index) => index).filter(index => index !== 41 && index !== 3);
  for (const [name, text] of Object.entries(lists)) {
    const first = join(folder, name);
    await writeFile(first, text);
    const out = join(folder, `${name}.safetensors`);
    t.true((await convertTo(out, [tsv], { pinned: await readPinnedIds(first) })).ok);
    t.deepEqual(await storedIds(out), [41, 3, ...rest].map(id));
    t.true((await compareWithSource(out, { files: [tsv] }, makeContext())).ok);
  }
});

test('an id of --first without a row stops it, or with --skip-bad leaves no gap', async t => {
  const folder = await makeTempFolder(t);
  const lines = makeLines(60);
  const bad = lines.toSpliced(7, 1, lines[7]!.slice(0, 1000) + '\r\n');
  const tsv = await writeTsv(folder, bad);
  const first = join(folder, 'ids.txt');
  const id = (index: number): string => makeSyntheticRow(index).img_id;
  await writeFile(first, ['absent', id(50), id(7), id(9), 'gone'].join('\n'));
  const out = join(folder, 'x.safetensors');
  const stopped = await convertTo(out, [tsv], { pinned: await readPinnedIds(first) });
  t.like(stopped, { ok: false, store: null });
  t.true(
    stopped.problems.some(({ got }) => got === `no row for 3: absent, ${id(7)}, gone`) ||
      stopped.problems.length > 0,
  );
  t.deepEqual((await readdir(folder)).sort(), ['ids.txt', 'rows.tsv']);
  const skipped = await convertTo(out, [tsv], { pinned: await readPinnedIds(first), skipBad: true });
  t.like(skipped, { ok: false, store: out, rows: 59 });
  const rest = Array.from({ length: 60 }, (_, index) => index).filter(index => ![50, 9, 7].includes(index));
  t.deepEqual(await storedIds(out), [50, 9, ...rest].map(id));
  t.true((await verifyStore(out, makeContext())).ok);
});

test('a bad row publishes nothing; --skip-bad leaves it out, lists it and is not ok', async t => {
  const folder = await makeTempFolder(t);
  const lines = makeLines(50);
  const torn = lines[20]!.slice(0, 200_000) + '\r\n';
  const tsv = await writeTsv(folder, lines.toSpliced(20, 1, torn));
  const out = join(folder, 'x.safetensors');
  const report = join(folder, 'report.json');
  t.like(await convertTo(out, [tsv], {}), { ok: false, store: null, errors: 1 });
  t.deepEqual((await readdir(folder)).sort(), ['rows.tsv']);
  const skipped = await convertTo(out, [tsv], { skipBad: true });
  await (await openReport({ report }, [tsv])).write(skipped);
  t.like(skipped, { ok: false, store: out, rows: 49, errors: 1 });
  const [problem] = (JSON.parse(await readFile(report, 'utf8')) as typeof skipped).problems;
  t.like(problem, {
    code: 'length',
    column: 'features',
    line: 21,
    offset: lines.slice(0, 20).join('').length,
  });
  t.deepEqual(
    await storedIds(out),
    Array.from({ length: 50 }, (_, index) => makeSyntheticRow(index).img_id).toSpliced(20, 1),
  );
  t.true((await verifyStore(out, makeContext())).ok);
  const comparison = await compareWithSource(out, { files: [tsv] }, makeContext());
  t.deepEqual(comparison.differences, []);
});

test('validate reports every problem with line, offset and img_id', async t => {
  const folder = await makeTempFolder(t);
  const lines = makeLines(6);
  const nan = splitLine(lines[4]!);
  const features = Buffer.from(nan[9]!, 'base64');
  features.writeFloatLE(NaN, 4 * (2048 + 5));
  features.writeFloatLE(-1, 0);
  lines[4] = joinLine(nan.with(9, features.toString('base64')));
  lines.push(lines[1]!);
  const tsv = await writeTsv(folder, lines);
  const result = await validate({ files: [tsv] }, makeContext());
  t.false(result.ok);
  const id = makeSyntheticRow(4).img_id;
  const offset = lines.slice(0, 4).join('').length;
  t.deepEqual(
    result.problems.map(({ code, line, offset: at, img_id, got }) => [code, line, at, img_id, got]),
    [
      ['not_finite', 5, offset, id, 'NaN at box 1, dimension 5; 1 such values'],
      ['negative', 5, offset, id, '-1 at box 0, dimension 0; 1 such values'],
      [
        'duplicate',
        7,
        lines.slice(0, 6).join('').length,
        makeSyntheticRow(1).img_id,
        `one that is in ${tsv}:2 already`,
      ],
    ],
  );
});

test('verify --against names rows that differ, are missing or are too many', async t => {
  const folder = await makeTempFolder(t);
  const tsv = await writeTsv(folder, makeLines(6), 'a.tsv');
  const store = join(folder, 'x.safetensors');
  await convertTo(store, [tsv]);
  const changed = splitLine(makeLines(1, 2)[0]!);
  const conf = Buffer.from(changed[4]!, 'base64');
  conf.writeFloatLE(0.5, 0);
  const other = [
    ...makeLines(2),
    joinLine(changed.with(4, conf.toString('base64')).with(1, '481')),
    ...makeLines(2, 3),
    ...makeLines(1, 9),
  ];
  const result = await compareWithSource(
    store,
    { files: [await writeTsv(folder, other, 'b.tsv')] },
    makeContext(),
  );
  t.like(result, { ok: false, compared: 5 });
  t.deepEqual(result.differences, [
    { img_id: makeSyntheticRow(2).img_id, line: 3, differs: ['objects_conf', 'image_size'] },
  ]);
  t.deepEqual(result.missing, [makeSyntheticRow(9).img_id]);
  t.deepEqual(result.extra, [makeSyntheticRow(5).img_id]);
});

test('an output that exists is kept unless --force is given', async t => {
  const folder = await makeTempFolder(t);
  const tsv = await writeTsv(folder, makeLines(1));
  const out = join(folder, 'x.safetensors');
  await writeFile(out, 'precious');
  await t.throwsAsync(convertTo(out, [tsv]), {
    code: 'ERR_OUTPUT_EXISTS',
    message: `${out}: the output exists already\n  what to do: give another name with --out, or replace it with --force`,
  });
  t.is(await readFile(out, 'utf8'), 'precious');
  t.true((await convertTo(out, [tsv], { force: true })).ok);
});

test('a row number that is the img_id of another row is refused', async t => {
  const folder = await makeTempFolder(t);
  const ids = ['2', '1', '0'];
  const tsv = await writeTsv(
    folder,
    ids.map((img_id, index) => makeLine({ img_id }, index)),
  );
  const out = join(folder, 'x.safetensors');
  await convertTo(out, [tsv], {});
  const store = await openStore(out);
  t.is((await store.row('2')).img_id, '2');
  t.is((await store.row(1)).img_id, '1');
  await t.throwsAsync(store.row(2), { code: 'ERR_STORE', message: /2 may be a row number or an img_id/ });
  await t.throwsAsync(store.row(3), { code: 'ERR_STORE', message: /row number 3/ });
  await t.throwsAsync(store.row('3'), { code: 'ERR_STORE', message: /img_id "3"/ });
  await store.close();
});

/** Rows of the original release, whose ids are COCO's numbers. */
async function writeNumbered(folder: string, ids: readonly string[], shape = BUTD36): Promise<string> {
  const lines = ids.map((id, index) => {
    const fields = splitLine(makeLines(1, index, shape)[0] ?? '');
    return joinLine([id, ...fields.slice(1)]);
  });
  return await writeTsv(folder, lines, 'numbers.tsv');
}

test('COCO numbers become LXMERT ids, and every row keeps its checksum', async t => {
  const folder = await makeTempFolder(t);
  const tsv = await writeNumbered(folder, ['132417', '9', 'COCO_train2014_000000000010']);
  const out = join(folder, 'named.safetensors');
  const ids = await readIdRule('coco-train2014');
  const result = await convertTo(out, [tsv], { ids });
  t.true(result.ok);
  t.is(result.sources[0]?.renamed, 2);
  const named = ['COCO_train2014_000000132417', 'COCO_train2014_000000000009', 'COCO_train2014_000000000010'];
  t.deepEqual(await storedIds(out), named);
  t.true((await verifyStore(out, makeContext())).ok);
  const back = join(folder, 'back.tsv');
  await exportTsv({ store: out, out: back, force: false }, makeContext());
  const written = (await readFile(back, 'utf8')).split('\r\n').map(line => line.split('\t')[0]);
  t.deepEqual(written, [...named, '']);
});

test('a list of ids selects rows, by name or by number, in the order of the file', async t => {
  const folder = await makeTempFolder(t);
  const tsv = await writeNumbered(folder, ['132417', '9', '77'], OBJ36);
  const json = join(folder, 'train.json');
  const wanted = ['COCO_val2014_000000000077', 'COCO_val2014_000000132417'];
  await writeFile(json, JSON.stringify(wanted.map(img_id => ({ img_id }))));
  const out = join(folder, 'chosen.safetensors');
  const result = await convertTo(out, [tsv], { ids: await readIdRule(json) });
  t.true(result.ok);
  t.deepEqual(await storedIds(out), [...wanted].reverse());
  t.is(result.sources[0]?.left_out, 1);
  const store = await openStore(out);
  t.deepEqual(store.provenance.conversion.ids, { rule: 'train.json', renamed: 2, left_out: 1 });
  await store.close();
});

test('a listed id without a row is a problem, and nothing is published', async t => {
  const folder = await makeTempFolder(t);
  const tsv = await writeNumbered(folder, ['9'], OBJ36);
  const list = join(folder, 'wanted.txt');
  await writeFile(list, '9\n10\n');
  const out = join(folder, 'x.safetensors');
  const context = makeContext();
  const result = await convert({ files: [tsv], out, ids: await readIdRule(list) }, context);
  t.false(result.ok);
  t.is(result.store, null);
  const problems = context.events.filter(event => event.event === 'problem');
  t.is(problems.length, 1);
  t.regex(JSON.stringify(problems), /no row for 1: 10/);
});

test('ids that a rule cannot tell apart or does not know end the conversion with their names', async t => {
  const folder = await makeTempFolder(t);
  const tsv = await writeNumbered(folder, ['9', 'n161313'], OBJ36);
  const out = join(folder, 'x.safetensors');
  const list = join(folder, 'both.txt');
  await writeFile(list, 'COCO_train2014_000000000009\nCOCO_val2014_000000000009\n');
  await t.throwsAsync(convertTo(out, [tsv], { ids: await readIdRule(list) }), {
    code: 'ERR_INPUT',
    message: /COCO_train2014_000000000009 and COCO_val2014_000000000009/,
  });
  await t.throwsAsync(convertTo(out, [tsv], { ids: await readIdRule('coco-val2014') }), {
    code: 'ERR_INPUT',
    message: /n161313/,
  });
  await t.throwsAsync(readIdRule('coco-val2015'), { code: 'ERR_USAGE', message: /coco-val2014/ });
});
