import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import anyTest, { type TestFn } from 'ava';
import { convertModel } from '../../../pipeline/detector/model/convert-model.ts';
import { FORMULA_WEIGHTS } from '../../../pipeline/detector/model/formula-weights.ts';
import { claimPartialPath } from '../../../pipeline/files/partial-names.ts';
import type { Weights } from '../../../pipeline/detector/model/weights.ts';

const test = anyTest as TestFn<{ folder: string }>;
test.beforeEach(t => (t.context = { folder: mkdtempSync(join(tmpdir(), 'convert-')) }));
test.afterEach.always(t => rmSync(t.context.folder, { recursive: true }));

test.serial('a converted detector is found again without reading the weights', async t => {
  const { folder } = t.context;
  const first = await convertModel(FORMULA_WEIGHTS, join(folder, 'not', 'there', 'yet'));
  const made = statSync(first.backbone).ino;
  const unread: Weights = { ...FORMULA_WEIGHTS, read: () => Promise.reject(new Error('weights were read')) };
  const second = await convertModel(unread, join(folder, 'not', 'there', 'yet'));
  t.is(statSync(second.backbone).ino, made);
  t.deepEqual(second.table, first.table);
  await t.throwsAsync(convertModel({ ...unread, id: 'f'.repeat(64) }, folder), {
    message: 'weights were read',
  });
  t.deepEqual(readdirSync(folder), ['not']);
});

test.serial('a converted detector whose bytes have changed is made anew', async t => {
  const { folder } = t.context;
  const { backbone, head } = await convertModel(FORMULA_WEIGHTS, folder);
  const weights = join(dirname(backbone), 'weights.bin');
  const whole = readFileSync(weights);
  const graph = readFileSync(head);
  const record = readFileSync(join(dirname(backbone), 'model.json'));
  const damages: readonly (() => void)[] = [
    () => writeFileSync(weights, Buffer.from(whole).fill(whole[5000]! ^ 1, 5000, 5001)),
    () => writeFileSync(weights, whole.subarray(0, -1)),
    () => writeFileSync(head, graph.subarray(1)),
    () => writeFileSync(join(dirname(backbone), 'model.json'), '{'),
    () => rmSync(head),
  ];
  for (const damage of damages) {
    damage();
    await convertModel(FORMULA_WEIGHTS, folder);
    t.true(readFileSync(weights).equals(whole));
    t.true(readFileSync(head).equals(graph));
    t.true(readFileSync(join(dirname(backbone), 'model.json')).equals(record));
  }
  t.is(readdirSync(folder).length, 1);
});

test.serial('a conversion that was killed and one at the same time do no harm', async t => {
  const { folder } = t.context;
  const own = claimPartialPath(join(folder, 'detector-untrained-v1'), 'model');
  const left = own.replace(`-${process.pid}-`, '-999999999-');
  mkdirSync(left);
  writeFileSync(join(left, 'weights.bin'), 'half');
  const models = await Promise.all([
    convertModel(FORMULA_WEIGHTS, folder),
    convertModel(FORMULA_WEIGHTS, folder),
  ]);
  t.deepEqual(models[0], models[1]);
  t.true(statSync(models[0].backbone).isFile());
  t.deepEqual(readdirSync(folder), ['detector-untrained-v1']);
});
