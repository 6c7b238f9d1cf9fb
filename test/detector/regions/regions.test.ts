import test from 'ava';
import {
  measureAreas,
  measureOverlap,
  suppressOverlaps,
} from '../../../pipeline/detector/regions/box-overlap.ts';
import {
  chooseRegions,
  findBestClasses,
  rateRegions,
  scaleRegions,
} from '../../../pipeline/detector/regions/choose-boxes.ts';
import {
  BASE_ANCHORS,
  decodeProposals,
  proposeRegions,
} from '../../../pipeline/detector/regions/propose-regions.ts';
import { hasOracle, listOracleImages, measureDifference, readIntermediates } from '../../helpers/oracle.ts';

test('anchors follow from ratios and scales', t => {
  const anchors: number[][] = [];
  for (const ratio of [0.5, 1, 2]) {
    const width = Math.round(Math.sqrt(256 / ratio));
    const height = Math.round(width * ratio);
    for (const scale of [4, 8, 16, 32]) {
      const [w, h] = [width * scale, height * scale];
      anchors.push([7.5 - (w - 1) / 2, 7.5 - (h - 1) / 2, 7.5 + (w - 1) / 2, 7.5 + (h - 1) / 2]);
    }
  }
  t.deepEqual(BASE_ANCHORS, anchors);
});

test('overlap counts both ends of a box and is rounded to float32', t => {
  const boxes = Float32Array.from([0, 0, 9, 9, 0, 0, 9, 9, 5, 0, 14, 9, 10, 0, 19, 9, 100, 100, 120, 120]);
  const areas = measureAreas(boxes);
  t.deepEqual([...areas], [100, 100, 100, 100, 441]);
  t.is(measureOverlap(boxes, areas, 0, 1), 1);
  t.is(measureOverlap(boxes, areas, 0, 2), Math.fround(50 / 150));
  t.is(measureOverlap(boxes, areas, 0, 3), 0);
  t.is(measureOverlap(boxes, areas, 0, 4), 0);
});

test('an overlap of exactly the threshold suppresses, compared in double', t => {
  // 10 x 10 and 10 x 5 inside it: 0.5 exactly.
  const boxes = Float32Array.from([0, 0, 9, 9, 0, 0, 9, 4]);
  const scores = Float32Array.from([0.9, 0.8]);
  t.deepEqual(suppressOverlaps(boxes, scores, 0.5, 10), [0]);
  t.deepEqual(suppressOverlaps(boxes, scores, 0.5000001, 10), [0, 1]);
  // 0.7 in float32 is below 0.7 in double.
  const seven = Float32Array.from([0, 0, 9, 9, 0, 0, 9, 6]);
  t.deepEqual(suppressOverlaps(seven, scores, 0.7, 10), [0, 1]);
});

test('suppression stops at the limit and passes over what is suppressed', t => {
  const boxes = Float32Array.from([0, 0, 9, 9, 1, 0, 10, 9, 40, 40, 49, 49, 80, 80, 89, 89]);
  const scores = Float32Array.from([0.5, 0.9, 0.7, 0.1]);
  t.deepEqual(suppressOverlaps(boxes, scores, 0.3, 300), [1, 2, 3]);
  t.deepEqual(suppressOverlaps(boxes, scores, 0.3, 2), [1, 2]);
});

const FLAT = {
  mapHeight: 3,
  mapWidth: 4,
  deltas: new Float32Array(48 * 12),
  probabilities: new Float32Array(24 * 12),
};

test('proposals without a shift are anchors, cell by cell, clipped to the input', t => {
  // The original adds one to width and height on the way in and does not take it off again.
  const { boxes } = decodeProposals(FLAT, { height: 48, width: 64, scale: 1 });
  t.deepEqual([...boxes.subarray(0, 4)], [0, 0, 54, 32]);
  t.deepEqual([...boxes.subarray(12 * 4, 12 * 4 + 4)], [0, 0, 63, 32]);
  t.true(boxes.every((value, i) => value >= 0 && value <= (i % 2 === 0 ? 63 : 47)));
});

test('proposals smaller than 16 pixels of the image are left out', t => {
  const input = { height: 48, width: 64 };
  t.is(decodeProposals(FLAT, { ...input, scale: 3 }).scores.length > 0, true);
  t.is(decodeProposals(FLAT, { ...input, scale: 3.01 }).scores.length, 0);
  t.is(proposeRegions(FLAT, { ...input, scale: 3.01 }, 300).length, 0);
});

test('boxes are divided by the scale in float32', t => {
  const rois = Float32Array.from([0, 10, 20, 799, 599]);
  const scale = Math.fround(1.6);
  t.deepEqual(
    [...scaleRegions(rois, 1.6)],
    [10, 20, 799, 599].map(v => Math.fround(v / scale)),
  );
});

test('36 regions above the threshold stay in the order of the regions', t => {
  const confidences = Float64Array.from({ length: 100 }, (_, i) =>
    i % 2 === 0 && i < 72 ? 0.2 + i / 1000 : 0.1,
  );
  t.deepEqual(
    [...chooseRegions(confidences)],
    Array.from({ length: 36 }, (_, i) => 2 * i),
  );
});

test('more or fewer than 36 are sorted, best first', t => {
  const more = Float64Array.from({ length: 100 }, (_, i) => 0.3 + i / 1000);
  t.deepEqual(
    [...chooseRegions(more)],
    Array.from({ length: 36 }, (_, i) => 99 - i),
  );
  const fewer = Float64Array.from({ length: 50 }, (_, i) => i / 1000);
  t.deepEqual(
    [...chooseRegions(fewer)],
    Array.from({ length: 36 }, (_, i) => 49 - i),
  );
});

test('a confidence counts from 0.2 on, compared in double', t => {
  // 0.2 in float32 is above 0.2 in double, so 36 of these count.
  const at = Float64Array.from({ length: 40 }, (_, i) => (i < 36 ? Math.fround(0.2) : 0.1999999));
  t.deepEqual(
    [...chooseRegions(at)],
    Array.from({ length: 36 }, (_, i) => i),
  );
});

test('a region is rated by the classes in which it survives', t => {
  const boxes = Float32Array.from([0, 0, 9, 9, 0, 0, 9, 8, 50, 50, 59, 59]);
  const scores = new Float32Array(3 * 1601);
  scores.set([0.99, 0.5, 0.1], 0);
  scores.set([0.99, 0.4, 0.3], 1601);
  scores.set([0.99, 0, 0.05], 2 * 1601);
  // Class 1 keeps region 0 and suppresses 1, class 2 the other way round; the background does not count.
  t.deepEqual([...rateRegions(boxes, scores)], [0.5, 0.3, 0.05].map(Math.fround));
});

test('the best class leaves out the first and takes the first of equals', t => {
  const best = findBestClasses(
    Float32Array.from([0.9, 0.2, 0.5, 0.5, 0.8, 0.1, 0.1, 0]),
    Int32Array.of(1, 0),
    4,
  );
  t.deepEqual([...best.ids], [0, 1]);
  t.deepEqual([...best.confidences], [0.1, 0.5].map(Math.fround));
});

const withOracle = hasOracle ? test : test.skip;

withOracle('from the original scores come the original proposals', t => {
  for (const { name, inputShape, scale } of listOracleImages()) {
    const caffe = readIntermediates(name);
    const { shape, values: probabilities } = caffe('rpn_cls_prob');
    const scores = {
      probabilities: Float32Array.from(probabilities),
      deltas: Float32Array.from(caffe('rpn_bbox_pred').values),
      mapHeight: shape[2]!,
      mapWidth: shape[3]!,
    };
    const rois = proposeRegions(scores, { height: inputShape[2]!, width: inputShape[3]!, scale }, 300);
    // NumPy's exp and ours differ in the last bit; nothing changes places.
    t.true(measureDifference(rois, caffe('rois').values) < 2e-4, name);
  }
});

withOracle('from the original regions and confidences come the original boxes and choice', t => {
  for (const { name, scale } of listOracleImages()) {
    const caffe = readIntermediates(name);
    const boxes = scaleRegions(Float32Array.from(caffe('rois').values), scale);
    t.is(measureDifference(boxes, caffe('boxes').values), 0, name);
    t.deepEqual(
      [...chooseRegions(Float64Array.from(caffe('max_conf').values))],
      [...caffe('keep_boxes').values],
      name,
    );
  }
});
