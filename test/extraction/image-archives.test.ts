import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { ImageArchives, withArchives } from '../../pipeline/extraction/image-archives.ts';
import { listImages } from '../../pipeline/extraction/list-images.ts';
import { startExtractorProcess, type StartExtractor } from '../../pipeline/extraction/process.ts';
import type { ExtractResult } from '../../pipeline/stages/extract.ts';
import { findSplit, runExtraction } from '../helpers/extraction.ts';
import { makeContext } from '../helpers/rows.ts';
import { makeZip } from '../helpers/small-zip.ts';
import { makeTempFolder } from '../helpers/temp.ts';

const STAND_IN = join(import.meta.dirname, '..', 'fixtures', 'stand-in-extractor.ts');
const start: StartExtractor = onEvent => startExtractorProcess(process.execPath, [STAND_IN], onEvent);

const PICTURES = Object.fromEntries(
  Array.from({ length: 40 }, (_, index) => [
    `train2014/img_${String(index).padStart(2, '0')}.jpg`,
    `picture ${index}`,
  ]),
);

async function extractFrom(images: string, folder: string): Promise<ExtractResult> {
  return await runExtraction(
    {
      split: findSplit('custom'),
      images,
      data: folder,
      out: join(folder, 'x.safetensors'),
      start: async plan => await withArchives(plan, () => Promise.resolve({ start: [start] })),
    },
    makeContext(),
  );
}

test('images inside a zip give the store that the same files in a folder give, and leave nothing', async t => {
  const folder = await makeTempFolder(t);
  const [zipped, plain] = [join(folder, 'zipped'), join(folder, 'plain')];
  for (const path of [zipped, plain, join(plain, 'train2014')]) mkdirSync(path);
  for (const [name, content] of Object.entries(PICTURES)) writeFileSync(join(plain, name), content);
  const zip = join(zipped, 'train2014.zip');
  writeFileSync(zip, makeZip({ ...PICTURES, 'train2014/': '', '__MACOSX/train2014/._img_00.jpg': 'x' }));
  t.true((await extractFrom(zip, zipped)).ok);
  t.true((await extractFrom(plain, plain)).ok);
  const [ours, theirs] = [zipped, plain].map(path =>
    createHash('sha256')
      .update(readFileSync(join(path, 'x.safetensors')))
      .digest('hex'),
  );
  t.is(ours, theirs);
  t.false(existsSync(join(zipped, 'x.rows')));
});

test('a set is found in the zip that fetch leaves under the name of its folder', async t => {
  const folder = await makeTempFolder(t);
  writeFileSync(join(folder, 'train2014.zip'), makeZip(PICTURES));
  const result = await runExtraction(
    {
      split: findSplit('coco/train'),
      images: folder,
      data: folder,
      start: async plan => await withArchives(plan, () => Promise.resolve({ start: [start] })),
    },
    makeContext(),
  );
  t.is(result.rows, 40);
});

test('a damaged image of a zip is named with its reason, and the others are done', async t => {
  const folder = await makeTempFolder(t);
  const bytes = makeZip(PICTURES, 0);
  const at = bytes.indexOf('picture 7');
  bytes[at] = 0x50;
  const zip = join(folder, 'a.zip');
  writeFileSync(zip, bytes);
  const result = await extractFrom(zip, folder);
  t.is(result.rows, 39);
  t.is(result.missing[0]?.img_id, 'img_07');
  t.regex(result.missing[0]?.reason ?? '', /damaged.*CRC-32/);
});

test('names that lead out of the folder are base names there', async t => {
  const folder = await makeTempFolder(t);
  const zip = join(folder, 'a.zip');
  writeFileSync(zip, makeZip({ '../../evil.jpg': 'x', '/etc/b.jpg': 'y' }));
  const { images } = await listImages(zip, true);
  t.deepEqual(
    images.map(({ img_id: id }) => id),
    ['b', 'evil'],
  );
  const archives = (await ImageArchives.open(images, join(folder, 'x.rows')))!;
  for (const { path } of images) t.is(await archives.unpack(path), undefined);
  t.deepEqual(
    images.map(({ path }) => archives.fileOf(path)),
    ['b', 'evil'].map(id => join(folder, 'x.rows', 'unpacked', `${id}.jpg`)),
  );
  t.is(readFileSync(archives.fileOf(images[1]!.path), 'utf8'), 'x');
  await archives.remove(images[1]!.path);
  t.false(existsSync(archives.fileOf(images[1]!.path)));
  await archives.close();
});

test('two images of one img_id in a zip are refused', async t => {
  const folder = await makeTempFolder(t);
  const zip = join(folder, 'a.zip');
  writeFileSync(zip, makeZip({ 'a/same.jpg': 'x', 'b/same.png': 'y' }));
  await t.throwsAsync(listImages(zip, true), { message: /the same img_id/ });
});

test('a folder whose name ends in .zip is a folder', async t => {
  const folder = join(await makeTempFolder(t), 'a.zip');
  mkdirSync(folder);
  writeFileSync(join(folder, 'one.jpg'), 'x');
  const { images } = await listImages(folder, false);
  t.is(await ImageArchives.open(images, join(folder, 'x.rows')), undefined);
  t.is(images[0]?.path, join(folder, 'one.jpg'));
});
