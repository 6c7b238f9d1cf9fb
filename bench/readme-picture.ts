import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { caffeLimits } from '../pipeline/rows/clip-boundary.ts';
import { formatRow } from '../pipeline/rows/format-row.ts';
import { sharp } from '../pipeline/detector/image/sharp.ts';
import { makeSyntheticRow, seededRandom } from '../pipeline/rows/synthetic-row.ts';
import { drawScene, SCENE, type SceneThing } from './draw-scene.ts';
import { makeFolder, measureCli } from './measure.ts';

/*
 * Makes docs/images/inspect.webp (CHROMIUM names the browser).
 * The scene and its boxes are drawn and made up here; what shows them is the command itself, from TSV to page.
 */

const folder = makeFolder();
const { svg, things } = drawScene();
const order = [...things].sort((a, b) => b.confidence - a.confidence);
const names = (pick: (thing: SceneThing) => string): string[] => [...new Set(things.map(pick))];
const vocabulary = { objects: names(thing => thing.object), attributes: names(thing => thing.attribute) };

mkdirSync(join(folder, 'vocab'));
for (const [kind, count] of [
  ['objects', 1600],
  ['attributes', 400],
] as const) {
  const lines = Array.from({ length: count }, (_, id) => vocabulary[kind][id] ?? `unused ${id}`);
  writeFileSync(join(folder, 'vocab', `${kind}_vocab.txt`), lines.join('\n'));
}
await sharp(Buffer.from(svg)).jpeg({ quality: 92 }).toFile(join(folder, 'summer_street.jpg'));
writeFileSync(join(folder, 'drawn.tsv'), formatRow(makeRow()));
const store = join(folder, 'drawn_obj36.safetensors');
const page = join(folder, 'page.html');
await measureCli('convert', join(folder, 'drawn.tsv'), '--out', store);
const args = ['--images', folder, '--vocab', join(folder, 'vocab'), '--out', page];
await measureCli('inspect', store, ...args);

const browser = await chromium.launch({
  executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--force-color-profile=srgb'],
});
const window = await browser.newPage({
  viewport: { width: 1400, height: 1700 },
  deviceScaleFactor: 1.5,
  colorScheme: 'light',
});
await window.goto(pathToFileURL(page).href);
await window.locator('.boxes').waitFor();
const { y, height } = (await window.locator('article').boundingBox())!;
const picture = await window.screenshot({ clip: { x: 8, y: y - 76, width: 1384, height: height + 94 } });
await browser.close();
const out = join(import.meta.dirname, '..', 'docs', 'images');
mkdirSync(out, { recursive: true });
await sharp(picture).resize(1600).webp({ quality: 82 }).toFile(join(out, 'inspect.webp'));

function makeRow(): Parameters<typeof formatRow>[0] {
  const random = seededRandom(7);
  const limits = caffeLimits(SCENE.height, SCENE.width);
  const boxes = order.flatMap(({ box }) =>
    box.map((value, axis) => Math.min(value + random() * 1.4, axis % 2 === 0 ? limits.x2 : limits.y2)),
  );
  return {
    ...makeSyntheticRow(2),
    img_id: 'summer_street',
    img_w: SCENE.width,
    img_h: SCENE.height,
    boxes: Float32Array.from(boxes),
    features: makeSyntheticRow(2).features.map(
      (value, index) => value * (0.55 + 0.9 * ((Math.floor(index / 2048) * 0.618) % 1)),
    ),
    objects_id: BigInt64Array.from(order, thing => BigInt(vocabulary.objects.indexOf(thing.object))),
    attrs_id: BigInt64Array.from(order, thing => BigInt(vocabulary.attributes.indexOf(thing.attribute))),
    objects_conf: Float32Array.from(order, thing => thing.confidence),
    attrs_conf: Float32Array.from(order, thing => thing.confidence * (0.3 + 0.5 * random())),
  };
}
