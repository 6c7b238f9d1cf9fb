import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Page } from 'playwright-core';
import { BUTD36 } from '../../pipeline/rows/row-shape.ts';
import { convert } from '../../pipeline/stages/convert.ts';
import { compareStores } from '../../pipeline/stages/compare-stores.ts';
import { inspectPair } from '../../pipeline/stages/inspect-pair.ts';
import { readVocabulary } from '../../pipeline/inspection/read-vocabulary.ts';
import { StoreFile } from '../../pipeline/store/reader.ts';
import { sharp } from '../../pipeline/detector/image/sharp.ts';
import { makeSyntheticRow, seededRandom } from '../../pipeline/rows/synthetic-row.ts';
import { openStore, type StoreRow } from '../../pipeline/store/feature-store.ts';
import { findAxeViolations, openPage, settle, testInChromium } from '../helpers/chromium.ts';
import {
  makeDemoStore,
  makePage,
  makeStore,
  makeStoreOfIds,
  makeVocabulary,
  type Place,
} from '../helpers/pages.ts';
import { makeContext, makeLines, writeTsv } from '../helpers/rows.ts';
import { sharedPath } from '../helpers/shared.ts';
import { makeTempFolder } from '../helpers/temp.ts';
import { ROOT } from '../helpers/cli.ts';

const COCO = ['coco', 'train2014_obj36.head6.tsv'];

async function makeCocoStore(t: ExecutionContext, dtype: 'f32' | 'bf16' = 'f32'): Promise<Place> {
  const folder = await makeTempFolder(t);
  const store = join(folder, `coco-${dtype}.safetensors`);
  await convert({ files: [sharedPath('samples', ...COCO)], out: store, dtype }, makeContext());
  return { folder, store };
}

async function makeCocoPage(t: ExecutionContext): Promise<{ path: string; rows: Map<string, StoreRow> }> {
  const place = await makeCocoStore(t);
  const vocabulary = await readVocabulary(sharedPath('samples', 'vocab'), true);
  const { path, result } = await makePage(place, { images: sharedPath('samples', 'coco'), vocabulary });
  t.is(result.pictures, 6);
  const store = await openStore(place.store);
  const rows = new Map<string, StoreRow>();
  for (let row = 0; row < store.rows; row++) {
    const one = await store.row(row);
    rows.set(one.img_id, one);
  }
  await store.close();
  return { path, rows };
}

interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Opens the view of one image as a link to it does. */
async function openImage(page: Page, id: string): Promise<void> {
  await page.evaluate(`location.hash = '#' + new URLSearchParams({ image: ${JSON.stringify(id)} })`);
  await page.waitForFunction(
    `document.querySelector('#viewer h2').textContent === ${JSON.stringify(id)} && document.querySelector('#viewer .boxes')`,
  );
  await settle(page);
}

/** img_ids of the grid, in order; those of cells that exist, which are all where images are few. */
async function idsOfGrid(page: Page): Promise<string[]> {
  return await page.evaluate(
    `[...document.querySelectorAll('#grid li')].sort((a, b) => a.dataset.position - b.dataset.position).map(cell => cell.querySelector('.cell-id').textContent)`,
  );
}

async function rectanglesOf(
  page: Page,
): Promise<{ stage: Rectangle; picture: Rectangle; boxes: readonly Rectangle[] }> {
  return await page.evaluate(`(() => {
    const card = document.querySelector('#viewer');
    const place = element => { const { x, y, width, height } = element.getBoundingClientRect(); return { x, y, width, height }; };
    const drawing = card.querySelector('.boxes');
    // The rectangle of a shape leaves its stroke out when it is taken from its geometry.
    const matrix = shape => shape.getScreenCTM();
    const boxes = [...drawing.querySelectorAll('.line')].map(shape => {
      const { x, y, width, height } = shape.getBBox();
      const { a, d, e, f } = matrix(shape);
      return { x: x * a + e, y: y * d + f, width: width * a, height: height * d };
    });
    return { stage: place(card.querySelector('.stage')), picture: place(card.querySelector('.picture, .no-picture')), boxes };
  })()`);
}

for (const width of [1400, 400]) {
  testInChromium(
    `real boxes stand on their images to a hundredth of a pixel, in a window of ${width}`,
    async t => {
      const { path, rows } = await makeCocoPage(t);
      const page = await openPage(t, path, { width });
      const ids = await idsOfGrid(page);
      t.is(ids.length, 6);
      for (const [index, id] of ids.entries()) {
        await openImage(page, id);
        // Enlarged, boxes stay where they are on the picture.
        if (index % 2 === 1) await page.keyboard.press('+');
        await settle(page);
        const row = rows.get(id)!;
        const { stage, picture, boxes } = await rectanglesOf(page);
        t.deepEqual(picture, stage, id);
        t.true(Math.abs(stage.width / stage.height - row.img_w / row.img_h) < 0.005, id);
        for (const [box, drawn] of boxes.entries()) {
          const [x1, y1, x2, y2] = row.boxes.slice(box * 4, box * 4 + 4) as unknown as [
            number,
            number,
            number,
            number,
          ];
          const [scaleX, scaleY] = [stage.width / row.img_w, stage.height / row.img_h];
          const expected = {
            x: stage.x + x1 * scaleX,
            y: stage.y + y1 * scaleY,
            width: (x2 - x1) * scaleX,
            height: (y2 - y1) * scaleY,
          };
          for (const side of ['x', 'y', 'width', 'height'] as const)
            t.true(
              Math.abs(drawn[side] - expected[side]) < 0.01,
              `${id}, box ${box}: ${side} ${drawn[side]}, expected ${expected[side]}`,
            );
        }
      }
    },
    ['samples', ...COCO],
  );
}

testInChromium(
  'the picture under the boxes is the image itself, not moved or turned',
  async t => {
    const { path } = await makeCocoPage(t);
    const page = await openPage(t, path);
    for (const id of await idsOfGrid(page)) {
      await openImage(page, id);
      const stage = page.locator('#viewer .stage');
      await page.evaluate(
        `document.querySelectorAll('.boxes, .names').forEach(element => { element.style.display = 'none'; })`,
      );
      const shot = sharp(await stage.screenshot()).removeAlpha();
      const { data, info } = await shot.raw().toBuffer({ resolveWithObject: true });
      const original = sharp(join(sharedPath('samples', 'coco'), `${id}.jpg`)).toColourspace('srgb');
      const expected = await original
        .resize({ width: info.width, height: info.height, fit: 'fill' })
        .removeAlpha()
        .raw()
        .toBuffer();
      const here = differenceAt(data, expected, info, 0, 0);
      t.true(here < 20, `${id}: mean difference ${here}`);
      for (const [dx, dy] of [
        [4, 0],
        [-4, 0],
        [0, 4],
        [0, -4],
      ] as const)
        t.true(differenceAt(data, expected, info, dx, dy) > here, `${id} fits better moved by ${dx}, ${dy}`);
    }
  },
  ['samples', ...COCO],
);

/** Mean difference of a picture and another one that is moved. */
function differenceAt(
  a: Buffer,
  b: Buffer,
  { width, height }: { width: number; height: number },
  dx: number,
  dy: number,
): number {
  let sum = 0;
  let count = 0;
  for (let y = 8; y < height - 8; y += 2) {
    for (let x = 8; x < width - 8; x += 2) {
      for (let channel = 0; channel < 3; channel++) {
        sum += Math.abs(a[(y * width + x) * 3 + channel]! - b[((y + dy) * width + x + dx) * 3 + channel]!);
        count++;
      }
    }
  }
  return sum / count;
}

testInChromium('a box is painted where its coordinates say, pixel by pixel', async t => {
  const place = await makeDemoStore(t);
  const { path } = await makePage(place, { images: place.images, ids: ['demo_2'] });
  const store = await openStore(place.store);
  const { boxes } = await store.row('demo_2');
  await store.close();
  const page = await openPage(t, path, { height: 1600 });
  await openImage(page, 'demo_2');
  await page.selectOption('#labels', 'none');
  await settle(page);
  // On a whole pixel, and at a scale that is none.
  await page.evaluate(`(() => {
    const stage = document.querySelector('.stage');
    document.body.replaceChildren(stage);
    Object.assign(stage.style, { position: 'fixed', left: '10px', top: '20px', width: '600px', margin: '0' });
  })()`);
  const [origin, scale] = [[10, 20] as const, 600 / 320];
  for (const box of [0, 9, 20, 35]) {
    await page.evaluate(`(() => {
      for (const [index, shape] of [...document.querySelectorAll('.boxes g')].entries()) {
        shape.style.display = index === ${box} ? '' : 'none';
        shape.style.setProperty('--box', 'rgb(255 0 255)');
        shape.style.setProperty('--weight', '1');
        shape.querySelector('.casing').style.display = 'none';
      }
      document.querySelector('.picture').style.visibility = 'hidden';
    })()`);
    await settle(page);
    const { data, info } = await sharp(await page.screenshot())
      .removeAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    const [x1, y1, x2, y2] = Array.from(
      boxes.subarray(box * 4, box * 4 + 4),
      (value, axis) => origin[axis % 2]! + value * scale,
    ) as [number, number, number, number];
    /** How much of the colour of the box a pixel has, 0 to 1. */
    const ink = (left: number, top: number): number => {
      const at = (Math.round(top) * info.width + Math.round(left)) * 3;
      return Math.max(0, data[at]! - data[at + 1]!) / 255;
    };
    const middle = { x: (x1 + x2) / 2, y: (y1 + y2) / 2 };
    const sides = [
      [x1, (at: number) => ink(at, middle.y)],
      [y1, (at: number) => ink(middle.x, at)],
      [x2, (at: number) => ink(at, middle.y)],
      [y2, (at: number) => ink(middle.x, at)],
    ] as const;
    for (const [side, [expected, inkAt]] of sides.entries()) {
      const near = Array.from({ length: 9 }, (_, index) => Math.floor(expected) - 4 + index);
      const total = near.reduce((sum, at) => sum + inkAt(at), 0);
      const painted = near.reduce((sum, at) => sum + (at + 0.5) * inkAt(at), 0) / total;
      t.true(total > 1 && total < 2.2, `box ${box}, side ${side}: ${total} pixels of line`);
      t.true(
        Math.abs(painted - expected) < 0.3,
        `box ${box}, side ${side}: painted at ${painted}, expected ${expected}`,
      );
    }
  }
});

testInChromium(
  'the slider leaves the boxes that are as confident, in picture, table and count',
  async t => {
    const { path, rows } = await makeCocoPage(t);
    const page = await openPage(t, path);
    const ids = await idsOfGrid(page);
    await page.locator('#threshold').fill('0.5');
    await page.locator('#threshold-value', { hasText: '0.50' }).waitFor();
    for (const id of ids) {
      await page.locator('#grid a', { hasText: id.slice(-12) }).click();
      await page.locator('#viewer h2', { hasText: id }).waitFor();
      const confident = rows
        .get(id)!
        .objects_conf!.filter(value => Number(value.toPrecision(4)) >= 0.5).length;
      await page.getByText(`${confident} of 36 boxes`).waitFor();
      t.is(await page.locator('#viewer tbody tr:not([hidden])').count(), confident, id);
      t.is(await page.locator('#viewer .boxes g:not(.hidden)').count(), confident, id);
      await page.keyboard.press('Escape');
      await page.locator('#grid').waitFor();
    }
    t.is(await page.evaluate('location.hash'), '#threshold=0.5');
  },
  ['samples', ...COCO],
);

testInChromium(
  'tables sort by numbers and by names, both ways, and say so',
  async t => {
    const { path, rows } = await makeCocoPage(t);
    const page = await openPage(t, path);
    const [id] = await idsOfGrid(page);
    await openImage(page, id!);
    const article = page.locator('#viewer');
    const cells = async (column: number): Promise<string[]> =>
      await article.locator(`tbody tr > :nth-child(${column})`).allInnerTexts();
    const heading = (name: string) => article.locator('thead th', { hasText: name });
    await article.getByRole('button', { name: 'Norm' }).click();
    t.is(await heading('Norm').getAttribute('aria-sort'), 'descending');
    const falling = (await cells(7)).map(Number);
    t.deepEqual(
      falling,
      falling.toSorted((a, b) => b - a),
    );
    const { features } = rows.get(id!)!;
    const norms = Array.from({ length: 36 }, (_, box) =>
      Math.hypot(...features.subarray(box * 2048, (box + 1) * 2048)),
    );
    t.deepEqual(
      falling,
      norms
        .map(norm => Number(norm.toPrecision(4)).toFixed(1))
        .map(Number)
        .sort((a, b) => b - a),
    );
    await article.getByRole('button', { name: 'Norm' }).click();
    t.deepEqual((await cells(7)).map(Number), falling.toReversed());
    await article.getByRole('button', { name: 'Object' }).click();
    const names = await cells(2);
    t.deepEqual(names, names.toSorted());
    t.is(await heading('Norm').getAttribute('aria-sort'), 'none');
    const vocabulary = (await readFile(sharedPath('samples', 'vocab', 'objects_vocab.txt'), 'utf8')).split(
      '\n',
    );
    t.deepEqual(
      names,
      Array.from(rows.get(id!)!.objects_id!, object => vocabulary[Number(object)]!.split(',')[0]!).sort(),
    );
  },
  ['samples', ...COCO],
);

testInChromium('pointing at a row shows its box, and at a box its row; a click keeps it', async t => {
  const place = await makeDemoStore(t);
  const { path } = await makePage(place, { images: place.images });
  const page = await openPage(t, path);
  await openImage(page, 'demo_1');
  const viewer = page.locator('#viewer');
  const active = async (what: string): Promise<number[]> =>
    await page.evaluate(
      `[...document.querySelector('#viewer').querySelectorAll('${what}')].flatMap((element, index) => element.classList.contains('active') ? [index] : [])`,
    );
  await viewer.locator('tbody tr').nth(5).hover();
  t.deepEqual(await active('.boxes g'), [5]);
  t.deepEqual(await active('.strip i'), [5]);
  t.is(await viewer.locator('.names span').count(), 1);
  await viewer.locator('.strip i').nth(30).hover();
  t.deepEqual(await active('tbody tr'), [30]);
  const smallest = viewer.locator('.boxes .line').nth(35);
  const { x, y, width, height } = (await smallest.boundingBox())!;
  await page.mouse.move(x + width / 2, y + height / 2);
  t.deepEqual(await active('tbody tr'), [35]);
  await page.mouse.click(x + width / 2, y + height / 2);
  await page.mouse.move(2, 2);
  t.deepEqual(await active('.boxes g'), [35]);
  t.is(await viewer.locator('button[aria-pressed=true]').count(), 1);
  t.is(await page.evaluate('location.hash'), '#image=demo_1&box=35');
});

testInChromium('a link to an image, and to a box, shows them again after a reload', async t => {
  const place = await makeDemoStore(t);
  const { path } = await makePage(place, { images: place.images });
  const page = await openPage(t, path);
  await openImage(page, 'demo_2');
  await page.locator('#viewer tbody tr').nth(7).click();
  await page.reload();
  t.is(await page.locator('#viewer h2').textContent(), 'demo_2');
  t.is(await page.locator('#viewer button[aria-pressed=true]').innerText(), '7');
  t.is(await page.locator('#viewer .boxes g.active[data-box="7"]').count(), 1);
  // Back to where one came from, without losing what was filtered.
  await page.goBack();
  await page.locator('#grid li').first().waitFor();
  t.false(await page.locator('#viewer').isVisible());
  await page.evaluate(`location.hash = '#image=nothing'`);
  t.true(await page.getByText('this page has no such image').isVisible());
});

testInChromium('a picture is enlarged by keys and buttons, and dragged', async t => {
  const place = await makeDemoStore(t);
  const { path } = await makePage(place, { images: place.images });
  const page = await openPage(t, path);
  await openImage(page, 'demo_1');
  const width = async (): Promise<number> =>
    await page.evaluate(`document.querySelector('#viewer .stage').getBoundingClientRect().width`);
  const fitted = await width();
  await page.getByRole('button', { name: 'Zoom in' }).click();
  await page.keyboard.press('+');
  t.true(Math.abs((await width()) / fitted - 2) < 0.01);
  const scroll = async (): Promise<readonly [number, number]> =>
    await page.evaluate(
      `(({ scrollLeft, scrollTop }) => [scrollLeft, scrollTop])(document.querySelector('#viewer .stage-frame'))`,
    );
  const [left, top] = await scroll();
  const { x, y } = (await page.locator('#viewer .stage-frame').boundingBox())!;
  await page.mouse.move(x + 200, y + 200);
  await page.mouse.down();
  await page.mouse.move(x + 170, y + 180, { steps: 3 });
  await page.mouse.up();
  t.deepEqual(await scroll(), [left + 30, top + 20]);
  t.is(await page.locator('#viewer button[aria-pressed=true]').count(), 0, 'a drag keeps no box');
  await page.keyboard.press('0');
  t.true(Math.abs((await width()) - fitted) < 0.01);
});

testInChromium('names never cover one another, and a few are shown at first', async t => {
  const place = await makeDemoStore(t);
  const { path } = await makePage(place, { images: place.images });
  for (const width of [1280, 400]) {
    const page = await openPage(t, path, { width });
    await openImage(page, 'demo_1');
    const names = async (): Promise<readonly Rectangle[]> =>
      await page.evaluate(
        `[...document.querySelectorAll('#viewer .names span')].map(name => { const { x, y, width, height } = name.getBoundingClientRect(); return { x, y, width, height }; })`,
      );
    const few = await names();
    t.true(few.length >= 3 && few.length <= 10, `${few.length} names`);
    await page.selectOption('#labels', 'all');
    await settle(page);
    const all = await names();
    t.true(all.length >= few.length);
    for (const list of [few, all])
      for (const [index, a] of list.entries())
        for (const b of list.slice(index + 1))
          t.false(a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height);
  }
});

testInChromium('the keyboard reaches every box and every image', async t => {
  const place = await makeDemoStore(t);
  const { path } = await makePage(place, { images: place.images });
  const page = await openPage(t, path);
  const focused = async (): Promise<string> =>
    await page.evaluate(`document.activeElement.textContent.trim()`);
  const [first = '', second = ''] = await idsOfGrid(page);
  await page.locator('#grid a[tabindex="0"]').focus();
  await page.keyboard.press('ArrowRight');
  t.true((await focused()).startsWith(second));
  await page.keyboard.press('Home');
  t.true((await focused()).startsWith(first));
  await page.keyboard.press('Enter');
  await page.locator('#viewer h2', { hasText: first }).waitFor();
  await page.locator('#viewer .box-button').first().focus();
  for (const [key, expected] of [
    ['ArrowDown', '1'],
    ['ArrowDown', '2'],
    ['ArrowUp', '1'],
    ['End', '35'],
    ['Home', '0'],
  ] as const) {
    await page.keyboard.press(key);
    t.is(await focused(), expected, key);
    t.is(await page.locator(`#viewer .boxes g.active[data-box="${expected}"]`).count(), 1);
  }
  await page.keyboard.press('Enter');
  t.is(await page.locator('.box-button[aria-pressed=true]').innerText(), '0');
  await page.keyboard.press('Escape');
  t.is(await page.locator('.box-button[aria-pressed=true]').count(), 0);
  await page.keyboard.press('ArrowRight');
  t.is(await page.locator('#viewer h2').textContent(), second);
  await page.keyboard.press('k');
  t.is(await page.locator('#viewer h2').textContent(), first);
  await page.keyboard.press('Escape');
  t.true((await focused()).startsWith(first), 'the grid has the focus where it was');
  await page.keyboard.press('?');
  t.true(await page.getByRole('dialog', { name: 'Keyboard' }).isVisible());
  t.deepEqual(await findAxeViolations(page), []);
});

testInChromium('images are found by id and by class, counted, and put in another order', async t => {
  const rows = Array.from({ length: 5 }, (_, index) => ({
    objects_id: new BigInt64Array(36).fill(BigInt(index)),
    objects_conf: new Float32Array(36).fill(0.9 - index / 10),
  }));
  const place = await makeStore(t, rows);
  const { path } = await makePage(place, {
    vocabulary: await makeVocabulary(place.folder, ['aardvark', 'bee', 'cat', 'dog', 'eel']),
  });
  const page = await openPage(t, path);
  const shown = async (): Promise<string[]> => await idsOfGrid(page);
  await page.fill('#search', 'Cat');
  t.deepEqual(await shown(), ['SYNTHETIC_000000000002']);
  await page.getByText('1 of 5 images, 36 matching boxes').waitFor();
  t.is(await page.locator('#grid .hit').count(), 36);
  await page.locator('#grid a').click();
  t.is(await page.locator('#viewer tbody tr.hit').count(), 36);
  t.is(await page.locator('#viewer .boxes g.hit').count(), 36);
  await page.keyboard.press('Escape');
  await page.fill('#search', '0004');
  t.deepEqual(await shown(), ['SYNTHETIC_000000000004']);
  await page.fill('#search', 'nothing like it');
  t.true(await page.getByText('No image matches.').isVisible());
  await page.fill('#search', '');
  await page.selectOption('#order', 'confidence');
  t.deepEqual(
    await shown(),
    [4, 3, 2, 1, 0].map(id => `SYNTHETIC_00000000000${id}`),
  );
});

testInChromium('counts and bars filter, filters are links, and each can be taken away', async t => {
  const rows = Array.from({ length: 6 }, (_, index) => ({
    objects_id: new BigInt64Array(36).fill(BigInt(index % 3)),
    attrs_id: new BigInt64Array(36).fill(BigInt(index % 2)),
    objects_conf: new Float32Array(36).fill(0.1 + index / 8),
  }));
  const place = await makeStore(t, rows);
  const bytes = await readFile(place.store);
  bytes.writeUInt32LE(0x7fc00000, 8 + Number(bytes.readBigUInt64LE()) + 3 * 36 * 2048 * 4);
  await writeFile(place.store, bytes);
  const { path } = await makePage(place, { vocabulary: await makeVocabulary(place.folder, ['ant', 'bee']) });
  const page = await openPage(t, path);
  const rowsShown = async (): Promise<number[]> =>
    (await idsOfGrid(page)).map(id => Number(id.slice(-1))).sort((a, b) => a - b);
  const hash = async (): Promise<string> => await page.evaluate('location.hash');
  await page.getByRole('link', { name: '1 invalid image' }).click();
  t.deepEqual(await rowsShown(), [3]);
  t.is(await hash(), '#finding=bad');
  await page.getByRole('link', { name: 'Remove invalid' }).click();
  t.is((await rowsShown()).length, 6);
  await page.locator('.bar-list a[data-filter="object"]', { hasText: 'ant' }).click();
  t.deepEqual(await rowsShown(), [0, 3]);
  await page.locator('.bar-list a[data-filter="attr"]', { hasText: 'kind1' }).click();
  t.deepEqual(await rowsShown(), [3]);
  t.is(await hash(), '#object=0&attr=1');
  // What is asked of boxes must be true of one box.
  await page.getByRole('link', { name: 'Remove object: ant' }).click();
  t.deepEqual(await rowsShown(), [1, 3, 5]);
  await page.getByRole('link', { name: 'Remove attribute: kind1' }).click();
  const bars = page.locator('.histogram a[data-filter="conf"]');
  const counted: string[] = [];
  for (const bar of await bars.all()) {
    if (/: (?!0 )/.test((await bar.getAttribute('aria-label')) ?? ''))
      counted.push((await bar.getAttribute('data-value')) ?? '');
  }
  t.is(counted.length, 6);
  const found: number[] = [];
  for (const value of counted) {
    await page.evaluate(`location.hash = '#conf=' + ${JSON.stringify(value)}`);
    await settle(page);
    found.push(...(await rowsShown()));
  }
  t.deepEqual(found, [0, 1, 2, 3, 4, 5], 'each bar leads to the one image that it counts');
  await page.goBack();
  await settle(page);
  t.deepEqual(await rowsShown(), [4]);
  t.deepEqual(await findAxeViolations(page), []);
});

const HOSTILE = [
  '</script><script>hacked = 1</script>',
  '"><img src=x onerror="hacked = 1">',
  "' onmouseover='hacked = 1",
  '<!--<script>',
  '\u202egpj.tac\u2066',
  'zero\u200bwidth\u2028line',
  '&lt;b&gt; ${1+1} `x`',
  '\ud83d\ude00' + 'x'.repeat(200),
  'A'.repeat(255),
];

testInChromium('img_ids, class names and file names cannot inject anything', async t => {
  const rows = HOSTILE.map((_, index) => ({ objects_id: new BigInt64Array(36).fill(BigInt(index)) }));
  const { folder, store } = await makeStoreOfIds(t, HOSTILE, rows, 'y\'"><svg onload=hacked=1>&');
  const vocabulary = await makeVocabulary(folder, HOSTILE);
  const { path } = await makePage({ folder, store }, { vocabulary });
  for (const width of [1400, 400]) {
    const page = await openPage(t, path, { width });
    const shown = await idsOfGrid(page);
    t.is(shown.length, HOSTILE.length);
    for (const id of shown) {
      await openImage(page, id);
      await page.selectOption('#labels', 'all');
      await page.fill('#search', id);
      await settle(page);
      t.is(await page.locator('#viewer h2').textContent(), id);
      await page.fill('#search', '');
    }
    t.true(
      await page.evaluate('document.documentElement.scrollWidth <= innerWidth'),
      `nothing is wider than a window of ${width}`,
    );
    await page.evaluate(
      `location.hash = '#' + new URLSearchParams([...${JSON.stringify(HOSTILE)}.flatMap(text => [['object', text], ['finding', text], ['size', text], ['find', text]])])`,
    );
    await settle(page);
    await page.evaluate(`location.hash = ''`);
    await settle(page);
    t.is(await page.evaluate('typeof hacked'), 'undefined');
    t.is(await page.locator('img, main script').count(), 0);
    t.true(shown.includes(HOSTILE[0]!));
    t.true(shown.includes('\\u{202e}gpj.tac\\u{2066}'));
    t.true(shown.includes('zero\\u{200b}width\\u{2028}line'));
    t.is(await page.locator('h1').innerText(), 'y\'"><svg onload=hacked=1>&.safetensors');
    t.true(
      await page.evaluate('document.documentElement.scrollWidth <= innerWidth'),
      `nothing is wider than a window of ${width}`,
    );
  }
  const text = await readFile(path, 'utf8');
  t.is(
    text.split('<script').length - 1,
    HOSTILE.length + 3,
    'one island an image, two for the page, one script',
  );
});

testInChromium('without images, names and classes a page says so and shows what there is', async t => {
  const place = await makeStore(t, [{}, {}]);
  const { path } = await makePage(place);
  const page = await openPage(t, path);
  t.true(await page.getByText('No class names were found').isVisible());
  await openImage(page, 'SYNTHETIC_000000000000');
  t.regex(await page.locator('tbody tr').first().innerText(), /object \d+/);
  const { stage, boxes } = await rectanglesOf(page);
  t.is(boxes.length, 36);
  t.true(Math.abs(stage.width / stage.height - 480 / 640) < 0.01);
});

testInChromium(
  'a damaged image with values that are no numbers is shown first, and each of them named',
  async t => {
    const place = await makeStore(t, [{}, {}, {}]);
    const bytes = await readFile(place.store);
    bytes.writeUInt32LE(0x7fc00000, 8 + Number(bytes.readBigUInt64LE()) + (2 * 36 + 4) * 2048 * 4);
    await writeFile(place.store, bytes);
    const { path, result } = await makePage(place);
    t.like(result, { ok: false, invalid: 1 });
    const page = await openPage(t, path);
    const article = page.locator('#viewer');
    t.is((await idsOfGrid(page))[0], 'SYNTHETIC_000000000002');
    t.is(await page.locator('#grid .cell-caption.bad').innerText(), 'damaged: its checksum does not match');
    await openImage(page, 'SYNTHETIC_000000000002');
    const chips = await article.locator('.chips .bad').allTextContents();
    t.deepEqual(chips.slice(0, 2), ['damaged: its checksum does not match', 'values that are not finite']);
    t.regex(chips[2]!, /features: expected finite values, got NaN at box 4, dimension 0/);
    t.is(await article.locator('tbody td', { hasText: 'not a number' }).count(), 1);
    t.deepEqual(await findAxeViolations(page), []);
  },
);

testInChromium('a store of nonsense still gives a page and a sheet', async t => {
  const place = await makeStore(t, [{}, {}, {}]);
  const bytes = await readFile(place.store);
  const file = await StoreFile.open(place.store);
  const random = seededRandom(5);
  for (const [name, { begin, end, shape }] of file.header.tensors) {
    if (name === 'img_id' || name === 'crc32') continue;
    const [from, length] = [file.header.dataStart + begin, (end - begin) / shape[0]!];
    // Of the first image everything is zero, of the second all ones, of the third anything.
    bytes.fill(0, from, from + length).fill(0xff, from + length, from + 2 * length);
    for (let at = from + 2 * length; at < from + 3 * length; at++) bytes[at] = Math.floor(random() * 256);
  }
  await file.close();
  await writeFile(place.store, bytes);
  const png = join(place.folder, 'x.png');
  const { path, result } = await makePage(place, { png });
  t.is(result.invalid, 3);
  t.is((await sharp(png).metadata()).format, 'png');
  const page = await openPage(t, path);
  const ids = await idsOfGrid(page);
  t.is(ids.length, 3);
  for (const id of ids) {
    await openImage(page, id);
    t.is(await page.locator('tbody tr').count(), 36);
  }
});

testInChromium('a store of six-column rows has no classes to choose by, and its page says so', async t => {
  const folder = await makeTempFolder(t);
  const tsv = await writeTsv(folder, makeLines(2, 0, BUTD36));
  const store = join(folder, 'x.safetensors');
  await convert({ files: [tsv], out: store }, makeContext());
  const { path } = await makePage({ folder, store });
  const page = await openPage(t, path);
  t.true(await page.getByText('This store was made from six-column rows').isVisible());
  t.true(await page.locator('#threshold').isDisabled());
  await openImage(page, (await idsOfGrid(page))[0]!);
  t.deepEqual(
    await page.locator('#viewer thead th').allInnerTexts(),
    ['# ↑', ...['Area', 'Norm', 'Zeros', 'x1, y1, x2, y2']].map(title => title.replace(' ↑', '')),
  );
  t.is(await page.locator('#viewer .boxes g:not(.hidden)').count(), 36);
  t.deepEqual(await findAxeViolations(page), []);
});

testInChromium('two stores side by side: matched boxes light up together, with their cosine', async t => {
  const first = await makeStore(t, [{}, {}, {}], 'a');
  const attrs = makeSyntheticRow(2).attrs_id.slice();
  attrs[3] = 399n;
  const second = await makeStore(
    t,
    [{}, { features: new Float32Array(36 * 2048).fill(1) }, { attrs_id: attrs }],
    'b',
  );
  const path = join(first.folder, 'pair.html');
  const result = await inspectPair(
    { stores: [first.store, second.store], ids: [], limit: 50, out: path, force: false },
    makeContext(),
  );
  const { images } = await compareStores({ stores: [first.store, second.store] }, makeContext());
  const expected = images.map(image => image.cosine_mean);
  t.true(Math.abs(result.totals.cosine_mean - expected.reduce((a, b) => a + b) / 3) < 1e-12);
  const page = await openPage(t, path);
  // The least alike comes first.
  t.is((await idsOfGrid(page))[0], 'SYNTHETIC_000000000001');
  await page.getByLabel('Only differing').check();
  t.deepEqual(await idsOfGrid(page), ['SYNTHETIC_000000000001', 'SYNTHETIC_000000000002']);
  await openImage(page, 'SYNTHETIC_000000000001');
  t.regex(
    await page.locator('#viewer .chips').innerText(),
    new RegExp(`mean cosine ${expected[1]!.toFixed(4)}`),
  );
  await page.locator('#viewer tbody tr').nth(7).hover();
  t.is(await page.locator('#viewer .boxes g.active[data-box="7"]').count(), 2);
  await page.locator('#threshold').fill('0.9');
  await page.getByText('36 of 36 pairs').waitFor();
  await page.locator('#threshold').fill('1');
  await page.evaluate(`location.hash = '#image=SYNTHETIC_000000000002&differing='`);
  await page.getByText('1 of 36 pairs').waitFor();
  t.is(await page.locator('#viewer tbody tr:not([hidden]) .differs').innerText(), 'attribute 399');
  t.deepEqual(await findAxeViolations(page), []);
  const narrow = await openPage(t, path, { width: 400 });
  await openImage(narrow, 'SYNTHETIC_000000000002');
  t.true(await narrow.evaluate('document.documentElement.scrollWidth <= innerWidth'));
  t.true(await narrow.locator('#viewer .more-right > .scroll-hint').isVisible(), 'a cut table says so');
  const [a, b] = await narrow.evaluate<[number, number]>(
    `[...document.querySelectorAll('#viewer .stage')].map(stage => stage.getBoundingClientRect().y)`,
  );
  t.true(b > a + 100, 'pictures stand below each other');
});

for (const scheme of ['light', 'dark'] as const) {
  testInChromium(`axe finds nothing wrong with a page in ${scheme} colours, wide and narrow`, async t => {
    const place = await makeDemoStore(t);
    const { path } = await makePage(place, {
      images: place.images,
      vocabulary: await makeVocabulary(place.folder),
    });
    for (const width of [1400, 400]) {
      const page = await openPage(t, path, { scheme, width });
      await page.evaluate(`document.getElementById('filters').open = true`);
      await page.locator('.provenance summary').click();
      t.deepEqual(await findAxeViolations(page), []);
      await openImage(page, 'demo_1');
      t.deepEqual(await findAxeViolations(page), []);
    }
  });
}

testInChromium('the page follows the colours of the system, and a button turns them', async t => {
  const place = await makeDemoStore(t);
  const { path } = await makePage(place);
  const brightness = async (page: Page): Promise<number> =>
    (
      await sharp(await page.screenshot())
        .greyscale()
        .stats()
    ).channels[0]!.mean;
  const light = await openPage(t, path, { scheme: 'light' });
  const dark = await openPage(t, path, { scheme: 'dark' });
  t.true((await brightness(light)) > 215);
  t.true((await brightness(dark)) < 60);
  await light.getByRole('button', { name: 'Use the dark colours' }).click();
  t.true((await brightness(light)) < 60);
  await light.getByRole('button', { name: 'Use the light colours' }).click();
  t.true((await brightness(light)) > 215);
});

testInChromium('a picture with its boxes looks as it did', async t => {
  const place = await makeDemoStore(t);
  const { path } = await makePage(place, { images: place.images, ids: ['demo_1'] });
  const page = await openPage(t, path, { width: 1000 });
  await openImage(page, 'demo_1');
  // Letters look different on every machine.
  await page.selectOption('#labels', 'none');
  await settle(page);
  // At whole pixels: a fraction of one above it would move every line.
  await page.evaluate(`{
    const { style } = document.querySelector('.stage');
    Object.assign(style, { width: '320px', position: 'relative' });
    document.documentElement.scrollTo(0, 0);
    const { x, y } = document.querySelector('.stage').getBoundingClientRect();
    Object.assign(style, { left: Math.round(x) - x + 'px', top: Math.round(y) - y + 'px' });
  }`);
  const shot = await page.locator('.stage').screenshot();
  const golden = join(ROOT, 'test', 'fixtures', 'inspect', 'demo_1.png');
  if (process.env['UPDATE_GOLDENS'] !== undefined) {
    await mkdir(join(golden, '..'), { recursive: true });
    await writeFile(golden, await sharp(shot).removeAlpha().png({ palette: true, colours: 128 }).toBuffer());
  }
  const [seen, expected] = await Promise.all(
    [shot, await readFile(golden)].map(
      async bytes =>
        await sharp(bytes).removeAlpha().toColourspace('srgb').raw().toBuffer({ resolveWithObject: true }),
    ),
  );
  t.is(seen!.info.width, expected!.info.width);
  t.is(seen!.info.height, expected!.info.height);
  let different = 0;
  for (const [index, value] of seen!.data.entries())
    if (Math.abs(value - expected!.data[index]!) > 64) different++;
  t.true(different / seen!.data.length < 0.01, `${different} of ${seen!.data.length} values differ`);
});

testInChromium('of many images only those near the screen exist, the others when they come', async t => {
  const rows = Array.from({ length: 120 }, (_, index) => ({
    features: new Float32Array(36 * 2048).fill(1 + (index % 7)),
  }));
  const place = await makeStore(t, rows);
  const { path } = await makePage(place, { limit: 120 });
  const page = await openPage(t, path, { width: 1000, height: 600 });
  const cells = async (): Promise<number> => await page.locator('#grid li').count();
  t.true((await cells()) < 40, `${await cells()} cells`);
  await page.evaluate('scrollTo(0, document.documentElement.scrollHeight)');
  await settle(page);
  t.true((await cells()) < 40);
  const last = page.locator('#grid li[data-position="119"]');
  t.true(await last.isVisible());
  t.is(await last.getAttribute('aria-setsize'), '120');
  await last.locator('.thumbnail-inner').waitFor();
  const id = (await last.locator('.cell-id').textContent())!;
  await last.locator('a').click();
  await page.locator('#viewer h2', { hasText: id }).waitFor();
  await page.keyboard.press('Escape');
  await page.waitForFunction(`document.activeElement.closest('li')?.dataset.position === '119'`);
  t.true(await last.isVisible(), 'back where one was');
});
