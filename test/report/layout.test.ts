import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Page } from 'playwright-core';
import { sharp } from '../../pipeline/detector/image/sharp.ts';
import { makeSyntheticRow } from '../../pipeline/rows/synthetic-row.ts';
import { inspectPair } from '../../pipeline/stages/inspect-pair.ts';
import { ROOT, runCli } from '../helpers/cli.ts';
import { openPage, settle, testInChromium } from '../helpers/chromium.ts';
import { makeDemoStore, makePage, makeStore, makeVocabulary } from '../helpers/pages.ts';
import { makeContext } from '../helpers/rows.ts';
import { makeTempFolder } from '../helpers/temp.ts';

/*
 * How pages look, held against goldens/layout.json, in a form that does not depend on the fonts of a machine:
 *
 * - where the parts of a page are, in pixels. Letters of another font move a part by some pixels, so a part may be off by 24
 *   pixels or a tenth of its size; a part that is missing, covered, cut off or in another column is off by more.
 * - a perceptual hash of the screenshot: whether each of 16 x 16 fields is lighter than the one to its right. An eighth of
 *   the fields may differ; another arrangement, a lost picture or other colours change far more.
 *
 * After a change that is meant, look at the screenshots that UPDATE_GOLDENS=DIR writes into DIR, and commit the new JSON.
 */
const GOLDENS = join(ROOT, 'test', 'report', 'goldens', 'layout.json');
const FIELDS = 16;
const MOST_PIXELS = 24;
const MOST_SHARE = 0.1;
const MOST_FIELDS = 0.125;

type Box = readonly [x: number, y: number, width: number, height: number];
interface Look {
  readonly parts: Readonly<Record<string, Box>>;
  readonly hash: string;
}

const GRID = ['.masthead', '.tiles', '.side-panel', '#toolbar', '#grid', '#grid li[data-position="1"]'];
const IMAGE = ['#toolbar', '.viewer-bar', '#viewer-id', '.zoom-bar', '.stage', '.strip', '.table-scroll'];
const HEALTH = ['.masthead', '.tiles', 'section:nth-of-type(2) h2', '.command', '.table-scroll'];

async function lookAt(page: Page, parts: readonly string[], name: string): Promise<Look> {
  await settle(page);
  const boxes = await page.evaluate<Record<string, Box>>(
    `Object.fromEntries(${JSON.stringify(parts)}.flatMap(part => {
      const element = document.querySelector(part);
      if (element === null || element.offsetParent === null) return [];
      const { x, y, width, height } = element.getBoundingClientRect();
      return [[part, [x, y, width, Math.min(height, 2000)].map(Math.round)]];
    }))`,
  );
  const shot = await page.screenshot();
  const folder = process.env['UPDATE_GOLDENS'];
  if (folder !== undefined && folder !== '') {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, `${name.replaceAll(/[^a-z0-9]+/g, '-')}.png`), shot);
  }
  return { parts: boxes, hash: await hashOf(shot) };
}

async function hashOf(shot: Buffer): Promise<string> {
  const small = sharp(shot)
    .greyscale()
    .blur(6)
    .resize(FIELDS + 1, FIELDS, { fit: 'fill' });
  const { data, info } = await small.raw().toBuffer({ resolveWithObject: true });
  let bits = '';
  for (let y = 0; y < FIELDS; y++)
    for (let x = 0; x < FIELDS; x++) {
      const at = (y * (FIELDS + 1) + x) * info.channels;
      bits += data[at]! > data[at + info.channels]! + 2 ? '1' : '0';
    }
  return BigInt(`0b1${bits}`).toString(16);
}

function countDifferent(a: string, b: string): number {
  const differ = BigInt(`0x${a}`) ^ BigInt(`0x${b}`);
  return differ.toString(2).replaceAll('0', '').length;
}

async function compareLooks(
  t: ExecutionContext,
  page: string,
  looks: Readonly<Record<string, Look>>,
): Promise<void> {
  const goldens = JSON.parse(await readFile(GOLDENS, 'utf8').catch(() => '{}')) as Record<
    string,
    Record<string, Look>
  >;
  if (process.env['UPDATE_GOLDENS'] !== undefined) {
    await mkdir(join(GOLDENS, '..'), { recursive: true });
    await writeFile(GOLDENS, `${JSON.stringify({ ...goldens, [page]: looks }, null, 2)}\n`);
    return;
  }
  for (const [name, { parts, hash }] of Object.entries(looks)) {
    const expected = goldens[page]?.[name];
    if (expected === undefined) {
      t.fail(`no golden for ${name}`);
      continue;
    }
    t.deepEqual(Object.keys(parts), Object.keys(expected.parts), `${name}: which parts are shown`);
    for (const [part, box] of Object.entries(parts)) {
      const wanted = expected.parts[part]!;
      const most = Math.max(MOST_PIXELS, MOST_SHARE * Math.max(wanted[2], wanted[3]));
      const isNear = box.every((value, side) => Math.abs(value - wanted[side]!) <= most);
      t.true(isNear, `${name}, ${part}: at ${box.join(' ')}, expected ${wanted.join(' ')}`);
    }
    const different = countDifferent(hash, expected.hash);
    t.true(
      different <= MOST_FIELDS * FIELDS * FIELDS,
      `${name}: ${different} of ${FIELDS * FIELDS} fields look different`,
    );
  }
}

const VIEWS = [
  [1280, 'light'],
  [1280, 'dark'],
  [400, 'light'],
  [400, 'dark'],
] as const;

testInChromium('the page of a store looks as it did, in each of its states', async t => {
  const place = await makeDemoStore(t);
  const vocabulary = await makeVocabulary(place.folder);
  const { path } = await makePage(place, { images: place.images, vocabulary });
  const looks: Record<string, Look> = {};
  for (const [width, scheme] of VIEWS) {
    const page = await openPage(t, path, { width, height: 900, scheme });
    const states = [
      ['grid', '', GRID],
      ['found', '#find=1&conf=0.5..', [...GRID, '.result', '.chip']],
      ['image', '#image=demo_1', IMAGE],
      ['box', '#image=demo_2&box=7', IMAGE],
      ['nothing', '#find=no+such+thing', ['#toolbar', '.chip', '#nothing']],
    ] as const;
    for (const [name, hash, parts] of scheme === 'light' ? states : states.slice(0, 3)) {
      await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
      await page.waitForFunction(`[...document.images].every(image => image.complete)`);
      looks[`${name} ${width} ${scheme}`] = await lookAt(page, parts, `store ${name} ${width} ${scheme}`);
    }
  }
  await compareLooks(t, 'store', looks);
});

testInChromium('the page of two stores looks as it did, in each of its states', async t => {
  const attrs = makeSyntheticRow(1).attrs_id.slice().fill(7n, 0, 5);
  const first = await makeStore(t, [{}, {}, {}, {}], 'a');
  const second = await makeStore(t, [{}, { attrs_id: attrs }, {}, {}], 'b');
  const path = join(first.folder, 'pair.html');
  const stores = [first.store, second.store] as const;
  await inspectPair({ stores, ids: [], limit: 50, out: path, force: false }, makeContext());
  const looks: Record<string, Look> = {};
  for (const [width, scheme] of VIEWS.filter(([, scheme]) => scheme === 'light')) {
    const page = await openPage(t, path, { width, height: 900, scheme });
    const states = [
      ['grid', '', GRID],
      ['image', '#image=SYNTHETIC_000000000001&differing=', IMAGE],
    ] as const;
    for (const [name, hash, parts] of states) {
      await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
      looks[`${name} ${width}`] = await lookAt(page, parts, `pair ${name} ${width}`);
    }
  }
  await compareLooks(t, 'pair', looks);
});

testInChromium('the page of datasets looks as it did', async t => {
  const folder = await makeTempFolder(t);
  await mkdir(join(folder, 'data', 'vqa'), { recursive: true });
  await writeFile(join(folder, 'data', 'vqa', 'train.json'), '[]');
  const { code } = await runCli(['status', '--html', 'status.html'], { cwd: folder });
  t.is(code, 0);
  const looks: Record<string, Look> = {};
  for (const width of [1280, 400]) {
    const page = await openPage(t, join(folder, 'status.html'), { width, height: 900 });
    looks[`status ${width}`] = await lookAt(page, HEALTH, `status ${width}`);
  }
  await compareLooks(t, 'status', looks);
});

testInChromium('the page of a verified dataset looks as it did', async t => {
  const folder = await makeTempFolder(t);
  await mkdir(join(folder, 'data', 'vqa'), { recursive: true });
  await writeFile(join(folder, 'data', 'vqa', 'train.json'), '[]');
  const { code } = await runCli(['verify', 'vqa', '--report', 'verify.html'], { cwd: folder });
  t.is(code, 1);
  const looks: Record<string, Look> = {};
  for (const [width, scheme] of VIEWS) {
    const page = await openPage(t, join(folder, 'verify.html'), { width, height: 900, scheme });
    looks[`verify ${width} ${scheme}`] = await lookAt(page, HEALTH, `verify ${width} ${scheme}`);
  }
  await compareLooks(t, 'verify', looks);
});

testInChromium('printed, a page is a few sheets with charts and compact images', async t => {
  const place = await makeStore(
    t,
    Array.from({ length: 62 }, () => ({})),
  );
  const few = await openPage(t, (await makePage(place)).path);
  await few.evaluate(`dispatchEvent(new Event('beforeprint'))`);
  t.is(await few.locator('#grid li').count(), 50);
  t.false(await few.locator('#printed').isVisible(), 'nothing is left out');
  const { path } = await makePage(place, { limit: 62 });
  const page = await openPage(t, path);
  const pdf = await page.pdf({ format: 'A4' });
  const sheets = pdf.toString('latin1').match(/\/Type\s*\/Page\b/g)?.length ?? 0;
  t.true(sheets >= 1 && sheets <= 4, `${sheets} sheets`);
  await page.emulateMedia({ media: 'print' });
  await page.evaluate(`dispatchEvent(new Event('beforeprint'))`);
  t.is(await page.locator('#grid li').count(), 60);
  t.is(await page.locator('#grid .thumbnail-inner').count(), 60, 'none is left empty');
  const printed = await page.evaluate<number[]>(
    `[...document.querySelectorAll('#grid li')].map(cell => Number(cell.dataset.position))`,
  );
  t.deepEqual(printed, [...Array(60).keys()], 'in order');
  t.regex(await page.locator('#printed').innerText(), /first 60 of 62 images/);
  t.false(await page.locator('#toolbar').isVisible());
  t.true(await page.locator('.histogram').first().isVisible());
  await page.evaluate(`dispatchEvent(new Event('afterprint'))`);
  await page.emulateMedia({ media: 'screen' });
  await settle(page);
  t.true((await page.locator('#grid li').count()) < 60);
  t.false(await page.locator('#printed').isVisible());
});
