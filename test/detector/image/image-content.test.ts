import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { crc32, gzipSync } from 'node:zlib';
import anyTest, { type TestFn } from 'ava';
import sharp, { type Sharp } from 'sharp';
import { decodeImage } from '../../../pipeline/detector/image/decode-image.ts';
import { hasRawYcbcr } from '../../../pipeline/detector/image/tiff-tags.ts';
import { sharedPath, testWithShared } from '../../helpers/shared.ts';

const test = anyTest as TestFn<{ folder: string }>;
test.before(t => (t.context = { folder: mkdtempSync(join(tmpdir(), 'content-')) }));
test.after.always(t => rmSync(t.context.folder, { recursive: true }));

const END = Buffer.from([0xff, 0xd9]);
const SIDE = 160;

/** A picture that does not compress to nothing, so that half a file is half a picture. */
function paint(): Sharp {
  const pixels = Buffer.alloc(SIDE * SIDE * 3);
  for (let i = 0; i < pixels.length; i += 1) pixels[i] = (i * i * 31 + (i >> 5) * 17) % 256;
  return sharp(pixels, { raw: { height: SIDE, width: SIDE, channels: 3 } });
}

function put(folder: string, name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const SVG =
  '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="48"><rect width="64" height="48"/></svg>';
const ftyp = (brand: string): Buffer => Buffer.from(`\0\0\0\x1cftyp${brand}\0\0\0\0`, 'latin1');
const NOT_READ: readonly (readonly [string, string | Buffer, RegExp])[] = [
  ['svg', SVG, /got: +an SVG drawing/],
  ['svg-with-declaration', `<?xml version="1.0"?>\n<!-- made by hand -->\n${SVG}`, /got: +an SVG drawing/],
  [
    'page',
    '<!DOCTYPE html><html><head><title>Quota exceeded</title></head><svg></svg>',
    /an HTML page titled "Quota exceeded"/,
  ],
  ['xml', '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', /an XML message of a server/],
  ['avif', ftyp('avif'), /an AVIF image/],
  ['heif', ftyp('heic'), /a HEIF image/],
  ['video', ftyp('isom'), /an MP4 or QuickTime video/],
  ['jp2', Buffer.from('0000000c6a5020200d0a870a', 'hex'), /a JPEG 2000 image/],
  ['jxl', Buffer.from('ff0afa7f', 'hex'), /a JPEG XL image/],
  ['ppm', 'P6\n2 1\n255\nabcdef', /a PNM image/],
  ['pdf', '%PDF-1.7\n', /a PDF document/],
  ['gzip', gzipSync('x'), /gzip-compressed/],
  ['zeros', Buffer.alloc(500), /nothing but zero bytes/],
  ['lfs', 'version https://git-lfs.github.com/spec/v1\n', /a Git LFS pointer/],
  ['text', 'not a picture', /unknown format \(first bytes 6e 6f 74 20 61 20 70 69\)/],
];
for (const [name, content, message] of NOT_READ) {
  test(`${name}: refused by its name, whatever the file is called`, async t => {
    const path = put(t.context.folder, `${name}.jpg`, content);
    await t.throwsAsync(decodeImage(path), { code: 'ERR_IMAGE', message });
    await t.throwsAsync(decodeImage(path), { message: /expected: JPEG, PNG, WebP, TIFF, BMP or GIF/ });
  });
}

test('a format is recognised by its content', async t => {
  const plain = await decodeImage(put(t.context.folder, 'a.jpg', await paint().png().toBuffer()));
  for (const format of ['webp', 'tiff'] as const) {
    const bytes = await paint().toFormat(format, { lossless: true, compression: 'lzw' }).toBuffer();
    t.deepEqual((await decodeImage(put(t.context.folder, `${format}.png`, bytes))).pixels, plain.pixels);
  }
});

test('loaders of formats that are not read are blocked', async t => {
  const avif = await paint().avif({ effort: 0 }).toBuffer();
  await t.throwsAsync(sharp(avif).metadata());
});

for (const progressive of [false, true]) {
  test(`a cut JPEG behind an unrelated warning is refused (${progressive ? 'progressive' : 'sequential'})`, async t => {
    const jpeg = await paint().jpeg({ progressive }).toBuffer();
    // Bytes between two segments: libjpeg warns of them, and of nothing after that.
    const at = 4 + jpeg.readUInt16BE(4);
    const stray = Buffer.concat([jpeg.subarray(0, at), Buffer.from('stray bytes'), jpeg.subarray(at)]);
    const whole = await decodeImage(put(t.context.folder, `stray-${progressive}.jpg`, stray));
    const clean = await decodeImage(put(t.context.folder, `clean-${progressive}.jpg`, jpeg));
    t.true(Buffer.from(whole.pixels).equals(clean.pixels));
    for (const length of [stray.length >> 1, stray.length - 200, stray.length - 30]) {
      const cut = put(
        t.context.folder,
        `cut-${progressive}.jpg`,
        Buffer.concat([stray.subarray(0, length), END]),
      );
      const message = /pixels of this JPEG are missing/;
      await t.throwsAsync(decodeImage(cut), { code: 'ERR_IMAGE', message }, `${length} of ${stray.length}`);
    }
  });
}

for (const progressive of [false, true]) {
  const kind = progressive ? 'progressive' : 'sequential';

  test(`a ${kind} JPEG that lacks only its end marker is read`, async t => {
    const jpeg = await paint().jpeg({ progressive }).toBuffer();
    t.true(jpeg.subarray(-2).equals(END));
    const whole = await decodeImage(put(t.context.folder, `${kind}-whole.jpg`, jpeg));
    const open = await decodeImage(put(t.context.folder, `${kind}-open.jpg`, jpeg.subarray(0, -2)));
    t.deepEqual(open, whole);
  });

  test(`a ${kind} JPEG of which pixels are missing is refused, with an end marker or without`, async t => {
    const jpeg = await paint().jpeg({ progressive }).toBuffer();
    for (const length of [jpeg.length >> 2, jpeg.length >> 1, jpeg.length - 200, jpeg.length - 12]) {
      for (const end of [Buffer.alloc(0), END]) {
        const path = put(t.context.folder, `${kind}-cut.jpg`, Buffer.concat([jpeg.subarray(0, length), end]));
        await t.throwsAsync(
          decodeImage(path),
          { code: 'ERR_IMAGE', message: /pixels of this JPEG are missing|cannot read the image/ },
          `${length} of ${jpeg.length}, ${end.length}`,
        );
      }
    }
  });
}

test('a progressive JPEG of which whole scans are missing is refused', async t => {
  const jpeg = await paint().jpeg({ progressive: true }).toBuffer();
  // Before the tables of the last scan.
  const cut = jpeg.subarray(0, jpeg.lastIndexOf(Buffer.from([0xff, 0xc4])));
  const path = put(t.context.folder, 'scans.jpg', Buffer.concat([cut, END]));
  t.is(
    (
      await sharp(await readFile(path), { failOn: 'warning' })
        .raw()
        .toBuffer()
    ).length,
    SIDE * SIDE * 3,
  );
  await t.throwsAsync(decodeImage(path), { code: 'ERR_IMAGE', message: /pixels of this JPEG are missing/ });
});

test('bytes behind the end of a JPEG do not matter', async t => {
  const jpeg = await paint().jpeg().toBuffer();
  const whole = await decodeImage(put(t.context.folder, 'ends.jpg', jpeg));
  const path = put(t.context.folder, 'trails.jpg', Buffer.concat([jpeg, Buffer.alloc(5000)]));
  t.deepEqual(await decodeImage(path), whole);
});

test('a GIF whose data end early is refused', async t => {
  const gif = await paint().gif().toBuffer();
  const whole = await decodeImage(put(t.context.folder, 'whole.gif', gif));
  t.deepEqual([whole.height, whole.width], [SIDE, SIDE]);
  const zeros = Buffer.from(gif).fill(0, gif.length >> 1);
  for (const bytes of [zeros, gif.subarray(0, gif.length >> 1)]) {
    await t.throwsAsync(decodeImage(put(t.context.folder, 'half.gif', bytes)), {
      code: 'ERR_IMAGE',
      message: /a whole and valid GIF file/,
    });
  }
});

test('a PNG that was cut says where it ends', async t => {
  const png = await paint().png().toBuffer();
  await t.throwsAsync(decodeImage(put(t.context.folder, 'cut.png', png.subarray(0, 200))), {
    code: 'ERR_IMAGE',
    message:
      /a whole and valid PNG file[^]*200 bytes: it ends inside a chunk IDAT, which would reach to byte \d+/,
  });
});

test('a picture of too many pixels is refused with both numbers', async t => {
  const png = await paint().png().toBuffer();
  // Width and height of the header, and its checksum.
  png.writeUInt32BE(20_000, 16);
  png.writeUInt32BE(15_000, 20);
  png.writeUInt32BE(crc32(png.subarray(12, 29)), 29);
  await t.throwsAsync(decodeImage(put(t.context.folder, 'large.png', png)), {
    code: 'ERR_IMAGE',
    message: /at most 268435456 pixels[^]*300000000 pixels \(20000 x 15000\)/,
  });
});

/** A little-endian TIFF with nothing but two tags. */
function makeTiff(compression: number, photometric: number): Buffer {
  const entries = [
    [259, compression],
    [262, photometric],
  ].map(([tag = 0, value = 0]) => Buffer.from(Uint16Array.from([tag, 3, 1, 0, value, 0]).buffer));
  return Buffer.concat([Buffer.from('49492a00080000000200', 'hex'), ...entries, Buffer.alloc(4)]);
}

test('YCbCr colours of a TIFF are refused unless JPEG keeps them', async t => {
  t.true(hasRawYcbcr(makeTiff(1, 6)));
  t.true(hasRawYcbcr(makeTiff(5, 6)));
  t.false(hasRawYcbcr(makeTiff(7, 6)));
  t.false(hasRawYcbcr(makeTiff(1, 2)));
  t.false(hasRawYcbcr(makeTiff(1, 6).subarray(0, 20)));
  await t.throwsAsync(decodeImage(put(t.context.folder, 'ycbcr.tif', makeTiff(1, 6))), {
    code: 'ERR_IMAGE',
    message: /YCbCr without JPEG compression/,
  });
  const jpeg = await paint().tiff({ compression: 'jpeg' }).toBuffer();
  t.is((await decodeImage(put(t.context.folder, 'jpeg.tif', jpeg))).height, SIDE);
});

if (process.platform !== 'win32') {
  test('a FIFO and a device are refused at once', async t => {
    const fifo = join(t.context.folder, 'fifo.jpg');
    await promisify(execFile)('mkfifo', [fifo]);
    await t.throwsAsync(decodeImage(fifo), { code: 'ERR_IMAGE', message: /a FIFO/ });
    const zero = join(t.context.folder, 'zero.jpg');
    symlinkSync('/dev/zero', zero);
    await t.throwsAsync(decodeImage(zero), { code: 'ERR_IMAGE', message: /a special file/ });
  });
}

const files = ['cases', 'files'] as const;
testWithShared(
  'a photograph without its end marker has the pixels of OpenCV',
  [...files, 'noeoi.jpg'],
  async t => {
    const { pixels } = await decodeImage(sharedPath(...files, 'noeoi.jpg'));
    t.is(crc32(pixels).toString(16), '2a974d5d');
  },
);

for (const name of [
  'truncated50.jpg',
  'gif-second-half-zeros.gif',
  'ycbcr-uncompressed.tif',
  'svg-named.png',
  'html-named.jpg',
  'avif-rotated.avif',
  'cut-at-200-bytes.png',
]) {
  testWithShared(`${name} is refused with expected and got`, [...files, name], async t => {
    await t.throwsAsync(decodeImage(sharedPath(...files, name)), {
      code: 'ERR_IMAGE',
      message: /expected: .+\n {2}got: {6}.+/,
    });
  });
}
