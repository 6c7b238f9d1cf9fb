import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import anyTest, { type TestFn } from 'ava';
import { checkCaffemodel, openCaffemodel } from '../../../pipeline/detector/model/caffemodel.ts';
import { indexLayer, type BlobIndex } from '../../../pipeline/detector/model/caffemodel-layer.ts';
import { makeFormulaBlob } from '../../../pipeline/detector/model/formula-weights.ts';
import { listBlobs } from '../../../pipeline/detector/model/network.ts';
import { LxmertDataError } from '../../../pipeline/errors.ts';
import { encodeLayer, writeCaffemodel, type TestBlob } from '../../helpers/write-caffemodel.ts';

const test = anyTest as TestFn<{ folder: string; path: string }>;

test.beforeEach(t => {
  const folder = mkdtempSync(join(tmpdir(), 'caffemodel-'));
  t.context = { folder, path: join(folder, 'detector.caffemodel') };
});
test.afterEach.always(t => rmSync(t.context.folder, { recursive: true }));

test('50 MB of one byte end at once, by checking and by opening', async t => {
  const { path } = t.context;
  writeFileSync(path, Buffer.alloc(50e6, 0x08));
  const message = /this is not a caffemodel, or a damaged one[^]*more than 10000 fields that are not layers/;
  await t.throwsAsync(checkCaffemodel(path), { code: 'ERR_INPUT', message });
  await t.throwsAsync(openCaffemodel(path), { code: 'ERR_INPUT', message });
});

test('a folder and a FIFO are refused as weights', async t => {
  await t.throwsAsync(checkCaffemodel(t.context.folder), { code: 'ERR_INPUT', message: /got: {6}a folder/ });
  if (process.platform === 'win32') return;
  execFileSync('mkfifo', [t.context.path]);
  await t.throwsAsync(checkCaffemodel(t.context.path), { code: 'ERR_INPUT', message: /got: {6}a FIFO/ });
});

for (const legacy of [false, true]) {
  test.serial(`every blob of a ${legacy ? 'legacy' : 'present-day'} file is read bit for bit`, async t => {
    const { path } = t.context;
    writeCaffemodel(path, { legacy });
    const weights = await openCaffemodel(path);
    t.is(weights.id, createHash('sha256').update(readFileSync(path)).digest('hex'));
    for (const blob of listBlobs().keys()) {
      const values = await weights.read(blob);
      const same = Buffer.from(values.buffer).equals(Buffer.from(makeFormulaBlob(blob).buffer));
      if (!same) t.fail(blob);
    }
    await weights.close();
    await t.throwsAsync(weights.read('conv9/0'), { message: 'no blob conv9/0 in this network' });
  });
}

test.serial('a file that was cut off is refused', async t => {
  const { path } = t.context;
  writeCaffemodel(path);
  const cut = readFileSync(path).length - 1000;
  truncateSync(path, cut);
  const error = await fail(t.context.path);
  t.is(error.parts.what, 'the caffemodel is cut off or damaged');
  t.is(error.parts.got, `${cut} bytes`);
});

test.serial('missing blobs are named', async t => {
  const left = new Set(['attr_score/1', 'res4b7_branch2b/0']);
  writeCaffemodel(t.context.path, { change: (name, blob) => (left.has(name) ? undefined : blob) });
  const { parts } = await fail(t.context.path);
  t.is(parts.got, '2 missing: res4b7_branch2b/0, attr_score/1');
});

test.serial('a blob of another shape is named', async t => {
  const change = (name: string, blob: TestBlob): TestBlob =>
    name === 'cls_score/0' ? { shape: [81, 2048], values: new Float32Array(81 * 2048) } : blob;
  writeCaffemodel(t.context.path, { change });
  const { parts } = await fail(t.context.path);
  t.is(parts.what, "blob cls_score/0 has another shape than this detector's");
  t.is(parts.expected, '[1601, 2048], 3278848 values');
  t.is(parts.got, '[81, 2048], 165888 values');
});

test.serial('values that are not finite are refused when they are read', async t => {
  const change = (name: string, blob: TestBlob): TestBlob =>
    name === 'conv1/0' ? { ...blob, values: blob.values.fill(NaN, 7, 8) } : blob;
  writeCaffemodel(t.context.path, { change });
  const weights = await openCaffemodel(t.context.path);
  await t.throwsAsync(weights.read('conv1/0'), { message: /blob conv1\/0 holds values that are not finite/ });
  await weights.close();
});

const FOREIGN: readonly (readonly [string, string | Buffer, RegExp])[] = [
  ['a web page', '<!DOCTYPE html><html>Sign in</html>', /this is a web page, not a caffemodel/],
  ['an empty file', '', /got: {6}an empty file/],
  ['a zip', Buffer.from('PK\u0003\u0004\u0014\u0000\u0000\u0000', 'latin1'), /this is not a caffemodel/],
  ['text', 'model weights live elsewhere\n', /this is not a caffemodel/],
  ['zeros', Buffer.alloc(1000), /this is not a caffemodel/],
  ['layers of nothing', Buffer.from(encodeLayer('data', [])), /637 missing/],
];
for (const [name, content, message] of FOREIGN) {
  test.serial(`${name} is refused`, async t => {
    writeFileSync(t.context.path, content);
    t.regex((await fail(t.context.path)).message, message);
  });
}

test('a missing file is named', async t => {
  t.regex((await fail(t.context.path)).message, /the weights file does not exist/);
});

test('values may be unpacked or double, the last layer of a name counts', t => {
  const index: BlobIndex = new Map();
  const values = Float32Array.from([1, 2, 3]);
  for (const form of ['packed', 'unpacked', 'double'] as const) {
    const framed = encodeLayer('fc', [{ shape: [3], values, form }]);
    // Tag of field 100 (two bytes) and a length of one byte.
    indexLayer(index, { form: 'layer', bytes: framed.subarray(3), offset: 3, path: 'x' });
    const { shape, count, parts } = index.get('fc/0')!;
    t.deepEqual([shape, count], [[3], 3]);
    const view = new DataView(framed.buffer, framed.byteOffset);
    const read = parts.flatMap(part =>
      Array.from({ length: part.count }, (_, i) =>
        part.type === 'double'
          ? view.getFloat64(part.offset + 8 * i, true)
          : view.getFloat32(part.offset + 4 * i, true),
      ),
    );
    t.deepEqual(read, [1, 2, 3]);
  }
});

test('a damaged layer is named with its place', t => {
  const bytes = encodeLayer('fc', [{ shape: [3], values: new Float32Array(3) }]).subarray(3);
  t.throws(
    () => indexLayer(new Map(), { form: 'layer', bytes: bytes.subarray(0, -4), offset: 17, path: 'x' }),
    {
      instanceOf: LxmertDataError,
      message: /cannot read the layer "fc" at byte 17: the caffemodel is damaged/,
    },
  );
});

async function fail(path: string): Promise<LxmertDataError> {
  try {
    await openCaffemodel(path);
  } catch (error) {
    if (error instanceof LxmertDataError && error.code === 'ERR_INPUT') return error;
    throw error;
  }
  throw new Error('the file was taken');
}
