import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { BACKEND, run, sha256, writeImages } from '../../helpers/cluster.ts';
import { type CliResult, startCli } from '../../helpers/cli.ts';
import { makeZip } from '../../helpers/small-zip.ts';
import { makeTempFolder } from '../../helpers/temp.ts';

interface Shared {
  readonly images: string;
  readonly out: string;
  readonly rows: string;
  /** sha256 of the store of a single run. */
  readonly single: string;
}

async function prepare(t: ExecutionContext, count: number): Promise<Shared> {
  const folder = await makeTempFolder(t);
  const images = join(folder, 'images');
  await writeImages(images, count);
  const one = join(folder, 'one', 'x.safetensors');
  await run(t, ['extract', 'custom', '--images', images, '--out', one, ...BACKEND]);
  return {
    images,
    out: join(folder, 'x.safetensors'),
    rows: join(folder, 'x.rows'),
    single: await sha256(one),
  };
}

function argsOf({ images, out }: Shared, shard: string, ...more: readonly string[]): string[] {
  return ['extract', 'custom', '--images', images, '--out', out, '--shard', shard, ...BACKEND, ...more];
}

async function runPart(t: ExecutionContext, shared: Shared, shard: string, code = 0): Promise<CliResult> {
  return await run(t, argsOf(shared, shard), code);
}

test('parts in any order end in the bytes of a single run, and a finished part is done when it comes again', async t => {
  const shared = await prepare(t, 23);
  t.regex((await runPart(t, shared, '3/3')).stdout, /8 units are not done: unit-000000, [^]*of part 1, 2;/);
  t.regex((await runPart(t, shared, '3/3')).stdout, /part 3\/3: 0 units/);
  await runPart(t, shared, '1/3');
  const early = await run(t, ['extract', '--plan', shared.rows, '--publish'], 1);
  t.regex(early.stderr, /4 units are not done: unit-000001/);
  t.regex((await runPart(t, shared, '2/3')).stdout, /x\.safetensors: 23 images/);
  t.is(await sha256(shared.out), shared.single);
  for (const shard of ['1/3', '3/3', '1/2']) await runPart(t, shared, shard);
  t.is(await sha256(shared.out), shared.single);
  t.false((await readdir(shared.rows)).includes('units'));
  await rm(shared.out);
  t.regex((await runPart(t, shared, '1/3', 1)).stderr, /was published and is gone/);
});

test('parts that begin at the same time plan once and publish once', async t => {
  const shared = await prepare(t, 20);
  const parts = ['1/3', '2/3', '3/3'].map(shard => startCli(argsOf(shared, shard)).result);
  for (const { code, stderr } of await Promise.all(parts)) t.is(code, 0, stderr);
  t.is(await sha256(shared.out), shared.single);
});

test('publishing twice at the same time is harmless', async t => {
  const shared = await prepare(t, 9);
  const plan = ['extract', 'custom', '--images', shared.images, '--plan', shared.rows, ...BACKEND];
  await run(t, plan);
  await run(t, ['extract', '--plan', shared.rows, '--worker', '1/1']);
  const both = [1, 2].map(() => startCli(['extract', '--plan', shared.rows, '--publish']).result);
  const ended = await Promise.all(both);
  t.true(ended.some(({ code }) => code === 0));
  for (const { code, stderr } of ended) if (code !== 0) t.regex(stderr, /is publishing/);
  t.is(await sha256(shared.out), shared.single);
});

test('there may be more parts than images', async t => {
  const shared = await prepare(t, 2);
  for (const shard of ['4/4', '1/4', '3/4', '2/4']) await runPart(t, shared, shard);
  t.is(await sha256(shared.out), shared.single);
});

test('an image without a row does not fail its part; the part that publishes says so and exits with 1', async t => {
  const shared = await prepare(t, 6);
  await writeFile(join(shared.images, 'img_0001.bmp'), 'no image');
  await runPart(t, shared, '1/2');
  const { stdout, stderr } = await runPart(t, shared, '2/2', 1);
  t.regex(stdout, /no row for img_0001: /);
  t.regex(stderr, /1 images have no row/);
  const { stdout: json } = await run(t, argsOf(shared, '2/2', '--skip-bad', '--json'), 1);
  t.like(JSON.parse(json.trim().split('\n').at(-1)!), { ok: false, out: shared.out, rows: 5, wanted: 6 });
});

test('parts of another extraction are refused, and a single run in their folder', async t => {
  const shared = await prepare(t, 5);
  await runPart(t, shared, '1/2');
  const single = ['extract', 'custom', '--images', shared.images, '--out', shared.out, ...BACKEND];
  t.regex((await run(t, single, 1)).stderr, /planned here[^]*--publish/);
  const other = await run(t, argsOf(shared, '2/2', '--rois', '40'), 1);
  t.regex(other.stderr, /another extraction is planned here[^]*rois/);
  await writeImages(shared.images, 6);
  t.regex((await runPart(t, shared, '2/2', 1)).stderr, /images 5[^]*images 6/);
  await run(t, argsOf(shared, '3/2'), 2);
  await run(t, argsOf(shared, '1/2', '--worker', '1/2'), 2);
});

test('parts of the images inside a zip', async t => {
  const shared = await prepare(t, 9);
  const members: Record<string, Buffer> = {};
  for (const name of await readdir(shared.images))
    members[`photos/${name}`] = await readFile(join(shared.images, name));
  const zipped = { ...shared, images: join(shared.images, '..', 'photos.zip') };
  await writeFile(zipped.images, makeZip(members));
  await rm(shared.images, { recursive: true });
  for (const shard of ['2/2', '1/2']) await runPart(t, zipped, shard);
  t.is(await sha256(shared.out), shared.single);
});
