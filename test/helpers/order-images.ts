import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeBmp } from './bmp.ts';

/** What the stand-in for the Caffe image does with an image: test/fixtures/butd/lib/fast_rcnn/test.py. */
export const ORDERS = {
  none: 200,
  crash: 1,
  crashOnce: 2,
  hangOnce: 3,
  nan: 4,
  few: 5,
  memory: 6,
  raise: 7,
  cuda: 8,
  memoryOnce: 9,
  hang: 10,
} as const;

const [WIDTH, HEIGHT] = [64, 48];

/** A small image with pixels of its own; the first pixel carries the order (red) and a time in ms (green). */
export function makeOrderImage(seed: string, order: keyof typeof ORDERS = 'none', ms = 0): Buffer {
  const data = Buffer.alloc(WIDTH * HEIGHT * 3, createHash('sha512').update(seed).digest());
  // Rows are stored from the bottom up.
  const first = (HEIGHT - 1) * WIDTH * 3;
  data[first + 1] = ms;
  data[first + 2] = ORDERS[order];
  return makeBmp({ width: WIDTH, height: HEIGHT, bits: 24, data });
}

export async function writeOrderImages(
  folder: string,
  count: number,
  ms = 0,
  orders: Readonly<Record<number, keyof typeof ORDERS>> = {},
): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (let index = 0; index < count; index++) {
    const name = `img_${String(index).padStart(4, '0')}`;
    await writeFile(join(folder, `${name}.bmp`), makeOrderImage(name, orders[index], ms));
  }
}
