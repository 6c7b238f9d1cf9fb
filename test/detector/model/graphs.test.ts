import test from 'ava';
import '../../../pipeline/detector/no-telemetry.ts';
import * as ort from 'onnxruntime-node';
import { OnnxGraph } from '../../../pipeline/detector/model/onnx-model.ts';
import { seededRandom } from '../../../pipeline/rows/synthetic-row.ts';

const { fround } = Math;
const BINS = 14;

/** The pooling of regions as the facts about Caffe's layer state it, in float32. */
function poolRegion(map: Float32Array, height: number, width: number, roi: readonly number[]): number[] {
  const round = (value: number): number => Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
  const [x1, y1, x2, y2] = roi.map(value => round(value * 0.0625)) as [number, number, number, number];
  const spans = (start: number, end: number, limit: number): [number, number][] => {
    const bin = fround(Math.max(end - start + 1, 1) / BINS);
    const cut = (value: number): number => Math.min(Math.max(value + start, 0), limit);
    return Array.from({ length: BINS }, (_, p) => [
      cut(Math.floor(fround(p * bin))),
      cut(Math.ceil(fround((p + 1) * bin))),
    ]);
  };
  const pooled: number[] = [];
  for (const [top, bottom] of spans(y1, y2, height)) {
    for (const [left, right] of spans(x1, x2, width)) {
      let best = top < bottom && left < right ? -Infinity : 0;
      for (let y = top; y < bottom; y += 1) {
        for (let x = left; x < right; x += 1) best = Math.max(best, map[y * width + x]!);
      }
      pooled.push(best);
    }
  }
  return pooled;
}

test("onnxruntime's pooling of regions is Caffe's, rounding and empty bins included", async t => {
  const graph = new OnnxGraph('pooling');
  graph.input('map', 'float32', [1, 1, 'h', 'w']);
  graph.input('rois', 'float32', ['n', 5]);
  graph.add('MaxRoiPool', ['map', 'rois'], 'pooled', {
    pooled_shape: [BINS, BINS],
    spatial_scale: { float: 0.0625 },
  });
  graph.output('pooled', 'float32', ['n', 1, BINS, BINS]);
  const session = await ort.InferenceSession.create(graph.encode());
  const random = seededRandom(5);
  for (const [height, width] of [
    [38, 50],
    [10, 63],
    [63, 10],
    [38, 38],
  ] as const) {
    const map = Float32Array.from({ length: height * width }, () => random() - 0.5);
    const regions = Array.from({ length: 300 }, (_, i) => {
      // Every third lies on the borders where rounding turns.
      const snap = (value: number): number => (i % 3 === 0 ? Math.round(value / 8) * 8 : fround(value));
      const [x, y] = [random() * 16 * width, random() * 16 * height];
      return [x, y, x + random() * (16 * width - x), y + random() * (16 * height - y)].map(snap);
    });
    const { pooled } = await session.run({
      map: new ort.Tensor('float32', map, [1, 1, height, width]),
      rois: new ort.Tensor(
        'float32',
        regions.flatMap(region => [0, ...region]),
        [regions.length, 5],
      ),
    });
    const expected = Float32Array.from(regions.flatMap(region => poolRegion(map, height, width, region)));
    t.deepEqual(pooled!.data, expected, `${height} x ${width}`);
  }
  await session.release();
});

test('pooling of conv1 rounds its size up', async t => {
  const graph = new OnnxGraph('pool1');
  graph.input('map', 'float64', [1, 1, 'h', 'w']);
  graph.add('MaxPool', ['map'], 'pooled', {
    kernel_shape: [3, 3],
    strides: [2, 2],
    pads: [0, 0, 0, 0],
    ceil_mode: 1,
  });
  graph.output('pooled', 'float64', [1, 1, 'oh', 'ow']);
  const session = await ort.InferenceSession.create(graph.encode());
  for (const size of [2, 3, 4, 5, 6, 7, 75, 300, 499, 500]) {
    const map = Float64Array.from({ length: size }, (_, i) => i);
    const tall = new ort.Tensor(
      'float64',
      Float64Array.from({ length: 3 * size }, (_, i) => map[Math.floor(i / 3)]!),
      [1, 1, size, 3],
    );
    const { pooled } = await session.run({ map: tall });
    const count = Math.ceil((size - 3) / 2) + 1;
    t.deepEqual(pooled!.dims, [1, 1, count, 1]);
    t.deepEqual(
      [...(pooled!.data as Float64Array)],
      Array.from({ length: count }, (_, i) => Math.min(2 * i + 2, size - 1)),
    );
  }
  await session.release();
});
