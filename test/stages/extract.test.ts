import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { appendFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { PipelineEvent } from '../../pipeline/events.ts';
import { planExtraction } from '../../pipeline/extraction/plan-extraction.ts';
import { findImageSet } from '../../pipeline/manifest/image-sets.ts';
import { loadManifest } from '../../pipeline/manifest/load.ts';
import { startExtractorProcess, type StartExtractor } from '../../pipeline/extraction/process.ts';
import { type ExtractRun, runExtraction, findSplit } from '../helpers/extraction.ts';
import { verifyStore } from '../../pipeline/stages/verify-store.ts';
import { openStore } from '../../pipeline/store/feature-store.ts';
import { makeContext } from '../helpers/rows.ts';
import { makeTempFolder } from '../helpers/temp.ts';

const STAND_IN = join(import.meta.dirname, '..', 'fixtures', 'stand-in-extractor.ts');

function standIn(...words: readonly string[]): StartExtractor {
  return onEvent => startExtractorProcess(process.execPath, [STAND_IN, ...words], onEvent);
}

/** Folders with images that say what the stand-in shall do with them. */
async function prepare(t: ExecutionContext, contents: Readonly<Record<string, string>>) {
  const folder = await makeTempFolder(t);
  const images = join(folder, 'images');
  await mkdir(images);
  for (const [name, text] of Object.entries(contents)) {
    await mkdir(join(images, name, '..'), { recursive: true });
    await writeFile(join(images, name), text);
  }
  return { folder, images, data: join(folder, 'data'), out: join(folder, 'x.safetensors') };
}

function manyImages(count: number, text = 'picture'): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `img_${String(index).padStart(4, '0')}.jpg`,
      `${text} ${index}`,
    ]),
  );
}

type Place = Awaited<ReturnType<typeof prepare>>;

async function run(place: Place, options: Partial<ExtractRun> = {}) {
  const { images, data, out } = place;
  const settings = { split: findSplit('custom'), images, data, out, start: [standIn()], ...options };
  return await runExtraction(settings, makeContext());
}

async function sha256(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

async function idsOf(path: string): Promise<readonly string[]> {
  const store = await openStore(path);
  const ids = await store.ids();
  await store.close();
  return ids;
}

test('images become a verified store, in the order of their names, and nothing else stays', async t => {
  const place = await prepare(t, { ...manyImages(30), 'sub/img_0007b.png': 'in a folder' });
  const result = await run(place);
  t.like(result, { ok: true, wanted: 31, rows: 31, resumed: 0, missing: [], detector: { name: 'stand-in' } });
  t.true((await verifyStore(place.out, makeContext())).ok);
  const ids = await idsOf(place.out);
  t.deepEqual(ids, [...ids].sort());
  t.deepEqual((await readdir(place.folder)).sort(), ['images', 'x.safetensors']);
  const { metadata } = await verifyStore(place.out, makeContext());
  t.like(JSON.parse(metadata['detector']!), { name: 'stand-in', weights: 'unknown' });
});

test('the number of extractors does not show in the store', async t => {
  const place = await prepare(t, manyImages(60));
  const hashes = new Set<string>();
  for (const count of [1, 3]) {
    t.true((await run(place, { start: Array.from({ length: count }, () => standIn()), force: true })).ok);
    hashes.add(await sha256(place.out));
  }
  t.is(hashes.size, 1);
});

test('--out X.tsv gives the rows of the store', async t => {
  const place = await prepare(t, manyImages(10));
  t.true((await run(place)).ok);
  const tsv = join(place.folder, 'x.tsv');
  t.true((await run(place, { out: tsv })).ok);
  const [source] = JSON.parse((await verifyStore(place.out, makeContext())).metadata['sources']!) as {
    sha256: string;
  }[];
  t.is(await sha256(tsv), source!.sha256);
});

test('an interrupted run goes on where it stopped, over a torn row and other litter', async t => {
  const place = await prepare(t, manyImages(60, 'slow'));
  const whole = await run(place, { out: join(place.folder, 'whole.safetensors') });
  t.true(whole.ok);
  const abort = new AbortController();
  const context = {
    signal: abort.signal,
    emit(event: PipelineEvent) {
      if (event.event === 'progress' && event.done >= 10) abort.abort(new Error('stop'));
    },
  };
  const settings = { split: findSplit('custom'), images: place.images, data: place.data, out: place.out };
  await t.throwsAsync(runExtraction({ ...settings, start: [standIn()] }, context), { message: 'stop' });
  const rows = (await readdir(join(place.folder, 'x.rows'))).filter(name => name.endsWith('.tsv'));
  await appendFile(join(place.folder, 'x.rows', rows[0]!), 'torn\t640\t480\tAAAA');
  const again = await run(place);
  t.like(again, { ok: true, wanted: 60, rows: 60 });
  t.true(again.resumed > 0 && again.resumed < 60, `${again.resumed} resumed`);
  const [a, b] = await Promise.all(
    [place.out, join(place.folder, 'whole.safetensors')].map(async path => await readFile(path)),
  );
  t.true(a!.subarray(32_768).equals(b!.subarray(32_768)));
});

test('an extractor that dies or hangs is started again, and its torn row is cut off', async t => {
  const place = await prepare(t, {
    ...manyImages(20),
    'img_0003b.jpg': 'once crash',
    'img_0012b.jpg': 'once hang',
  });
  const result = await run(place, { stallSeconds: 8 });
  t.like(result, { ok: true, rows: 22 });
  t.true((await verifyStore(place.out, makeContext())).ok);
});

test('images that cannot be done are named with their reason, all others are done', async t => {
  const place = await prepare(t, {
    ...manyImages(20),
    'a.jpg': 'unreadable',
    'b.jpg': 'crash',
    'c.jpg': 'damaged',
  });
  const result = await run(place);
  t.like(result, { ok: false, out: null, wanted: 23, rows: 20 });
  t.deepEqual(result.missing.map(({ img_id: id, reason }) => [id, reason]), [
    ['a', 'cannot read the image'],
    ['b', 'the extractor died 2 times on this image (signal SIGABRT)'],
    ['c', 'the extractor wrote an invalid row (num_boxes num_boxes: 35)'],
  ]); // prettier-ignore
  await writeFile(join(place.images, 'a.jpg'), 'mended');
  t.like(await run(place, { skipBad: true }), { ok: false, out: place.out, rows: 21, resumed: 20 });
  t.is((await idsOf(place.out)).length, 21);
});

test('rows of another detector are not mixed in', async t => {
  const place = await prepare(t, { ...manyImages(3), 'b.jpg': 'unreadable' });
  t.false((await run(place)).ok);
  await t.throwsAsync(run(place, { start: [standIn('other')] }), {
    message:
      /the existing rows come from another detector\n {2}expected: \{"name":"stand-in","weights":"unknown"\}\n {2}got: {6}\{"name":"other"/,
  });
});

test('an extractor that cannot start at all ends the run with what it said', async t => {
  const place = await prepare(t, manyImages(3));
  const broken: StartExtractor = onEvent =>
    startExtractorProcess(
      process.execPath,
      ['-e', 'console.error("no such weights"); process.exit(3)'],
      onEvent,
    );
  await t.throwsAsync(run(place, { start: [broken] }), {
    code: 'ERR_EXTRACTOR',
    message:
      'the extractor ended early (exit code 3)\n  got:      no such weights\n  what to do: finished rows are kept; fix the cause and run the same command again',
  });
});

test('one extractor that cannot go on ends the others, and nothing is published', async t => {
  const place = await prepare(t, manyImages(200, 'slow'));
  const broken: StartExtractor = onEvent =>
    startExtractorProcess(
      process.execPath,
      ['-e', 'console.error("no such device"); process.exit(4)'],
      onEvent,
    );
  let ended = 0;
  const counted: StartExtractor = onEvent => {
    const running = standIn()(onEvent);
    void running.ended.then(() => ended++);
    return running;
  };
  await t.throwsAsync(run(place, { start: [counted, broken, counted] }), { message: /no such device/ });
  t.is(ended, 2);
  // Rows, if there were any by then, stay.
  t.deepEqual(
    (await readdir(place.folder)).filter(name => name !== 'x.rows'),
    ['images'],
  );
  t.false(existsSync(join(place.folder, 'x.rows', 'owner')));
});

test('val2014 puts the images of minival first, and says so when it cannot', async t => {
  const place = await prepare(t, manyImages(12));
  const minival = ['img_0007', 'img_0002', 'img_0009'];
  const warned = makeContext();
  const settings = {
    split: findSplit('coco/valid'),
    images: place.images,
    data: place.data,
    start: [standIn()],
    force: true,
  };
  t.is(
    (await runExtraction(settings, warned)).out,
    join(place.data, 'mscoco_imgfeat', 'val2014_obj36.safetensors'),
  );
  t.true(
    warned.events.some(
      event => event.event === 'warning' && event.message.includes("minival's images do not come first"),
    ),
  );
  await mkdir(join(place.data, 'vqa'), { recursive: true });
  await writeFile(
    join(place.data, 'vqa', 'minival.json'),
    JSON.stringify([...minival, ...minival].map(id => ({ img_id: id, sent: 'a question' }))),
  );
  const result = await runExtraction(settings, makeContext());
  t.deepEqual((await idsOf(result.out!)).slice(0, 4), [...minival, 'img_0000']);
});

test('a limit takes the first images of the list', async t => {
  const place = await prepare(t, manyImages(10));
  t.like(await run(place, { limit: 4 }), { rows: 4, wanted: 4 });
  t.deepEqual(await idsOf(place.out), ['img_0000', 'img_0001', 'img_0002', 'img_0003']);
});

const refuses = test.macro(async (t, contents: Record<string, string>, message: RegExp) => {
  const place = await prepare(t, contents);
  await t.throwsAsync(run(place), { message });
  t.deepEqual(await readdir(place.folder), ['images']);
});

test(
  'two images with the same img_id are refused',
  refuses,
  { 'a.jpg': '', 'a.png': '', 'b.1.jpg': '', 'b.2.jpg': '' },
  /got: {6}a: .*a\.jpg and .*a\.png; b: .*b\.1\.jpg and .*b\.2\.jpg/,
);
test(
  'an empty folder is refused',
  refuses,
  {},
  /no images were found\n {2}expected: files that end in .*\n {2}got: {6}an empty folder/,
);
test(
  'a folder of other files is refused',
  refuses,
  { 'a.txt': '', '.hidden.jpg': '' },
  /got: {6}1 with hidden, 1 with ending \.txt/,
);

test('the root that LXMERT describes: a split takes the images of its own folder', async t => {
  const place = await prepare(t, {
    'images/train/0/train-1-0-img0.png': 'picture',
    'images/dev/dev-1-0-img0.png': 'picture',
    'images/test1/test1-1-0-img0.png': 'picture',
  });
  const manifest = await loadManifest({});
  for (const [split, id] of [
    ['nlvr2/train', 'train-1-0-img0'],
    ['nlvr2/valid', 'dev-1-0-img0'],
    ['nlvr2/test', 'test1-1-0-img0'],
  ] as const) {
    const images = join(place.images, 'images');
    const set = findImageSet(manifest, split);
    const plan = await planExtraction({ split: set, images, data: place.data }, makeContext());
    t.deepEqual(
      plan.images.map(({ img_id }) => img_id),
      [id],
      split,
    );
    const own = { train: 'train', valid: 'dev', test: 'test1' }[set.split]!;
    const direct = await planExtraction(
      { split: set, images: join(images, own), data: place.data },
      makeContext(),
    );
    t.deepEqual(
      direct.images.map(({ path }) => path),
      plan.images.map(({ path }) => path),
    );
  }
});

test('the two folders of Visual Genome together are the images of GQA', async t => {
  const place = await prepare(t, { 'VG_100K/7.jpg': 'a', 'VG_100K_2/3.jpg': 'b', 'VG_100K_2/9.jpg': 'c' });
  const split = findImageSet(await loadManifest({}), 'gqa');
  const plan = await planExtraction({ split, images: place.images, data: place.data }, makeContext());
  t.deepEqual(
    plan.images.map(({ img_id }) => img_id),
    ['3', '7', '9'],
  );
  await writeFile(join(place.images, 'VG_100K', '9.jpg'), 'again');
  await t.throwsAsync(planExtraction({ split, images: place.images, data: place.data }, makeContext()), {
    code: 'ERR_INPUT',
    message: /two folders have an image of the same img_id/,
  });
});
