import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import sharp from 'sharp';
import { startImageChecker } from '../../pipeline/extraction/image-checker.ts';
import { PixelBudget } from '../../pipeline/extraction/pixel-budget.ts';
import { makeTempFolder } from '../helpers/temp.ts';

test('what is decoded at a time stays within the budget, in order, and one of any size is let through', async t => {
  const budget = new PixelBudget(100);
  let [now, most] = [0, 0];
  const order: number[] = [];
  const sizes = [60, 60, 30, 500, 10, 90, 0, 100];
  await Promise.all(
    sizes.map(async (size, index) => {
      await budget
        .run(size, async () => {
          order.push(index);
          now += Math.min(size, 100);
          most = Math.max(most, now);
          await new Promise(resolve => setImmediate(resolve));
          now -= Math.min(size, 100);
          if (index === 2) throw new Error('an image that fails gives back its share');
        })
        .catch(() => undefined);
    }),
  );
  t.true(most <= 100);
  t.deepEqual(order, sizes.keys().toArray());
});

test('several huge pictures at once do not add up', async t => {
  const folder = await makeTempFolder(t);
  const path = join(folder, 'huge.png');
  const create = { width: 16_000, height: 16_000, channels: 3, background: 'blue' } as const;
  await sharp({ create, limitInputPixels: false }).png({ compressionLevel: 1 }).toFile(path);
  const module = JSON.stringify(join(import.meta.dirname, '../../pipeline/extraction/image-checker.ts'));
  const script = `
    const { startImageChecker } = await import(${module});
    const checker = startImageChecker(4);
    const faults = await Promise.all(Array.from({ length: 4 }, () => checker.check(${JSON.stringify(path)})));
    await checker.close();
    console.log(JSON.stringify({ faults, bytes: process.resourceUsage().maxRSS * 1024 }));`;
  const program = join(folder, 'check.mjs');
  await writeFile(program, script);
  const { stdout, stderr } = spawnSync(process.execPath, [program], { encoding: 'utf8' });
  t.is(stderr, '');
  const { faults, bytes } = JSON.parse(stdout) as { faults: unknown[]; bytes: number };
  t.deepEqual(faults, Array(4).fill(null));
  t.true(bytes < 3e9, `${bytes} bytes`);
});

test('narrow and damaged images are refused in the words of the embedded detector', async t => {
  const folder = await makeTempFolder(t);
  const checker = startImageChecker(1);
  t.teardown(async () => await checker.close());
  const make = async (width: number, height: number): Promise<string> => {
    const path = join(folder, `${width}x${height}.png`);
    await sharp({ create: { width, height, channels: 3, background: 'red' } })
      .png()
      .toFile(path);
    return path;
  };
  for (const [width, height] of [
    [15, 300],
    [900, 9],
    [2000, 1],
  ] as const) {
    const reason = await checker.check(await make(width, height));
    t.is(
      reason,
      `the image is too narrow for the network, which needs sides of at least 16 pixels: ${width} x ${height} pixels`,
    );
  }
  t.is(await checker.check(await make(16, 16)), undefined);
  t.is(await checker.check(await make(64, 48)), undefined);
  t.regex((await checker.check(join(folder, 'none.png')))!, /^cannot read the image: ENOENT/);
});
