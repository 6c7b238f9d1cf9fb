import { linkSync, mkdirSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { writePlan } from '../../pipeline/extraction/cluster/plan.ts';
import { listImages } from '../../pipeline/extraction/list-images.ts';
import { makeTempFolder } from '../helpers/temp.ts';

/** More than a call takes as arguments. */
const COUNT = 130_000;
/** Of one file; ext4 allows 65,000. */
const LINKS = 50_000;

test('a folder and a list of very many images are planned, each image once and in order', async t => {
  const folder = await makeTempFolder(t);
  const images = join(folder, 'images');
  mkdirSync(images);
  const names = Array.from({ length: COUNT }, (_, index) => `img_${String(index).padStart(8, '0')}.jpg`);
  for (const [index, name] of names.entries()) {
    const source = join(folder, `source-${Math.floor(index / LINKS)}`);
    if (index % LINKS === 0) writeFileSync(source, '');
    linkSync(source, join(images, name));
  }
  const list = join(folder, 'list.txt');
  writeFileSync(list, names.map(name => `images/${name}\n`).join(''));
  const listed = await listImages(images, true);
  const { plan, root } = await writePlan({
    folder: join(folder, 'x.rows'),
    out: join(folder, 'x.safetensors'),
    images: listed.images,
    unitImages: 256,
    backend: {},
    weights: 'untrained',
  });
  t.is(root, images);
  t.is(plan.file.images, COUNT);
  const text = await readFile(join(plan.folder, 'images.txt'), 'utf8');
  t.true(text === names.map(name => `${name.slice(0, -4)}\t${name}\n`).join(''));
  const last = await plan.readUnit(plan.units - 1);
  t.is(last.at(-1)?.path, join(images, names.at(-1)!));
  const { images: fromList } = await listImages(list, false);
  t.true(
    fromList.length === COUNT && fromList.every(({ path }, index) => path === join(images, names[index]!)),
  );
});
