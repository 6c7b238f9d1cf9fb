/**
 * Speed of the embedded detector beside what onnxruntime gets out of the same processor for one large matrix product.
 *
 *   npm run bench -- embedded [images] [rois] [batch]
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import '../pipeline/detector/no-telemetry.ts';
import * as ort from 'onnxruntime-node';
import sharp from 'sharp';
import { createEmbeddedExtractor, type ExtractorImage } from '../pipeline/extraction/embedded/extractor.ts';
import { OnnxGraph } from '../pipeline/detector/model/onnx-model.ts';
import { seededRandom } from '../pipeline/rows/synthetic-row.ts';
import { countOperations } from './count-operations.ts';

const [count = 5, rois = 300, batch] = process.argv.slice(2, 5).map(Number) as [number?, number?, number?];
const HEIGHT = 480;
const WIDTH = 640;

const folder = await mkdtemp(join(tmpdir(), 'bench-'));
try {
  const before = await measureProduct();
  const extractor = await createEmbeddedExtractor({
    weights: 'untrained',
    cacheDirectory: folder,
    rois,
    batch: batch === undefined || Number.isNaN(batch) ? undefined : batch,
  });
  const images = await paintImages(count + 1);
  const ends: number[] = [];
  for await (const result of extractor.extract(images)) {
    if (result.type === 'failure') throw new Error(result.reason);
    ends.push(performance.now());
  }
  await extractor.close();
  const after = await measureProduct();

  // The first image also waits for the threads to start and for nothing before it.
  const seconds = ends.slice(1).map((end, index) => (end - ends[index]!) / 1000);
  const mean = (ends.at(-1)! - ends[0]!) / 1000 / count;
  const operations = countOperations(600, 800, rois);
  const product = Math.max(before, after);
  const best = Math.min(...seconds);
  const share = (duration: number): string =>
    `${(operations / duration / 1e9).toFixed(0)} (${((100 * operations) / duration / product).toFixed(0)} %)`;
  print(
    'one matrix product, GFLOP/s',
    `${(before / 1e9).toFixed(0)} before, ${(after / 1e9).toFixed(0)} after`,
  );
  print('seconds an image', `${mean.toFixed(2)} mean, ${best.toFixed(2)} best of ${count}`);
  print('operations an image, TFLOP', (operations / 1e12).toFixed(2));
  print('detector, GFLOP/s (share)', `${share(mean)} mean, ${share(best)} best`);
  print('peak memory, MB', (process.resourceUsage().maxRSS / 1000).toFixed(0));
} finally {
  await rm(folder, { recursive: true });
}

/** Operations a second of 2048 x 4096 by 4096 x 2048, the best of a few, weights packed beforehand as in the detector. */
async function measureProduct(): Promise<number> {
  const [rows, inner, columns] = [2048, 4096, 2048];
  const graph = new OnnxGraph('product');
  graph.input('a', 'float32', [rows, inner]);
  graph.input('b', 'float32', [inner, columns]);
  graph.add('MatMul', ['a', 'b'], 'c');
  graph.output('c', 'float32', [rows, columns]);
  const session = await ort.InferenceSession.create(graph.encode(), { executionProviders: ['cpu'] });
  const random = seededRandom(1);
  const fill = (dims: readonly number[]): ort.Tensor =>
    new ort.Tensor(
      'float32',
      Float32Array.from({ length: dims[0]! * dims[1]! }, () => random() - 0.5),
      dims,
    );
  const feeds = { a: fill([rows, inner]), b: fill([inner, columns]) };
  let best = Infinity;
  for (let run = 0; run < 12; run += 1) {
    const start = performance.now();
    await session.run(feeds);
    best = Math.min(best, performance.now() - start);
  }
  await session.release();
  return (2 * rows * inner * columns) / (best / 1000);
}

async function paintImages(length: number): Promise<ExtractorImage[]> {
  const images: ExtractorImage[] = [];
  for (let index = 0; index < length; index += 1) {
    const random = seededRandom(index);
    const blocks = Buffer.from(Array.from({ length: 12 * 16 * 3 }, () => random() * 256));
    const path = join(folder, `${index}.jpg`);
    await sharp(blocks, { raw: { height: 12, width: 16, channels: 3 } })
      .resize(WIDTH, HEIGHT)
      .jpeg()
      .toFile(path);
    images.push({ imgId: String(index), path });
  }
  return images;
}

function print(name: string, value: string): void {
  process.stdout.write(`${name.padEnd(30)} ${value}\n`);
}
