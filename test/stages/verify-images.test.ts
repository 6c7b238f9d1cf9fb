import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import sharp from 'sharp';
import { averageHash, countDifferentBits } from '../../pipeline/detector/image/average-hash.ts';
import { decodeImage } from '../../pipeline/detector/image/decode-image.ts';
import { seededRandom } from '../../pipeline/rows/synthetic-row.ts';
import { verifyImages } from '../../pipeline/stages/verify-images.ts';
import { runCli } from '../helpers/cli.ts';
import { makeContext } from '../helpers/rows.ts';
import { makeZip } from '../helpers/small-zip.ts';
import { makeTempFolder } from '../helpers/temp.ts';

async function paint(seed: number, width = 90, height = 60): Promise<Buffer> {
  const random = seededRandom(seed);
  const pixels = Buffer.from(Array.from({ length: width * height * 3 }, () => Math.floor(random() * 256)));
  return await sharp(pixels, { raw: { width, height, channels: 3 } })
    .blur(6)
    .normalise()
    .png()
    .toBuffer();
}

/** Four images as the official set would have them, and their hashes. */
async function makeSet(t: ExecutionContext) {
  const folder = await makeTempFolder(t);
  const images = join(folder, 'dev');
  mkdirSync(images);
  const hashes: Record<string, string> = {};
  const files: Record<string, Buffer> = {};
  for (let index = 0; index < 4; index++) {
    const name = `dev-${index}-0-img0.png`;
    files[name] = await paint(index + 1);
    writeFileSync(join(images, name), files[name]);
    hashes[name] = averageHash(await decodeImage(join(images, name)));
  }
  const list = join(folder, 'dev_hashes.json');
  writeFileSync(list, JSON.stringify(hashes));
  return { folder, images, files, list };
}

test('images as published have their hashes, in a folder and in a zip', async t => {
  const { folder, images, files, list } = await makeSet(t);
  const zip = join(folder, 'dev_img.zip');
  writeFileSync(
    zip,
    makeZip(Object.fromEntries(Object.entries(files).map(([name, b]) => [`dev/${name}`, b]))),
  );
  for (const place of [images, zip]) {
    const result = await verifyImages({ images: place, hashes: [list] }, makeContext());
    t.deepEqual(result, { ok: true, same: 4, near: 0, wanted: 4, unknown: 0, problems: [] });
  }
});

test('another image, a damaged one and a missing one are named; one stored anew is near', async t => {
  const { images, files, list } = await makeSet(t);
  const [first, second, third, fourth] = Object.keys(files) as [string, string, string, string];
  writeFileSync(join(images, first), await paint(99));
  writeFileSync(join(images, second), 'no image');
  const again = await sharp(files[third]).jpeg({ quality: 40 }).toBuffer();
  writeFileSync(join(images, third), await sharp(again).png().toBuffer());
  writeFileSync(join(images, 'extra.png'), files[fourth]!);
  const result = await verifyImages({ images, hashes: [list] }, makeContext());
  t.is(result.same + result.near, 2);
  t.is(result.unknown, 1);
  t.deepEqual(
    result.problems.map(({ image, problem }) => [image, problem]),
    [
      [first, 'differs'],
      [second, 'unreadable'],
    ],
  );
  t.false(result.ok);
});

test('a set of which no image is there is left out, and no image at all is an error', async t => {
  const { folder, images, list } = await makeSet(t);
  const other = join(folder, 'test1_hashes.json');
  writeFileSync(other, JSON.stringify({ 'test1-0-0-img0.png': '0'.repeat(16) }));
  t.is((await verifyImages({ images, hashes: [list, other] }, makeContext())).wanted, 4);
  await t.throwsAsync(verifyImages({ images, hashes: [other] }, makeContext()), {
    code: 'ERR_INPUT',
    message: /none of these images has an official hash/,
  });
  writeFileSync(other, '{"a.png": "zz"}');
  await t.throwsAsync(verifyImages({ images, hashes: [other] }, makeContext()), {
    message: /not a file of average hashes/,
  });
});

test('the command checks NLVR2 only', async t => {
  const { code, stderr } = await runCli(['verify', 'vqa', '--images', '.']);
  t.is(code, 2);
  t.regex(stderr, /--images is for verify nlvr2/);
});

test('bits are counted, and what is no hash differs in all', t => {
  t.is(countDifferentBits('0000000000000000', 'ffffffffffffffff'), 64);
  t.is(countDifferentBits('0000000000000001', '0000000000000003'), 1);
  t.is(countDifferentBits('zz', '0000000000000003'), 64);
});

const PYTHON = process.env['TORCH_PYTHON'] ?? 'python3';
const PILLOW = `
import json, sys
import numpy as np
from PIL import Image
def average_hash(path):
    values = np.asarray(Image.open(path).convert("L").resize((8, 8), Image.Resampling.LANCZOS))
    return "%016x" % int("".join("1" if bit else "0" for bit in (values > values.mean()).flatten()), 2)
print(json.dumps([average_hash(path) for path in sys.argv[1:]]))
`;
const hasPillow = spawnSync(PYTHON, ['-c', 'import numpy, PIL.Image; PIL.Image.Resampling']).status === 0;

(hasPillow || process.env['TORCH_PYTHON'] !== undefined ? test : test.skip)(
  'hashes are those of Pillow, bit for bit, whatever the size (needs Pillow)',
  async t => {
    const folder = await makeTempFolder(t);
    const paths: string[] = [];
    for (const [index, [width, height]] of (
      [
        [90, 60],
        [8, 8],
        [640, 479],
        [33, 500],
        [1001, 17],
        [5, 7],
      ] as const
    ).entries()) {
      const path = join(folder, `${index}.png`);
      writeFileSync(path, await paint(index + 10, width, height));
      paths.push(path);
    }
    const ours: string[] = [];
    for (const path of paths) ours.push(averageHash(await decodeImage(path)));
    const run = spawnSync(PYTHON, ['-c', PILLOW, ...paths], { encoding: 'utf8' });
    t.is(run.status, 0, run.stderr);
    t.deepEqual(ours, JSON.parse(run.stdout));
  },
);
