import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { ImageArchives } from '../pipeline/extraction/image-archives.ts';
import { listImages } from '../pipeline/extraction/list-images.ts';

/*
 * What images inside a zip cost over images in a folder: listing, and for each image unpacking, checking, writing and
 * removing the file. Three rounds of each in turn, of images of 160 kB. The folder's share is reading the same file.
 */

const count = Number(process.argv[2] ?? 2000);
const IMAGE_BYTES = 160_000;
const ROUNDS = 3;

const folder = mkdtempSync(join(tmpdir(), 'image-zip-'));
try {
  const images = join(folder, 'images');
  await mkdir(images);
  for (let index = 0; index < count; index++)
    writeFileSync(join(images, `n${String(index).padStart(6, '0')}.jpg`), randomBytes(IMAGE_BYTES));
  const zip = join(folder, 'images.zip');
  const made = spawnSync('zip', ['-q', '-r', '-0', zip, 'images'], { cwd: folder });
  if (made.status !== 0) throw new Error('zip is needed');
  const times: Record<'folder' | 'zip', number[]> = { folder: [], zip: [] };
  for (let round = 0; round < ROUNDS; round++) {
    times.folder.push(await timed(() => readAll(images)));
    times.zip.push(await timed(() => readAll(zip)));
  }
  const perImage = (kind: 'folder' | 'zip'): number => (median(times[kind]) * 1000) / count;
  const [plain, zipped] = [perImage('folder'), perImage('zip')];
  process.stdout.write(
    `${count} images: folder ${plain.toFixed(3)} ms, zip ${zipped.toFixed(3)} ms an image, ${(zipped - plain).toFixed(3)} ms more\n`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function readAll(path: string): Promise<void> {
  const list = (await listImages(path, true)).images;
  const archives = await ImageArchives.open(list, join(folder, 'x.rows'));
  for (const image of list) {
    const reason = await archives?.unpack(image.path);
    if (reason !== undefined) throw new Error(reason);
    await readFile(archives?.fileOf(image.path) ?? image.path);
    await archives?.remove(image.path);
  }
  await archives?.close();
}

async function timed(work: () => Promise<void>): Promise<number> {
  const begin = performance.now();
  await work();
  return (performance.now() - begin) / 1000;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
