import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { claimPartialPath } from '../../pipeline/files/partial-names.ts';
import { BOXES, FEATURE_DIM } from '../../pipeline/rows/row-shape.ts';
import { StoreFile } from '../../pipeline/store/reader.ts';
import { rankImages } from '../../pipeline/inspection/rank-images.ts';
import { SUMMARY, SUMMARY_FIELDS } from '../../pipeline/inspection/summarise-row.ts';
import { spreadRows, surveyStore } from '../../pipeline/inspection/survey-store.ts';
import { ValueTally } from '../../pipeline/inspection/value-tally.ts';
import { convert } from '../../pipeline/stages/convert.ts';
import { sharp } from '../../pipeline/detector/image/sharp.ts';
import { openStore } from '../../pipeline/store/feature-store.ts';
import { makeSyntheticRow } from '../../pipeline/rows/synthetic-row.ts';
import { runCli } from '../helpers/cli.ts';
import { makeDemoStore, makeStore, makeStoreOfIds, makeVocabulary } from '../helpers/pages.ts';
import { makeContext, makeLines, writeTsv } from '../helpers/rows.ts';
import { makeTempFolder } from '../helpers/temp.ts';

test('a tally knows quantiles within a bin and histograms exactly', t => {
  fc.assert(
    fc.property(fc.array(fc.float({ min: 0, max: 4000, noNaN: true }), { minLength: 1 }), values => {
      const tally = new ValueTally();
      for (const value of values) tally.add(value);
      const sorted = values.toSorted((a, b) => a - b);
      const median = sorted[Math.max(0, Math.ceil(sorted.length / 2) - 1)]!;
      t.true(Math.abs(tally.quantile(0.5) - median) <= median / 100 + 2e-6);
      const edges = [0, 0.25, 0.5, 1, 3, 64, 4096];
      const exact = edges
        .slice(1)
        .map((edge, index) => values.filter(value => value >= edges[index]! && value < edge).length);
      t.deepEqual(tally.histogram(edges), exact);
      t.is(tally.count, values.length);
    }),
  );
});

for (const dtype of ['f32', 'f16', 'bf16'] as const) {
  test(`a survey of an ${dtype} store says what reading it row by row says`, async t => {
    const folder = await makeTempFolder(t);
    const tsv = await writeTsv(folder, makeLines(20));
    const path = join(folder, 'x.safetensors');
    await convert({ files: [tsv], out: path, dtype }, makeContext());
    const file = await StoreFile.open(path);
    const rows = [0, 1, 2, 3, 7, 8, 19];
    const survey = await surveyStore(file, { rows, threads: 2 }, makeContext());
    await file.close();
    const store = await openStore(path);
    const norms: number[] = [];
    const objects = new Uint32Array(1600);
    for (const [at, which] of rows.entries()) {
      const row = await store.row(which);
      const summary = (field: number): number => survey.summaries[at * SUMMARY_FIELDS + field]!;
      const own = Array.from({ length: BOXES }, (_, box) =>
        Math.fround(Math.hypot(...row.features.subarray(box * FEATURE_DIM, (box + 1) * FEATURE_DIM))),
      );
      norms.push(...own);
      for (const id of row.objects_id!) objects[Number(id)]! += 1;
      t.true(Math.abs(summary(SUMMARY.normMost) - Math.max(...own)) < 1e-4);
      t.true(Math.abs(summary(SUMMARY.normLeast) - Math.min(...own)) < 1e-4);
      const zeros = row.features.filter(value => value === 0).length / row.features.length;
      t.true(Math.abs(summary(SUMMARY.zeros) - zeros) < 1e-6);
      t.is(summary(SUMMARY.flaws), 0);
      t.deepEqual([summary(SUMMARY.width), summary(SUMMARY.height)], [row.img_w, row.img_h]);
    }
    await store.close();
    t.deepEqual(survey.objects, objects);
    t.is(survey.tallies.norm.count, norms.length);
    norms.sort((a, b) => a - b);
    t.true(Math.abs(survey.tallies.norm.quantile(0.5) / norms[norms.length >> 1]! - 1) < 0.01);
  });
}

test('rows are spread from the first to the last', t => {
  t.deepEqual(spreadRows(10, 4), [0, 3, 6, 9]);
  t.deepEqual(spreadRows(3, 5), [0, 1, 2]);
  t.deepEqual(spreadRows(7, 1), [0]);
});

test('the worst images come first, each with its reason', async t => {
  const plain = makeSyntheticRow(0);
  const twin = makeSyntheticRow(3).features;
  const repeated = makeSyntheticRow(5).features.slice();
  repeated.copyWithin(FEATURE_DIM, 0, FEATURE_DIM);
  const empty = makeSyntheticRow(7).features.slice().fill(0, 0, FEATURE_DIM);
  const boxes = plain.boxes.slice();
  boxes.copyWithin(4, 0, 4);
  const rows = Array.from({ length: 40 }, (_, index) => ({
    ...(index === 9 ? { features: twin } : {}),
    ...(index === 5 ? { features: repeated } : {}),
    ...(index === 7 ? { features: empty } : {}),
    ...(index === 12 ? { boxes, img_h: plain.img_h, img_w: plain.img_w } : {}),
    ...(index === 30 ? { features: makeSyntheticRow(30).features.map(value => value * 9) } : {}),
    ...(index === 31 ? { objects_conf: new Float32Array(BOXES).fill(0.001) } : {}),
  }));
  const { store: path } = await makeStore(t, rows);
  const bytes = await readFile(path);
  const offset = 8 + Number(bytes.readBigUInt64LE()) + 20 * BOXES * FEATURE_DIM * 4;
  bytes.writeUInt32LE(0x7fc00000, offset);
  await writeFile(path, bytes);
  const store = await StoreFile.open(path);
  const ids = await store.readImageIds();
  const survey = await surveyStore(store, {}, makeContext());
  await store.close();
  const found = rankImages(survey, ids)
    .filter(({ reasons }) => reasons.length > 0)
    .map(({ row, reasons, invalid }) => [row, invalid, reasons.join('; ')] as const);
  t.is(found[0]![0], 20);
  t.regex(found[0]![2], /damaged: its checksum does not match; values that are not finite/);
  t.deepEqual(found[1]?.slice(0, 2), [7, true]);
  t.regex(found[1]![2], /^1 box with all features zero/);
  t.deepEqual(found[2]?.slice(0, 2), [9, false]);
  t.regex(found[2]![2], /the same features as SYNTHETIC_000000000003/);
  const reasonsOf = (row: number): string => found.find(([which]) => which === row)?.[2] ?? 'none';
  t.regex(reasonsOf(12), /1 box with the coordinates of another box/);
  t.regex(reasonsOf(5), /1 box with the features of another box/);
  t.regex(reasonsOf(30), /largest feature norm/);
  t.regex(reasonsOf(31), /mean confidence 0\.001/);
  t.true(found.length < 14, `${found.length} of 40 images are called outliers`);
});

test('the command writes a page, does not replace one unasked, and tells what it found', async t => {
  const { folder, store } = await makeStore(t, [{}, {}, {}]);
  const run = async (...words: string[]) => await runCli(['inspect', ...words], { cwd: folder });
  const first = await run(store);
  t.is(first.code, 0, first.stderr);
  t.regex(
    first.stdout,
    /^3 images read: none invalid, 0 outliers\n.*x\.html: [\d.]+ kB, opens in any browser/,
  );
  const again = await run(store);
  t.is(again.code, 1);
  t.regex(again.stderr, /the output exists already/);
  t.is((await run(store, '--force', '--quiet')).stdout, '');
  const json = await run(store, 'SYNTHETIC_000000000001', '--out', 'one.html', '--json');
  const events = json.stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>);
  const result = events.find(({ event }) => event === 'result')!;
  t.like(result, { stage: 'inspect', ok: true, images: 3, surveyed: 1, invalid: 0, out: 'one.html' });
  t.deepEqual(result['shown'], [{ img_id: 'SYNTHETIC_000000000001', row: 1, reasons: [] }]);
  const sampled = await run(store, '--sample', '2', '--limit', '1', '--out', 'two.html');
  t.regex(sampled.stdout, /^2 of 3 images read/);
  t.regex(
    await readFile(join(folder, 'two.html'), 'utf8'),
    /cover 2 of the 3 images; the others were not read/,
  );
  t.deepEqual((await readdir(folder)).sort(), ['one.html', 'two.html', 'x.html', 'x.safetensors', 'x.tsv']);
});

const refusal = test.macro(async (t, words: readonly string[], code: number, message: RegExp) => {
  const { folder } = await makeStore(t, [{}]);
  const before = await readdir(folder);
  const result = await runCli(['inspect', ...words], { cwd: folder });
  t.is(result.code, code);
  t.regex(result.stderr, message);
  t.deepEqual(await readdir(folder), before);
});

test(
  'an unknown image',
  refusal,
  ['x.safetensors', 'COCO_1'],
  1,
  /the store has no such image\n.*such as SYNTHETIC_000000000000\n.*COCO_1/,
);
test('no store', refusal, ['x.tsv'], 2, /x\.tsv: this is not a store/);
test('three stores', refusal, ['x.safetensors', 'x.safetensors', 'x.safetensors'], 2, /3 stores/);
test('another ending', refusal, ['x.safetensors', '--out', 'x.pdf'], 2, /a name that ends in \.html/);
test(
  'a sheet of two stores',
  refusal,
  ['x.safetensors', 'x.safetensors', '--png', 'x.png'],
  2,
  /contact sheet shows one store only/,
);
test(
  'no such folder of images',
  refusal,
  ['x.safetensors', '--images', 'none'],
  1,
  /the folder of images does not exist/,
);
test('no such vocabulary', refusal, ['x.safetensors', '--vocab', 'none'], 1, /the vocabulary cannot be read/);
test('an output that is the store', refusal, ['x.safetensors', '--png', 'x.safetensors'], 2, /ends in \.png/);

test('a vocabulary of another detector is refused', async t => {
  const { folder, store } = await makeStore(t, [{}]);
  await makeVocabulary(folder);
  await writeFile(join(folder, 'vocab', 'objects_vocab.txt'), 'one\ntwo\n');
  const { code, stderr } = await runCli(['inspect', store, '--vocab', 'vocab'], { cwd: folder });
  t.is(code, 1);
  t.regex(stderr, /not the vocabulary of the 36-box detector\n.*1600 lines\n.*2 lines/);
});

test('a store that ends too early leaves no page behind', async t => {
  const { folder, store } = await makeStore(t, [{}, {}]);
  await truncate(store, 300_000);
  const { code } = await runCli(['inspect', store], { cwd: folder });
  t.is(code, 1);
  t.deepEqual((await readdir(folder)).sort(), ['x.safetensors', 'x.tsv']);
});

test('the vocabulary is found below the data root', async t => {
  const { folder, store } = await makeStore(t, [{ objects_id: new BigInt64Array(BOXES).fill(3n) }]);
  await makeVocabulary(join(folder, 'data'), ['a', 'b', 'c', 'unicycle,one wheel']);
  const { code } = await runCli(['inspect', store, '--data', 'data', '--out', 'x.html'], { cwd: folder });
  t.is(code, 0);
  t.regex(await readFile(join(folder, 'x.html'), 'utf8'), /"3":"unicycle"/);
});

test('a contact sheet has every image with its boxes where they belong', async t => {
  const { folder, store, images } = await makeDemoStore(t);
  const out = join(folder, 'sheet.png');
  const { code, stdout } = await runCli(['inspect', store, '--images', images, '--png', out], {
    cwd: folder,
  });
  t.is(code, 0);
  t.regex(stdout, /sheet\.png/);
  const { data, info } = await sharp(await readFile(out))
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  t.deepEqual([info.width, info.height], [2 * 320 + 3 * 16, 44 + 2 * (240 + 26 + 16) + 8]);
  const opened = await openStore(store);
  const row = await opened.row('demo_1');
  await opened.close();
  // Cells are 320 x 240, as the images are; the ids stand in the order of the page.
  const page = await runCli(['inspect', store, '--json', '--out', 'x.html'], { cwd: folder });
  const shown = JSON.parse(page.stdout.trim().split('\n').at(-1)!) as { shown: { img_id: string }[] };
  const place = shown.shown.findIndex(({ img_id: id }) => id === 'demo_1');
  const [left, top] = [16 + (place % 2) * 336, 44 + Math.floor(place / 2) * 282];
  const plain = await sharp(join(images, 'demo_1.png')).removeAlpha().raw().toBuffer();
  const differs = (x: number, y: number): boolean =>
    [-1, 0, 1].some(step => isOther(x + step, y) || isOther(x, y + step));
  const isOther = (x: number, y: number): boolean => {
    const [a, b] = [((top + y) * info.width + left + x) * 3, (y * 320 + x) * 3];
    return [0, 1, 2].some(channel => Math.abs(data[a + channel]! - plain[b + channel]!) > 24);
  };
  for (let box = 0; box < BOXES; box++) {
    const [x1, y1, x2, y2] = row.boxes.subarray(box * 4, box * 4 + 4) as unknown as [
      number,
      number,
      number,
      number,
    ];
    const middle = [Math.round((x1 + x2) / 2), Math.round((y1 + y2) / 2)] as const;
    t.true(differs(middle[0], Math.floor(y2 - 0.1)), `the lower side of box ${box}`);
    t.true(differs(Math.floor(x2 - 0.1), middle[1]), `the right side of box ${box}`);
  }
  t.false(differs(316, 236), 'where no box is, the picture is untouched');
});

test('without any font the sheet is drawn all the same, and said to have no words', async t => {
  const { folder, store } = await makeDemoStore(t);
  await writeFile(join(folder, 'fonts.conf'), '<fontconfig></fontconfig>');
  const env = { FONTCONFIG_FILE: join(folder, 'fonts.conf') };
  const { code, stderr } = await runCli(['inspect', store, '--png', 'x.png'], { cwd: folder, env });
  t.is(code, 0);
  t.regex(stderr, /no font was found, so the picture has no text/);
  t.is((await sharp(join(folder, 'x.png')).metadata()).width, 688);
});

test('an image of another size is shown and said to be of another size; one that is no image is named', async t => {
  const { folder, store, images } = await makeDemoStore(t);
  await writeFile(
    join(images, 'demo_1.png'),
    await sharp(join(images, 'demo_1.png')).resize(200, 200, { fit: 'fill' }).png().toBuffer(),
  );
  await writeFile(join(images, 'demo_2.png'), 'no picture');
  const { code } = await runCli(['inspect', store, '--images', images, '--out', 'x.html'], { cwd: folder });
  t.is(code, 0);
  const page = await readFile(join(folder, 'x.html'), 'utf8');
  t.regex(page, /the file is 200 × 200, the row says 320 × 240/);
  t.regex(page, /no picture: the image cannot be read/);
  t.is(page.split('data:image/jpeg').length - 1, 2);
});

test('a picture that its EXIF data turns stands as its row says', async t => {
  const { folder, store, images } = await makeDemoStore(t);
  // Stored lying, to be shown standing: 240 x 320 turned by a quarter is 320 x 240.
  const turned = await sharp(join(images, 'demo_3.png'))
    .rotate(-90)
    .jpeg({ quality: 95 })
    .withMetadata({ orientation: 6 })
    .toBuffer();
  const upright = await sharp(join(images, 'demo_3.png')).removeAlpha().raw().toBuffer();
  await writeFile(join(images, 'demo_3.png'), turned);
  await runCli(['inspect', store, 'demo_3', '--images', images, '--out', 'x.html'], { cwd: folder });
  const page = await readFile(join(folder, 'x.html'), 'utf8');
  t.notRegex(page, /the row says/);
  const [, base64] = /data:image\/jpeg;base64,([^"]+)/.exec(page)!;
  const { data, info } = await sharp(Buffer.from(base64!, 'base64'))
    .raw()
    .toBuffer({ resolveWithObject: true });
  t.deepEqual([info.width, info.height], [320, 240]);
  const difference =
    data.reduce((sum, value, index) => sum + Math.abs(value - upright[index]!), 0) / data.length;
  t.true(difference < 10, String(difference));
});

test('hostile img_ids do not break the sheet', async t => {
  const ids = ['</text><script>', '&amp;&lt;', '\uffff\u202e', ']]>', "'\u0301".repeat(40)];
  const { folder, store } = await makeStoreOfIds(
    t,
    ids,
    ids.map(() => ({})),
  );
  const { code, stderr } = await runCli(['inspect', store, '--png', 'x.png'], { cwd: folder });
  t.is(code, 0);
  // Without fonts a picture has no text, which the warning says.
  if (existsSync('/etc/fonts/fonts.conf') || process.platform !== 'linux') t.is(stderr, '');
  else t.regex(stderr, /warning: no font was found/);
  t.is((await sharp(join(folder, 'x.png')).metadata()).width, 3 * 336 + 16);
});

const openTest = process.platform === 'linux' ? test : test.skip;

openTest(
  '--open hands the page to the program that the desktop names; where there is none, that is no failure',
  async t => {
    const { folder, store } = await makeStore(t, [{}]);
    await mkdir(join(folder, 'bin'));
    const words = ['inspect', store, '--force', '--open'];
    const env = { PATH: join(folder, 'bin') };
    const without = await runCli(words, { cwd: folder, env });
    t.is(without.code, 0);
    t.regex(without.stderr, /no program could be started to show .*x\.html; open it in a browser/);
    await writeFile(join(folder, 'bin', 'xdg-open'), '#!/bin/sh\necho "$1" > opened\n', { mode: 0o755 });
    const opened = await runCli(words, { cwd: folder, env });
    t.deepEqual({ code: opened.code, stderr: opened.stderr }, { code: 0, stderr: '' });
    t.is(await readFile(join(folder, 'opened'), 'utf8'), `${join(folder, 'x.html')}\n`);
  },
);

test('a page that was being written when its process was killed leaves nothing that lasts', async t => {
  const { folder, store } = await makeStore(t, [{}, {}]);
  const own = basename(claimPartialPath(join(folder, 'x.html'), 'page'));
  // The name that a process of this machine which is no more would have left.
  const stale = own.replace(`-${process.pid}-`, '-999999999-');
  await writeFile(join(folder, stale), 'half a page');
  t.is((await runCli(['inspect', store], { cwd: folder })).code, 0);
  t.deepEqual((await readdir(folder)).sort(), ['x.html', 'x.safetensors', 'x.tsv']);
});
