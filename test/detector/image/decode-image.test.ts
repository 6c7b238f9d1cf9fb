import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import anyTest, { type TestFn } from 'ava';
import sharp, { type Sharp } from 'sharp';
import type { LxmertDataError } from '../../../pipeline/errors.ts';
import { makeBmp } from '../../helpers/bmp.ts';
import { decodeImage } from '../../../pipeline/detector/image/decode-image.ts';
import { convertInvertedCmyk, hasAdobeMarker } from '../../../pipeline/detector/image/pixel-order.ts';

const test = anyTest as TestFn<{ folder: string }>;
test.before(t => (t.context = { folder: mkdtempSync(join(tmpdir(), 'decode-')) }));
test.after.always(t => rmSync(t.context.folder, { recursive: true }));

const HEIGHT = 5;
const WIDTH = 7;

/** Red grows to the right, green downwards. */
function paint(channels: 3 | 4, alpha = 0): Sharp {
  const pixels = Buffer.alloc(HEIGHT * WIDTH * channels);
  for (let y = 0; y < HEIGHT; y += 1) {
    for (let x = 0; x < WIDTH; x += 1) {
      pixels.set([30 * x, 50 * y, 200, alpha].slice(0, channels), (y * WIDTH + x) * channels);
    }
  }
  return sharp(pixels, { raw: { height: HEIGHT, width: WIDTH, channels } });
}

/** Blue, green, red of the picture above. */
const EXPECTED = Uint8Array.from({ length: HEIGHT * WIDTH * 3 }, (_, i) => {
  const pixel = Math.floor(i / 3);
  return [200, 50 * Math.floor(pixel / WIDTH), 30 * (pixel % WIDTH)][i % 3]!;
});

async function write(folder: string, name: string, image: Sharp): Promise<string> {
  const path = join(folder, name);
  await image.toFile(path);
  return path;
}

test('a lossless picture comes blue first', async t => {
  const bitmap = await decodeImage(await write(t.context.folder, 'plain.png', paint(3).png()));
  t.deepEqual([bitmap.height, bitmap.width], [HEIGHT, WIDTH]);
  t.deepEqual(bitmap.pixels, EXPECTED);
});

test('alpha is dropped and not blended', async t => {
  const png = await decodeImage(await write(t.context.folder, 'alpha.png', paint(4, 3).png()));
  t.deepEqual(png.pixels, EXPECTED);
  const webp = paint(4, 3).webp({ lossless: true, exact: true });
  t.deepEqual((await decodeImage(await write(t.context.folder, 'alpha.webp', webp))).pixels, EXPECTED);
});

test('of 16 bits the upper eight are taken', async t => {
  const values = Uint16Array.from(EXPECTED, value => value * 256 + 255);
  const image = sharp(values, { raw: { height: HEIGHT, width: WIDTH, channels: 3 } })
    .toColourspace('rgb16')
    .png();
  const path = await write(t.context.folder, 'deep.png', image);
  t.is((await sharp(path).metadata()).depth, 'ushort');
  const { pixels } = await decodeImage(path);
  t.deepEqual([pixels[2], pixels[1], pixels[0]], [EXPECTED[0], EXPECTED[1], EXPECTED[2]]);
  t.is(pixels.length, EXPECTED.length);
});

test('a palette is looked up', async t => {
  const path = await write(
    t.context.folder,
    'palette.png',
    paint(3).png({ palette: true, dither: 0, colours: 256 }),
  );
  // The byte that says "indexed" in the header of a PNG.
  t.is(readFileSync(path)[25], 3);
  t.deepEqual((await decodeImage(path)).pixels, EXPECTED);
});

test('a Windows bitmap is read, whatever it is called', async t => {
  const row = (y: number): Buffer =>
    Buffer.concat([EXPECTED.subarray(3 * WIDTH * y, 3 * WIDTH * (y + 1)), Buffer.alloc(3)]);
  const data = Buffer.concat(Array.from({ length: HEIGHT }, (_, y) => row(HEIGHT - 1 - y)));
  const bmp = makeBmp({ height: HEIGHT, width: WIDTH, bits: 24, data });
  const path = await put(t.context.folder, 'windows.jpg', bmp);
  const { height, width, pixels } = await decodeImage(path);
  t.deepEqual([height, width], [HEIGHT, WIDTH]);
  t.deepEqual(pixels, EXPECTED);

  const huge = Buffer.from(bmp);
  huge.writeInt32LE(70_000, 18);
  huge.writeInt32LE(70_000, 22);
  const message = /4900000000 pixels are more than 268435456/;
  await t.throwsAsync(decodeImage(await put(t.context.folder, 'huge.bmp', huge)), {
    code: 'ERR_IMAGE',
    message,
  });
  const cut = await put(t.context.folder, 'cut.bmp', bmp.subarray(0, -9));
  const error = await t.throwsAsync<LxmertDataError>(decodeImage(cut), {
    code: 'ERR_IMAGE',
    message: /cannot read the image/,
  });
  t.is(error.parts.where, cut);
});

test('grey becomes three equal channels', async t => {
  for (const name of ['grey.png', 'grey.jpg', 'grey.tif']) {
    const { pixels } = await decodeImage(await write(t.context.folder, name, paint(3).greyscale()));
    t.is(pixels.length, EXPECTED.length);
    t.true(
      pixels.every((value, i) => value === pixels[i - (i % 3)]),
      name,
    );
  }
});

test('progressive and plain JPEGs of the same coefficients are equal', async t => {
  const plain = await decodeImage(await write(t.context.folder, 'plain.jpg', paint(3).jpeg({ quality: 90 })));
  const image = paint(3).jpeg({ quality: 90, progressive: true });
  const progressive = await decodeImage(await write(t.context.folder, 'progressive.jpg', image));
  t.deepEqual(progressive.pixels, plain.pixels);
});

for (const [orientation, height, width, corner] of [
  [1, HEIGHT, WIDTH, 0],
  [3, HEIGHT, WIDTH, HEIGHT * WIDTH - 1],
  [6, WIDTH, HEIGHT, (HEIGHT - 1) * WIDTH],
  [8, WIDTH, HEIGHT, WIDTH - 1],
] as const) {
  test(`EXIF orientation ${orientation} turns the picture`, async t => {
    for (const format of ['png', 'jpeg'] as const) {
      const name = `turned${orientation}.${format}`;
      const image = paint(3)
        .withMetadata({ orientation })
        .toFormat(format, { quality: 100, chromaSubsampling: '4:4:4' });
      const bitmap = await decodeImage(await write(t.context.folder, name, image));
      t.deepEqual([bitmap.height, bitmap.width], [height, width], name);
      for (let channel = 0; channel < 3; channel += 1) {
        const difference = Math.abs(bitmap.pixels[channel]! - EXPECTED[3 * corner + channel]!);
        t.true(difference <= (format === 'png' ? 0 : 4), `${name} ${channel}: ${difference}`);
      }
    }
  });
}

test('a colour profile does not change pixels', async t => {
  const plain = await decodeImage(await write(t.context.folder, 'srgb.jpg', paint(3).jpeg()));
  const wide = await write(t.context.folder, 'p3.png', paint(3).withIccProfile('p3').png());
  const raw = await sharp(wide, { ignoreIcc: true }).raw().toBuffer();
  const decoded = await decodeImage(wide);
  t.truthy((await sharp(wide).metadata()).icc);
  t.deepEqual([decoded.pixels[2], decoded.pixels[1], decoded.pixels[0]], [raw[0], raw[1], raw[2]]);
  t.is(plain.pixels.length, decoded.pixels.length);
});

test('of an animation the first frame is taken', async t => {
  const frames = await Promise.all([paint(3).png().toBuffer(), paint(3).negate().png().toBuffer()]);
  const path = join(t.context.folder, 'two.gif');
  await sharp(frames, { join: { animated: true } })
    .gif({ dither: 0 })
    .toFile(path);
  t.is((await sharp(path, { animated: true }).metadata()).pages, 2);
  const { height, width, pixels } = await decodeImage(path);
  t.deepEqual([height, width], [HEIGHT, WIDTH]);
  t.true(pixels.every((value, i) => Math.abs(value - EXPECTED[i]!) < 16));
});

test('CMYK is converted as OpenCV does it', async t => {
  const path = await write(
    t.context.folder,
    'cmyk.jpg',
    paint(3).toColourspace('cmyk').jpeg({ quality: 100 }),
  );
  t.is((await sharp(path).metadata()).space, 'cmyk');
  const { pixels } = await decodeImage(path);
  const inks = await sharp(path, { ignoreIcc: true })
    .pipelineColourspace('cmyk')
    .toColourspace('cmyk')
    .raw()
    .toBuffer();
  const adobe = hasAdobeMarker(readFileSync(path));
  const stored = Uint8Array.from(inks, value => (adobe ? 255 - value : value));
  t.deepEqual(pixels, convertInvertedCmyk(stored));
});

test('inverted inks: none is white, black is black, cyan takes red away', t => {
  const inks = Uint8Array.from([255, 255, 255, 255, 255, 255, 255, 0, 0, 255, 255, 255, 100, 200, 50, 128]);
  const cyan = [255, 255, 0];
  // k - ((255 - ink) * k >> 8)
  const mixed = [128 - ((205 * 128) >> 8), 128 - ((55 * 128) >> 8), 128 - ((155 * 128) >> 8)];
  const almostNone = 255 - ((255 * 255) >> 8);
  t.deepEqual(
    [...convertInvertedCmyk(inks)],
    [255, 255, 255, 0, 0, 0, cyan[0]!, cyan[1]!, almostNone, ...mixed],
  );
});

test("Adobe's marker is found behind other markers and not behind the picture", t => {
  const app0 = [0xff, 0xe0, 0, 4, 1, 2];
  const app14 = [0xff, 0xee, 0, 14, ...Buffer.from('Adobe'), 0, 100, 0, 0, 0, 0, 2];
  const scan = [0xff, 0xda, 0, 2];
  t.true(hasAdobeMarker(Uint8Array.from([0xff, 0xd8, ...app0, ...app14, ...scan])));
  t.false(hasAdobeMarker(Uint8Array.from([0xff, 0xd8, ...app0, ...scan, ...app14])));
  t.false(hasAdobeMarker(Uint8Array.from([0xff, 0xd8])));
});

const UNREADABLE: readonly (readonly [string, (folder: string) => Promise<string>, RegExp])[] = [
  [
    'a missing file',
    folder => Promise.resolve(join(folder, 'nowhere.jpg')),
    /cannot read the image[^]*ENOENT/,
  ],
  ['an empty file', folder => put(folder, 'empty.jpg', ''), /the image file is empty/],
  ['a page', folder => put(folder, 'page.jpg', '<html>not found</html>'), /got: +an HTML page/],
  ['a folder', folder => Promise.resolve(folder), /not a regular file[^]*a folder/],
  [
    'a JPEG that was cut off',
    async folder => {
      const bytes = await paint(3).resize(300, 300).jpeg().toBuffer();
      return put(folder, 'cut.jpg', bytes.subarray(0, bytes.length / 2));
    },
    /premature end/,
  ],
  [
    'a PNG that was cut off',
    async folder => {
      const bytes = await paint(3).resize(300, 300).png().toBuffer();
      return put(folder, 'cut.png', bytes.subarray(0, bytes.length / 2));
    },
    /cannot read the image/,
  ],
];
for (const [name, make, message] of UNREADABLE) {
  test(`${name} is refused with a reason`, async t => {
    await t.throwsAsync(decodeImage(await make(t.context.folder)), { code: 'ERR_IMAGE', message });
  });
}

function put(folder: string, name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name);
  writeFileSync(path, content);
  return Promise.resolve(path);
}

test('images that fail at the same time each keep their reason', async t => {
  const { folder } = t.context;
  const bytes = await paint(3).resize(300, 300).jpeg().toBuffer();
  const cut = await put(folder, 'half.jpg', bytes.subarray(0, bytes.length / 2));
  const page = await put(folder, 'page-too.jpg', '<html>not found</html>');
  const reasons = async (path: string): Promise<string> =>
    (await t.throwsAsync<LxmertDataError>(decodeImage(path))).parts.got ?? '';
  for (let round = 0; round < 30; round++) {
    const got = await Promise.all([cut, page, cut, cut, page].map(reasons));
    for (const index of [0, 2, 3]) t.regex(got[index]!, /premature end of JPEG/);
    for (const index of [1, 4]) t.is(got[index], 'an HTML page');
  }
});
