import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { createEmbeddedExtractor } from '../../../pipeline/extraction/embedded/extractor.ts';
import { FORMULA_WEIGHTS, makeFormulaBlob } from '../../../pipeline/detector/model/formula-weights.ts';
import { listBlobs } from '../../../pipeline/detector/model/network.ts';
import { openWeights } from '../../../pipeline/detector/model/open-weights.ts';
import { writeDetectorWeights } from '../../../pipeline/detector/model/write-weights.ts';
import { ROOT } from '../../helpers/cli.ts';
import { hasOracle, listOracleImages, measureDifference, readExpectedRow } from '../../helpers/oracle.ts';

const PYTHON = process.env['TORCH_PYTHON'] ?? 'python3';
const hasTorch = spawnSync(PYTHON, ['-c', 'import numpy, torch']).status === 0;
const withTorch = hasTorch
  ? test.serial
  : process.env['CI'] === 'true'
    ? test.serial.failing
    : test.serial.skip;

const folder = mkdtempSync(join(tmpdir(), 'ports-'));
const canonical = join(folder, 'detector.safetensors');
test.before(async () => {
  await writeDetectorWeights(canonical, FORMULA_WEIGHTS);
  if (!hasTorch) return;
  const program = join(ROOT, 'test', 'helpers', 'write-weights.py');
  const run = spawnSync(PYTHON, [program, canonical, folder], { cwd: folder, encoding: 'utf8' });
  if (run.status !== 0) throw new Error(run.stderr);
});
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

/** The formula's blob as a port has it: BatchNorm divided by its factor, scores of proposals as a difference. */
function expectBlob(blob: string, isDetectron: boolean): Float32Array {
  const values = makeFormulaBlob(blob);
  const [, batchNorm, index] = /^(bn\w+)\/(\d)$/.exec(blob) ?? [];
  if (batchNorm !== undefined) {
    const factor = makeFormulaBlob(`${batchNorm}/2`)[0]!;
    return index === '2' ? Float32Array.of(1) : values.map(value => value / factor);
  }
  if (!isDetectron || !blob.startsWith('rpn_cls_score')) return values;
  const half = values.length / 2;
  return values.map((value, at) => (at < half ? 0 : value - values[at - half]!));
}

for (const [name, form, layout] of [
  ['detectron2-zip.bin', 'torch-zip', 'detectron2'],
  ['milvlg-legacy.pth', 'torch', 'milvlg'],
  ['detectron2-old.pkl', 'pickle', 'detectron2'],
  ['detectron2-new.pkl', 'pickle', 'detectron2'],
  ['detectron2-4.pkl', 'pickle', 'detectron2'],
] as const) {
  withTorch(
    `${name} as PyTorch and NumPy write it holds the formula's blobs (needs TORCH_PYTHON)`,
    async t => {
      const path = join(folder, name);
      const weights = await openWeights(path);
      t.is(weights.form, form);
      t.is(weights.layout, layout);
      t.is(weights.boxes, 'undecided');
      t.is(weights.id, createHash('sha256').update(readFileSync(path)).digest('hex'));
      for (const blob of listBlobs().keys()) {
        const values = await weights.read(blob);
        const expected = expectBlob(blob, layout === 'detectron2');
        if (!Buffer.from(values.buffer).equals(Buffer.from(expected.buffer))) t.fail(blob);
      }
      await weights.close();
    },
  );
}

withTorch('ports of one network become the same canonical file (needs TORCH_PYTHON)', async t => {
  const hashes = new Set<string>();
  for (const name of ['detectron2-zip.bin', 'detectron2-old.pkl', 'detectron2-new.pkl']) {
    const weights = await openWeights(join(folder, name));
    const path = join(folder, `${name}.safetensors`);
    await writeDetectorWeights(path, weights);
    await weights.close();
    hashes.add(createHash('sha256').update(readFileSync(path)).digest('hex'));
    rmSync(path);
  }
  t.is(hashes.size, 1);
});

const withOracle = hasTorch && hasOracle ? test.serial : test.serial.skip;
withOracle('weights of a port give the rows of Caffe (needs TORCH_PYTHON and the oracle)', async t => {
  const weights = join(folder, 'detectron2-zip.bin');
  const extractor = await createEmbeddedExtractor({
    weights,
    cacheDirectory: join(folder, 'models'),
  });
  const images = listOracleImages().filter(({ name }) => name === 'tiny64x48');
  let count = 0;
  for await (const result of extractor.extract(images.map(({ name, path }) => ({ imgId: name, path })))) {
    if (result.type !== 'row') throw new Error(result.reason);
    const { row } = result;
    const expected = readExpectedRow(row.img_id);
    t.deepEqual(row.objects_id, expected.objects_id);
    t.deepEqual(row.attrs_id, expected.attrs_id);
    t.true(measureDifference(row.boxes, expected.boxes) <= 1e-2);
    t.true(measureDifference(row.features, expected.features) <= 1e-3);
    count++;
  }
  t.is(count, images.length);
  await extractor.close();
});

test.serial('the canonical file is read back bit for bit', async t => {
  const weights = await openWeights(canonical);
  t.is(weights.layout, 'caffe');
  for (const blob of ['conv1/0', 'bn_conv1/2', 'attr_score/1', 'rpn_cls_score/0'])
    t.deepEqual(await weights.read(blob), makeFormulaBlob(blob));
  await weights.close();
});

test.serial('a file that is named after the 10-100-box detector is refused by that', async t => {
  for (const name of ['bua-caffe-frcn-r101-k10-100.pth', 'resnet101_faster_rcnn_final.caffemodel']) {
    writeFileSync(join(folder, name), 'x');
    await t.throwsAsync(openWeights(join(folder, name)), { message: /this is the 10-100-box detector/ });
  }
});

test.serial('missing, extra and mis-shaped tensors, and other networks, are named', async t => {
  const bytes = readFileSync(canonical);
  const length = Number(bytes.readBigUInt64LE());
  const write = (
    change: (header: Record<string, { shape?: number[]; data_offsets?: number[] }>) => void,
  ): string => {
    const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<string, { shape?: number[] }>;
    change(header);
    const text = Buffer.from(JSON.stringify(header));
    const head = Buffer.alloc(8);
    head.writeBigUInt64LE(BigInt(text.length));
    const path = join(folder, 'changed.safetensors');
    writeFileSync(path, Buffer.concat([head, text, bytes.subarray(8 + length)]));
    return path;
  };
  const cases: readonly (readonly [Parameters<typeof write>[0], RegExp])[] = [
    [header => delete header['attr_score/1'], /1 missing: attr_score\/1/],
    [header => (header['relation/0'] = header['conv1/0']!), /1 that it does not have: relation\/0/],
    [
      header => (header['cls_score/0']!.shape = [2048, 1601]),
      /cls_score\/0 has another shape[^]*\[1601, 2048\]/,
    ],
    [header => (header['heatmap_conv1/0'] = header['conv1/0']!), /weights of the 10-100-box detector/],
    [header => (header['RCNN_base.0.weight'] = header['conv1/0']!), /10-100-box detector without attributes/],
    [header => (header['conv1/0']!.data_offsets = [0, 1e12]), /beyond the end of the file/],
  ];
  for (const [change, message] of cases)
    await t.throwsAsync(openWeights(write(change)), { code: 'ERR_INPUT', message });
});
