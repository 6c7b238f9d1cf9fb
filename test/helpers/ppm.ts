import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

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
} as const;

const [WIDTH, HEIGHT] = [64, 48];

/** A small image with pixels of its own; the first pixel carries the order and a time in ms. */
export function makePpm(seed: string, order: keyof typeof ORDERS = 'none', ms = 0): Buffer {
  const pixels = Buffer.alloc(WIDTH * HEIGHT * 3, createHash('sha512').update(seed).digest());
  pixels[0] = ORDERS[order];
  pixels[1] = ms;
  return Buffer.concat([Buffer.from(`P6\n${WIDTH} ${HEIGHT}\n255\n`), pixels]);
}

export async function writePpms(
  folder: string,
  count: number,
  ms = 0,
  orders: Readonly<Record<number, keyof typeof ORDERS>> = {},
): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (let index = 0; index < count; index++) {
    const name = `img_${String(index).padStart(4, '0')}`;
    await writeFile(join(folder, `${name}.ppm`), makePpm(name, orders[index], ms));
  }
}
