import { crc32 } from 'node:zlib';
import test from 'ava';
import { makeFormulaBlob } from '../../../pipeline/detector/model/formula-weights.ts';
import { listBlobs } from '../../../pipeline/detector/model/network.ts';
import { hasOracle, readOracle } from '../../helpers/oracle.ts';

test('rows of a convolution have mean zero', t => {
  const values = makeFormulaBlob('conv1/0');
  t.is(values.length, 64 * 147);
  for (let row = 0; row < 64; row += 1) {
    const sum = values.subarray(row * 147, (row + 1) * 147).reduce((total, value) => total + value, 0);
    t.true(Math.abs(sum) < 1e-6);
  }
});

test('a blob that the network does not have is refused', t => {
  t.throws(() => makeFormulaBlob('conv9/0'), { message: 'no blob conv9/0 in this network' });
});

const withOracle = hasOracle ? test : test.skip;
withOracle('all 639 blobs have the reference checksums and shapes', t => {
  const checksums = readOracle('weight_checksums.json') as Record<string, { shape: number[]; crc32: string }>;
  t.is(Object.keys(checksums).length, 639);
  const blobs = listBlobs();
  t.is(blobs.size, 637);
  const wrong: string[] = [];
  for (const [blob, { shape, crc32: expected }] of Object.entries(checksums)) {
    const values = makeFormulaBlob(blob);
    const checksum = crc32(new Uint8Array(values.buffer)).toString(16).padStart(8, '0');
    const known = blobs.get(blob);
    if (checksum !== expected || (known !== undefined && known.join() !== shape.join())) wrong.push(blob);
  }
  t.deepEqual(wrong, []);
});
