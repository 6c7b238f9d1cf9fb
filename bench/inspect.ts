import { linkSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { sharp } from '../pipeline/detector/image/sharp.ts';
import { makeWarm, measureCli, median, numberArgument, prepareRows, print, sizeOf } from './measure.ts';

/*
 * What looking at a store takes: reading a whole store for its figures, then a page of many images in Chromium
 * (CHROMIUM names the program): its size, opening it, scrolling, filtering, and memory of the browser.
 */

interface Frames {
  readonly times: readonly number[];
  readonly cells: number;
}

/** Frames of scrolling step by step, before the leaps. */
const STEPS = 360;
/** Scrolls for 400 frames, the last 40 in leaps through the whole page, and returns how long each took. */
const SCROLL = `new Promise(done => {
  const times = [];
  let last;
  const step = now => {
    if (last !== undefined) times.push(now - last);
    last = now;
    const leap = times.length < ${STEPS} ? 120 : document.documentElement.scrollHeight / 40;
    if (times.length === ${STEPS}) scrollTo({ top: 0, behavior: 'instant' });
    scrollBy({ top: leap, behavior: 'instant' });
    if (times.length < 400) requestAnimationFrame(step);
    else done({ times, cells: document.querySelectorAll('#grid li').length });
  };
  requestAnimationFrame(step);
})`;
/** What any page takes here: as many plain boxes as the grid has cells, on a page as high, scrolled in the same way. */
const PLAIN = (count: number): string => `
  document.body.innerHTML = '<ul id="grid" style="padding: 0; margin: 0"></ul>';
  const grid = document.getElementById('grid');
  for (let box = 0; box < ${count}; box++) {
    const item = document.createElement('li');
    item.style.cssText = 'display: inline-block; width: 200px; height: 220px; margin: 5px; background: #ccc';
    grid.append(item);
  }`;
/** From typing a class to the grid that shows it. */
const FIND = `new Promise(done => {
  const began = performance.now();
  const search = document.getElementById('search');
  search.value = 'object 12';
  search.dispatchEvent(new Event('input'));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
})`;

const { folder, tsv } = prepareRows(4.2);
const store = join(folder, 'rows.safetensors');
const page = join(folder, 'page.html');
const images = numberArgument('images', 10_000);
const runs = numberArgument('runs', 3);
await measureCli('convert', tsv);

const args = ['inspect', store, '--out', page, '--force'];
await makeWarm(store);
const whole: number[] = [];
let peak = 0;
for (let turn = 0; turn < runs; turn++) {
  const run = await measureCli(...args, '--limit', '1');
  whole.push(run.seconds);
  peak = Math.max(peak, run.peak);
}
const bytes = sizeOf(store);
print(
  `${(bytes / 1e9).toFixed(2)} GB of store, page of one image: ${whole.map(time => time.toFixed(2)).join(' ')} s`,
);
print(`  ${(bytes / 1e9 / median(whole)).toFixed(2)} GB/s, peak memory ${(peak / 1e6).toFixed(0)} MB`);

const pictures = join(folder, 'pictures');
const ids = Array.from({ length: images }, (_, index) => `SYNTHETIC_${String(index).padStart(12, '0')}`);
await makePictures(pictures, images);
const many = await measureCli(...args, '--limit', String(images), '--images', pictures);
print(
  `page of ${images} images: ${many.seconds.toFixed(1)} s, ${(sizeOf(page) / 1e6).toFixed(1)} MB, peak memory ${(many.peak / 1e6).toFixed(0)} MB`,
);

const opened: number[] = [];
const read: number[] = [];
const found: number[] = [];
const frames: number[] = [];
const leaps: number[] = [];
const plain: number[] = [];
const blank: number[] = [];
const memory: number[] = [];
const ofPage: number[] = [];
let cells = 0;
for (let turn = 0; turn < runs; turn++) {
  const profile = join(folder, `profile-${turn}`);
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'],
    viewport: { width: 1400, height: 1000 },
  });
  const window = browser.pages()[0] ?? (await browser.newPage());
  blank.push(memoryOf(profile).all);
  const other = await browser.newPage();
  await other.evaluate(PLAIN(images));
  plain.push(...(await other.evaluate<Frames>(SCROLL)).times);
  await other.close();
  const began = performance.now();
  await window.goto(pathToFileURL(page).href, { waitUntil: 'commit' });
  await window.locator('#grid .thumbnail-inner').nth(9).waitFor({ state: 'attached' });
  opened.push((performance.now() - began) / 1000);
  await window.waitForLoadState('load');
  read.push((performance.now() - began) / 1000);
  const scrolled = await window.evaluate<Frames>(SCROLL);
  frames.push(...scrolled.times.slice(0, STEPS));
  leaps.push(...scrolled.times.slice(STEPS));
  cells = Math.max(cells, scrolled.cells);
  const used = memoryOf(profile);
  memory.push(used.all);
  ofPage.push(used.largest);
  found.push(await window.evaluate<number>(FIND));
  await browser.close();
}
const describeFrames = (times: readonly number[]): string => {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): string => sorted[Math.floor(share * (sorted.length - 1))]!.toFixed(0);
  const long = times.filter(time => time > 50).length;
  return `median ${at(0.5)} ms a frame, 99 % within ${at(0.99)} ms, longest ${at(1)} ms; ${long} of ${times.length} above 50 ms`;
};
const list = (values: readonly number[], digits: number): string =>
  values.map(value => value.toFixed(digits)).join(' ');
print(`opening it in Chromium, until pictures and boxes are in the grid: ${list(opened, 2)} s`);
print(`  until all of the file is read: ${list(read, 2)} s`);
print(`scrolling through it, at most ${cells} cells: ${describeFrames(frames)}`);
print(`  in leaps: ${describeFrames(leaps)}`);
print(`  a page of ${images} plain boxes, both: ${describeFrames(plain)}`);
print(`finding a class: ${list(found, 0)} ms`);
print(
  `memory after that (PSS): the page's process ${list(ofPage, 0)} MB, all of Chromium ${list(memory, 0)} MB, of which ${list(blank, 0)} MB before the page was opened`,
);

/** Megabytes of all processes of the browser with this profile, and of the largest; shared pages count by their share. */
function memoryOf(profile: string): { readonly all: number; readonly largest: number } {
  const parents = new Map<number, number>();
  const own = new Set<number>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    try {
      parents.set(pid, Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1] ?? 0));
      if (readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(profile)) own.add(pid);
    } catch {
      // It has just ended.
    }
  }
  const belongs = (pid: number): boolean =>
    own.has(pid) || (parents.has(pid) && belongs(parents.get(pid) ?? 0));
  const sizes: number[] = [];
  for (const pid of parents.keys()) {
    if (!belongs(pid)) continue;
    try {
      const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
      sizes.push(Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0) / 1000);
    } catch {
      // The same.
    }
  }
  return {
    all: sizes.reduce((a, b) => a + b, 0),
    largest: sizes.reduce((a, b) => Math.max(a, b), 0),
  };
}

/** Pictures of the weight of photographs, under the ids of the rows. */
async function makePictures(where: string, count: number): Promise<void> {
  mkdirSync(where);
  for (let index = 0; index < count; index++) {
    const path = join(where, `${ids[index]!}.jpg`);
    if (index >= 16) {
      linkSync(join(where, `${ids[index % 16]!}.jpg`), path);
      continue;
    }
    const noise = { type: 'gaussian', mean: 128, sigma: 60 } as const;
    const ground = sharp({ create: { width: 160, height: 120, channels: 3, background: '#000', noise } });
    const small = await ground.png().toBuffer();
    await sharp(small).resize(640, 480).jpeg({ quality: 90 }).toFile(path);
  }
}
