import { crc32 } from 'node:zlib';
import test from 'ava';
import { decodeImage } from '../../../pipeline/detector/image/decode-image.ts';
import { makeNetworkInput, measureInput } from '../../../pipeline/detector/image/network-input.ts';
import { hasOracle, listOracleImages } from '../../helpers/oracle.ts';

/**
 * Made by OpenCV 4.6.0 and NumPy 1.24.2 (without Intel's IPP) from pixels (i * 2654435761 mod 2^32) >> 13: height, width,
 * height and width of the input, CRC-32 of its (3, h, w) float32 values.
 */
const OPENCV: readonly (readonly [number, number, number, number, string])[] = [
  [60, 80, 600, 800, '1cb66e11'],
  [375, 500, 600, 800, 'f5ec02d0'],
  [150, 90, 1000, 600, '6bf56683'],
  [480, 640, 600, 800, '0493ec2d'],
  [600, 1001, 599, 1000, 'bad61727'],
  [1200, 1600, 600, 800, 'fc548983'],
  [1201, 1603, 600, 801, '05cd7436'],
  [1200, 1601, 600, 800, 'df074995'],
  [1205, 1200, 602, 600, '6b423f14'],
  [17, 400, 42, 1000, '7d10c92b'],
  [1000, 667, 900, 600, '0f1b7727'],
  [2, 2, 600, 600, 'ddb7344d'],
  [1, 1000, 1, 1000, '8070e1a1'],
  [5, 8000, 1, 1000, 'f2c97a80'],
];

for (const [height, width, inputHeight, inputWidth, expected] of OPENCV) {
  test(`${width} x ${height} pixels become what OpenCV makes of them`, t => {
    const pixels = Uint8Array.from({ length: height * width * 3 }, (_, i) => Math.imul(i, 2654435761) >>> 13);
    const input = makeNetworkInput({ height, width, pixels });
    t.deepEqual([input.height, input.width], [inputHeight, inputWidth]);
    t.is(hashValues(input.data), expected);
  });
}

test('the long side decides where the short one would make it longer than 1000', t => {
  t.deepEqual(measureInput(600, 1000), { height: 600, width: 1000, scale: 1 });
  t.is(measureInput(480, 640).scale, 1.25);
  t.is(measureInput(333, 555).scale, 600 / 333);
  t.is(measureInput(333, 556).scale, 1000 / 556);
  // 600 / 1200 * 2001 is 1000.5, which rounds to the even 1000; 600 / 400 * 667 is 1000.5 as well.
  t.deepEqual(measureInput(1200, 2001), { height: 600, width: 1000, scale: 0.5 });
  t.deepEqual(measureInput(400, 667), { height: 600, width: 1000, scale: 1.5 });
  t.is(measureInput(1200, 2002).scale, 1000 / 2002);
});

const withOracle = hasOracle ? test : test.skip;
withOracle('the reference images become what the original made of them, bit for bit', async t => {
  for (const image of listOracleImages()) {
    const bitmap = await decodeImage(image.path);
    t.is(hashValues(bitmap.pixels), image.pixelsCrc32, image.name);
    const input = makeNetworkInput(bitmap);
    t.deepEqual([1, 3, input.height, input.width], image.inputShape, image.name);
    t.is(input.scale, image.scale, image.name);
    t.is(hashValues(input.data), image.inputCrc32, image.name);
  }
});

function hashValues(values: Uint8Array | Float32Array): string {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return crc32(bytes).toString(16).padStart(8, '0');
}
