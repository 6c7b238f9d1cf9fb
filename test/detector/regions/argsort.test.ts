import test from 'ava';
import { argsortDescending } from '../../../pipeline/detector/regions/argsort.ts';

// Orders given by NumPy 1.24.2: values.argsort()[::-1].

test('equal values keep the order that short runs have in NumPy', t => {
  const order = [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0];
  t.deepEqual([...argsortDescending(new Float32Array(16))], order);
});

test('equal values are moved as NumPy moves them in longer runs', t => {
  const order = [16, 7, 1, 2, 3, 4, 5, 6, 8, 15, 9, 10, 11, 12, 13, 14, 0];
  t.deepEqual([...argsortDescending(new Float32Array(17))], order);
});

test('a few values many times', t => {
  const values = Float32Array.from({ length: 40 }, (_, i) => (i * 7) % 5);
  t.deepEqual(
    [...argsortDescending(values)],
    [
      37, 2, 7, 32, 12, 17, 22, 27, 39, 24, 4, 9, 14, 19, 29, 34, 31, 11, 26, 16, 36, 1, 21, 6, 18, 38, 3, 13,
      28, 33, 8, 23, 5, 35, 25, 10, 30, 15, 20, 0,
    ],
  );
});

test('different values come in decreasing order, however they lie', t => {
  for (const make of [
    (i: number) => i,
    (i: number) => -i,
    (i: number) => Math.sin(i),
    (i: number) => -Math.abs(i - 3000),
  ]) {
    const values = Float64Array.from({ length: 6001 }, (_, i) => make(i));
    const sorted = Array.from(argsortDescending(values), index => values[index]);
    t.deepEqual(
      sorted,
      [...values].sort((a, b) => b - a),
    );
  }
});

test('nothing to sort', t => {
  t.is(argsortDescending(new Float32Array(0)).length, 0);
});
