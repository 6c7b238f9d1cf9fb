import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { sharp } from '../pipeline/detector/image/sharp.ts';
import {
  CLI,
  makeFolder,
  makeWarm,
  measure,
  median,
  numberArgument,
  say,
  sizeOf,
  writeBenchTsv,
} from './measure.ts';

/*
 * What looking at a store takes: node bench/inspect.ts [--gb 4.2] [--images 500] [--runs 3]
 * Reading a whole store for its numbers, then a page of many images in Chromium (CHROMIUM names the program).
 */

/** Scrolls for 400 frames and tells how long each took. */
const SCROLL = `new Promise(done => {
  const times = [];
  let last;
  const step = now => {
    if (last !== undefined) times.push(now - last);
    last = now;
    scrollBy({ top: 120, behavior: 'instant' });
    if (times.length < 400) requestAnimationFrame(step);
    else done(times);
  };
  requestAnimationFrame(step);
})`;

const folder = makeFolder();
const tsv = join(folder, 'rows.tsv');
const store = join(folder, 'rows.safetensors');
const page = join(folder, 'page.html');
const images = numberArgument('images', 500);
const runs = numberArgument('runs', 3);
writeBenchTsv(tsv, numberArgument('gb', 4.2));
await measure(process.execPath, [CLI, 'convert', tsv, '--quiet']);

const words = [CLI, 'inspect', store, '--out', page, '--force', '--quiet'];
await makeWarm(store);
const whole: number[] = [];
let peak = 0;
for (let turn = 0; turn < runs; turn++) {
  const run = await measure(process.execPath, [...words, '--limit', '1']);
  whole.push(run.seconds);
  peak = Math.max(peak, run.peak);
}
const bytes = sizeOf(store);
say(
  `${(bytes / 1e9).toFixed(2)} GB of store, page of one image: ${whole.map(time => time.toFixed(2)).join(' ')} s`,
);
say(`  ${(bytes / 1e9 / median(whole)).toFixed(2)} GB/s, peak memory ${(peak / 1e6).toFixed(0)} MB`);

const ids = Array.from({ length: images }, (_, index) => `SYNTHETIC_${String(index).padStart(12, '0')}`);
const pictures = join(folder, 'pictures');
await makePictures(pictures, images);
const many = await measure(process.execPath, [...words, ...ids, '--images', pictures]);
say(
  `page of ${images} images: ${many.seconds.toFixed(1)} s, ${(sizeOf(page) / 1e6).toFixed(1)} MB, peak memory ${(many.peak / 1e6).toFixed(0)} MB`,
);

const browser = await chromium.launch({
  executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
const opened: number[] = [];
const frames: number[] = [];
for (let turn = 0; turn < runs; turn++) {
  const window = await browser.newPage({ viewport: { width: 1400, height: 1000 } });
  const began = performance.now();
  await window.goto(pathToFileURL(page).href);
  await window.locator('.boxes').first().waitFor({ state: 'attached' });
  opened.push((performance.now() - began) / 1000);
  frames.push(...(await window.evaluate<number[]>(SCROLL)));
  await window.close();
}
await browser.close();
frames.sort((a, b) => a - b);
const at = (share: number): string => frames[Math.floor(share * (frames.length - 1))]!.toFixed(0);
say(`opening it in Chromium, until boxes are drawn: ${opened.map(time => time.toFixed(2)).join(' ')} s`);
say(
  `scrolling through it, 120 pixels a frame: median ${at(0.5)} ms a frame, 95 % within ${at(0.95)} ms, 99 % within ${at(0.99)} ms`,
);

/** Pictures of the weight of photographs, under the ids of the rows. */
async function makePictures(where: string, count: number): Promise<void> {
  mkdirSync(where);
  for (let index = 0; index < count; index++) {
    const path = join(where, `${ids[index]!}.jpg`);
    if (index >= 16) {
      copyFileSync(join(where, `${ids[index % 16]!}.jpg`), path);
      continue;
    }
    const noise = { type: 'gaussian', mean: 128, sigma: 60 } as const;
    const ground = sharp({ create: { width: 160, height: 120, channels: 3, background: '#000', noise } });
    const small = await ground.png().toBuffer();
    await sharp(small).resize(640, 480).jpeg({ quality: 90 }).toFile(path);
  }
}
