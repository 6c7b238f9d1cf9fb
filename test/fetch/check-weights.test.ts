import { stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { digestFile } from '../../pipeline/files/digest.ts';
import { checkContent } from '../../pipeline/fetch/check-content.ts';
import type { Asset } from '../../pipeline/manifest/load.ts';
import { MirrorFault } from '../../pipeline/net/mirror-fault.ts';
import { encodeLayer, writeCaffemodel } from '../helpers/write-caffemodel.ts';
import { makeTemporaryFolder } from '../helpers/downloads.ts';
import { makeZip } from '../helpers/small-zip.ts';

type Format = 'torch' | 'caffe';

async function check(path: string, format: Format): Promise<void> {
  const asset = { kind: 'weights', format, target: 'w', sources: [] } as const satisfies Asset;
  await checkContent(path, asset, await digestFile(path));
}

async function testRight(t: ExecutionContext, format: Format, bytes: Uint8Array) {
  const path = join(await makeTemporaryFolder(t), 'w');
  await writeFile(path, bytes);
  await t.notThrowsAsync(check(path, format));
}

async function testWrong(t: ExecutionContext, format: Format, bytes: Uint8Array, message: RegExp) {
  const path = join(await makeTemporaryFolder(t), 'w');
  await writeFile(path, bytes);
  const fault = await t.throwsAsync(check(path, format), { instanceOf: MirrorFault });
  t.regex(fault.message, message);
}

/** What `torch.save` of PyTorch 1.0 wrote first: its magic number, then its version of the protocol. */
const LEGACY = Buffer.from('80028a0a6cfc9c46f9206aa850192e80024de9032e', 'hex');
const TORCH_ZIP = makeZip({ 'archive/data.pkl': 'x'.repeat(2000), 'archive/data/0': 'y'.repeat(3000) }, 0);

test('PyTorch: a zip', testRight, 'torch', TORCH_ZIP);
test('PyTorch: pickles', testRight, 'torch', LEGACY);
test(
  'PyTorch: pickles of protocol 4',
  testRight,
  'torch',
  Buffer.from('8004950e000000000000008a0a6cfc9c46f9206aa850192e', 'hex'),
);
test(
  'PyTorch: a cut zip',
  testWrong,
  'torch',
  TORCH_ZIP.subarray(0, 4000),
  /directory of this zip archive cannot be read/,
);
test(
  'PyTorch: a zip of other things',
  testWrong,
  'torch',
  makeZip({ 'a/b.tsv': 'x' }),
  /no data\.pkl, but a\/b\.tsv/,
);
test(
  'PyTorch: another pickle',
  testWrong,
  'torch',
  Buffer.from('80027d710028580100000061', 'hex'),
  /instead of PyTorch weights/,
);
test('PyTorch: a page', testWrong, 'torch', Buffer.from('<!DOCTYPE html><html>'), /a web page comes instead/);

const LAYER = encodeLayer('conv1', [{ shape: [64, 3, 7, 7], values: new Float32Array(64 * 3 * 49) }]);
test(
  'Caffe: a layer cut off',
  testWrong,
  'caffe',
  Buffer.concat([LAYER, LAYER.subarray(0, 5000)]),
  /cut off or damaged.*fetch the file again/,
);
test('Caffe: another network', testWrong, 'caffe', LAYER, /lacks weights that this detector needs.*missing/);
test(
  'Caffe: bytes that only begin like one',
  testWrong,
  'caffe',
  Buffer.from('\n\u0005hello\u0007\u0007\u0007\u0007'),
  /not a caffemodel/,
);
test(
  'Caffe: a blob of another shape',
  testWrong,
  'caffe',
  encodeLayer('conv1', [{ shape: [2, 2], values: new Float32Array(4) }]),
  /lacks weights|another shape/,
);

test('Caffe: the whole network, then without its last bytes', async t => {
  const path = join(await makeTemporaryFolder(t), 'w');
  writeCaffemodel(path);
  await t.notThrowsAsync(check(path, 'caffe'));
  await truncate(path, (await stat(path)).size - 1);
  await t.throwsAsync(check(path, 'caffe'), { instanceOf: MirrorFault, message: /cut off or damaged/ });
});
