import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { sharp } from '../pipeline/detector/image/sharp.ts';
import { makeWarm, measureCli, median, numberArgument, prepareRows, print, sizeOf } from './measure.ts';

/*
 * What looking at a store takes: reading a whole store for its figures, then a page of many images in Chromium
 * (CHROMIUM names the program).
 */

/** Scrolls for 400 frames and returns how long each took. */
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

const { folder, tsv } = prepareRows(4.2);
const store = join(folder, 'rows.safetensors');
const page = join(folder, 'page.html');
const images = numberArgument('images', 500);
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

const ids = Array.from({ length: images }, (_, index) => `SYNTHETIC_${String(index).padStart(12, '0')}`);
const pictures = join(folder, 'pictures');
await makePictures(pictures, images);
const many = await measureCli(...args, ...ids, '--images', pictures);
print(
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
print(`opening it in Chromium, until boxes are drawn: ${opened.map(time => time.toFixed(2)).join(' ')} s`);
print(
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
