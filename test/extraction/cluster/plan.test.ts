import { cp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { openPlan } from '../../../pipeline/extraction/cluster/plan.ts';
import { BACKEND, planShared, run, sha256, startWorker } from '../../helpers/cluster.ts';

test('plan, workers in any order and publication make the bytes of one machine', async t => {
  const shared = await planShared(t, 23, 4);
  const plan = await openPlan(shared.rows);
  t.is(plan.units, 6);
  t.deepEqual(
    (await plan.readUnit(5)).map(({ img_id: id }) => id),
    ['img_0020', 'img_0021', 'img_0022'],
  );
  const early = await run(t, ['extract', '--plan', shared.rows, '--publish'], 1);
  t.regex(early.stderr, /6 units are not done: unit-000000/);
  const workers = ['2/3', '1/3'].map(worker => startWorker(shared, worker).result);
  for (const { code, stderr } of await Promise.all(workers)) t.is(code, 0, stderr);
  await run(t, ['extract', '--plan', shared.rows, '--worker', '3/3']);
  const status = await run(t, ['extract', '--plan', shared.rows, '--status', '--json']);
  t.like(JSON.parse(status.stdout), { done: 23, total: 23, units_done: 6, units: 6, published: false });
  await run(t, ['extract', '--plan', shared.rows, '--publish']);
  t.is(await sha256(shared.out), shared.single);
  // All of it may come again, and is done already.
  await run(t, ['extract', '--plan', shared.rows, '--publish']);
  await run(t, ['extract', '--plan', shared.rows, '--worker', '1/3']);
  t.deepEqual(
    (await readdir(shared.rows)).filter(name => !['logs', 'workers', 'owner'].includes(name)).sort(),
    ['detector.json', 'images.idx', 'images.txt', 'plan.json', 'published.json'],
  );
});

test('a second plan is refused where it differs, and nothing where it is the same', async t => {
  const { rows, images } = await planShared(t, 5, 2);
  const plan = ['extract', 'custom', '--images', images, '--plan', rows, ...BACKEND];
  await run(t, [...plan, '--unit-images', '2']);
  const other = await run(t, [...plan, '--unit-images', '3'], 1);
  t.regex(other.stderr, /another extraction is planned here[^]*unit_images 2[^]*unit_images 3/);
  await rm(join(images, 'img_0003.bmp'));
  const fewer = await run(t, [...plan, '--unit-images', '2'], 1);
  t.regex(fewer.stderr, /images 5/);
});

test('an image without a row is a fact of its unit: the worker is done, publication says so', async t => {
  const shared = await planShared(t, 9, 3);
  await writeFile(join(shared.images, 'img_0004.bmp'), 'no image');
  await run(t, ['extract', '--plan', shared.rows, '--worker', '1/1']);
  const { stdout, stderr } = await run(t, ['extract', '--plan', shared.rows, '--publish'], 1);
  t.regex(stdout, /no row for img_0004: /);
  t.regex(stderr, /1 images have no row/);
  const { stdout: json } = await run(
    t,
    ['extract', '--plan', shared.rows, '--publish', '--skip-bad', '--json'],
    1,
  );
  t.like(JSON.parse(json.trim().split('\n').at(-1)!), { ok: false, out: shared.out, rows: 8, wanted: 9 });
});

test('images without a row are tried again after --retry-failed, and the rest is not computed twice', async t => {
  const shared = await planShared(t, 9, 3);
  const path = join(shared.images, 'img_0004.bmp');
  const image = await readFile(path);
  await writeFile(path, 'no image');
  const plan = ['extract', '--plan', shared.rows];
  await run(t, [...plan, '--worker', '1/1']);
  await writeFile(path, image);
  t.regex((await run(t, [...plan, '--retry-failed'])).stdout, /1 units are open again: unit-000001;/);
  const early = await run(t, [...plan, '--publish'], 1);
  t.regex(early.stderr, /1 units are not done: unit-000001/);
  t.regex((await run(t, [...plan, '--worker', '1/1'])).stdout, /1 units, 1 images computed/);
  await run(t, [...plan, '--publish']);
  t.is(await sha256(shared.out), shared.single);
  t.regex((await run(t, [...plan, '--retry-failed'], 1)).stderr, /every image of this plan has its row/);
});

/** A plan whose publication was killed when its output had its name and nothing had been recorded: no published.json. */
async function publishUnrecorded(t: ExecutionContext) {
  const shared = await planShared(t, 9, 3);
  const plan = ['extract', '--plan', shared.rows];
  await run(t, [...plan, '--worker', '1/1']);
  await run(t, [...plan, '--publish', '--keep-rows']);
  await rm(join(shared.rows, 'published.json'));
  return { shared, plan };
}

test('a publication that was killed after its output had its name is finished by the next one', async t => {
  const { shared, plan } = await publishUnrecorded(t);
  const before = await stat(shared.out);
  t.like(JSON.parse((await run(t, [...plan, '--status', '--json'])).stdout), { done: 9, published: false });
  t.regex((await run(t, [...plan, '--worker', '1/1'])).stdout, /0 units/);
  await cp(join(shared.rows, 'units'), join(shared.folder, 'units'), { recursive: true });
  await run(t, [...plan, '--publish']);
  t.is((await stat(shared.out)).ino, before.ino, 'the output stays as it is');
  t.is(await sha256(shared.out), shared.single);
  t.false((await readdir(shared.rows)).includes('units'));
  // As it is when it was killed before it had removed the rows.
  await cp(join(shared.folder, 'units'), join(shared.rows, 'units'), { recursive: true });
  t.like(JSON.parse((await run(t, [...plan, '--status', '--json'])).stdout), { done: 9, published: true });
  await run(t, [...plan, '--publish']);
  t.false((await readdir(shared.rows)).includes('units'));
});

test('an output of other rows is not taken for that of the plan', async t => {
  const { shared, plan } = await publishUnrecorded(t);
  const unit = join(shared.rows, 'units', 'unit-000001.tsv');
  const rows = await readFile(unit);
  // Another value in the base64 of one row, which is as long.
  const at = rows.lastIndexOf(65);
  rows[at] = 66;
  await writeFile(unit, rows);
  t.regex((await run(t, [...plan, '--publish'], 1)).stderr, /exists already/);
  t.is(await sha256(shared.out), shared.single);
  t.true((await readdir(shared.rows)).includes('units'));
});
