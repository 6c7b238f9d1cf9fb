import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import anyTest, { type TestFn } from 'ava';
import sharp from 'sharp';
import type {
  EmbeddedExtractorOptions,
  ExtractorEvent,
  ExtractorResult,
} from '../../../pipeline/extraction/embedded/extractor.ts';
import { EXTRACTOR_EXIT } from '../../../pipeline/extraction/contract.ts';
import { startExtractorProcess } from '../../../pipeline/extraction/process.ts';
import { createEmbeddedExtractor } from '../../../pipeline/extraction/embedded/extractor.ts';
import { seededRandom } from '../../../pipeline/rows/synthetic-row.ts';
import { ROOT } from '../../helpers/cli.ts';
import { hasOracle, listOracleImages, measureDifference, readExpectedRow } from '../../helpers/oracle.ts';
import { writeCaffemodel } from '../../helpers/write-caffemodel.ts';

const test = anyTest as TestFn<{ folder: string; cacheDirectory: string }>;
test.before(t => {
  const folder = mkdtempSync(join(tmpdir(), 'extractor-'));
  t.context = { folder, cacheDirectory: join(folder, 'models') };
});
test.after.always(t => rmSync(t.context.folder, { recursive: true }));

async function extractAll(
  options: EmbeddedExtractorOptions,
  images: readonly { imgId: string; path: string }[],
  emit?: (event: ExtractorEvent) => void,
): Promise<ExtractorResult[]> {
  const extractor = await createEmbeddedExtractor(options);
  try {
    return await Array.fromAsync(extractor.extract(images, emit));
  } finally {
    await extractor.close();
  }
}

/** Noise in blocks, so that there is something to see. */
async function paint(path: string, height: number, width: number): Promise<string> {
  const random = seededRandom(height * width);
  const blocks = Buffer.from(Array.from({ length: 12 * 16 * 3 }, () => random() * 256));
  const image = sharp(blocks, { raw: { height: 12, width: 16, channels: 3 } });
  await image.resize(width, height, { fit: 'fill', kernel: 'nearest' }).png().toFile(path);
  return path;
}

const withOracle = hasOracle ? test.serial : test.skip;
withOracle('rows are those that Caffe made', async t => {
  const { cacheDirectory } = t.context;
  const images = listOracleImages().filter(({ name }) => ['tiny64x48', '004545'].includes(name));
  const wanted = images.map(({ name, path }) => ({ imgId: name, path }));
  const results = await extractAll({ weights: 'untrained', cacheDirectory }, wanted);
  t.is(results.length, 2);
  for (const [index, result] of results.entries()) {
    if (result.type !== 'row') throw new Error(result.reason);
    const { row } = result;
    t.is(row.img_id, images[index]!.name);
    const expected = readExpectedRow(row.img_id);
    t.deepEqual(row.objects_id, expected.objects_id);
    t.deepEqual(row.attrs_id, expected.attrs_id);
    t.true(measureDifference(row.boxes, expected.boxes) <= 1e-2);
    t.true(measureDifference(row.objects_conf, expected.objects_conf) <= 1e-4);
    t.true(measureDifference(row.attrs_conf, expected.attrs_conf) <= 1e-4);
    t.true(measureDifference(row.features, expected.features) <= 1e-3);
  }
});

test.serial('images come in order, those that fail with their reason, and the rest goes on', async t => {
  const { folder, cacheDirectory } = t.context;
  const broken = join(folder, 'broken.jpg');
  writeFileSync(broken, 'not a picture');
  const images = [
    { imgId: 'broken', path: broken },
    { imgId: 'wide', path: await paint(join(folder, 'wide.png'), 90, 200) },
    { imgId: 'flat', path: await paint(join(folder, 'flat.png'), 9, 900) },
    { imgId: 'line', path: await paint(join(folder, 'line.png'), 1, 2000) },
    { imgId: 'missing', path: join(folder, 'missing.jpg') },
    { imgId: 'tall', path: await paint(join(folder, 'tall.png'), 200, 60) },
  ];
  const events: string[] = [];
  const options = {
    weights: 'untrained',
    cacheDirectory,
    device: 'cpu',
    rois: 36,
    threads: 2,
    batch: 7,
  } as const;
  const results = await extractAll(options, images, ({ imgId, event }) => events.push(`${imgId} ${event}`));
  t.deepEqual(
    results.map(result => (result.type === 'row' ? result.row.img_id : `${result.imgId}: ${result.reason}`)),
    [
      'broken: this is not an image of a format that is read: a file of an unknown format (first bytes 6e 6f 74 20 61 20 70 69)',
      'wide',
      'flat: the image is too narrow for the network, which needs sides of at least 16 pixels: 900 x 9 pixels',
      'line: the image is too narrow for the network, which needs sides of at least 16 pixels: 2000 x 1 pixels',
      `missing: cannot read the image: ENOENT: no such file or directory, open '${join(folder, 'missing.jpg')}'`,
      'tall',
    ],
  );
  t.deepEqual(
    results.map(({ path }) => path),
    images.map(({ path }) => path),
  );
  for (const imgId of ['wide', 'tall']) {
    const steps = events.filter(event => event.startsWith(imgId));
    t.deepEqual(
      steps,
      ['prepared', 'proposed', 'classified', 'chosen'].map(step => `${imgId} ${step}`),
    );
  }
  const [, wide] = results;
  if (wide?.type !== 'row') throw new Error('no row');
  t.deepEqual([wide.row.img_h, wide.row.img_w], [90, 200]);
  t.deepEqual(
    [wide.row.boxes.length, wide.row.features.length, wide.row.objects_id.length],
    [36 * 4, 36 * 2048, 36],
  );
  // Boxes end where the clipping of the network's input puts them: (1000 - 1) / 5.
  t.true(Math.max(...wide.row.boxes) <= Math.fround(999 / 5));
  t.true(wide.row.features.every(value => value >= 0));
});

test.serial('groups of another size give the same row', async t => {
  const { folder, cacheDirectory } = t.context;
  const images = [{ imgId: 'same', path: await paint(join(folder, 'same.png'), 60, 150) }];
  const rows = [];
  for (const batch of [36, 11]) {
    const options = { weights: 'untrained', cacheDirectory, device: 'cpu', rois: 36, batch } as const;
    const [result] = await extractAll(options, images);
    if (result?.type !== 'row') throw new Error('no row');
    rows.push(result.row);
  }
  t.deepEqual(rows[0]!.objects_id, rows[1]!.objects_id);
  t.true(measureDifference(rows[0]!.features, rows[1]!.features) < 1e-5);
});

test.serial('a caffemodel of the formula gives the rows of the formula, under its own name', async t => {
  const { folder, cacheDirectory } = t.context;
  const weights = join(folder, 'formula.caffemodel');
  writeCaffemodel(weights, { legacy: true });
  const image = { imgId: 'a', path: await paint(join(folder, 'a.png'), 60, 150) };
  const settings = { cacheDirectory, device: 'cpu', rois: 36 } as const;
  const named = await createEmbeddedExtractor({ ...settings, weights });
  const [fromFile] = await Array.fromAsync(named.extract([image]));
  await named.close();
  const [fromFormula] = await extractAll({ ...settings, weights: 'untrained' }, [image]);
  t.deepEqual(fromFile, fromFormula);
  t.regex(named.detector.weights, /^[0-9a-f]{64}$/);
  t.is(named.detector.rois, 36);
});

test.serial('an extractor that is closed early ends', async t => {
  const { folder, cacheDirectory } = t.context;
  const path = await paint(join(folder, 'early.png'), 60, 150);
  const extractor = await createEmbeddedExtractor({ weights: 'untrained', cacheDirectory, rois: 36 });
  const taken: string[] = [];
  function* endless(): Generator<{ imgId: string; path: string }> {
    for (let i = 0; ; i += 1) {
      taken.push(String(i));
      yield { imgId: String(i), path };
    }
  }
  for await (const result of extractor.extract(endless())) {
    t.is(result.type, 'row');
    break;
  }
  await extractor.close();
  await extractor.close();
  t.true(taken.length <= 12, `${taken.length} images were taken`);
});

test.serial('an extractor that is closed in the middle of an image ends', async t => {
  const { folder, cacheDirectory } = t.context;
  const path = await paint(join(folder, 'middle.png'), 480, 640);
  const extractor = await createEmbeddedExtractor({ weights: 'untrained', cacheDirectory });
  let closed: Promise<void> | undefined;
  const closeInHead = ({ event }: ExtractorEvent): void => {
    if (event !== 'proposed') return;
    setTimeout(() => {
      closed = extractor.close();
    }, 300);
  };
  const run = Array.fromAsync(extractor.extract([{ imgId: 'middle', path }], closeInHead));
  await t.throwsAsync(run, { code: 'ERR_INTERRUPTED' });
  await closed;
  t.truthy(closed);
});

test.serial('a process that exits in the middle of an image exits with its own code', async t => {
  const { folder, cacheDirectory } = t.context;
  const path = await paint(join(folder, 'exit.png'), 480, 640);
  const script = join(folder, 'exit.ts');
  const module = join(import.meta.dirname, '../../../pipeline/extraction/embedded/extractor.ts');
  writeFileSync(
    script,
    `import { createEmbeddedExtractor } from ${JSON.stringify(module)};
    const extractor = await createEmbeddedExtractor(${JSON.stringify({ weights: 'untrained', cacheDirectory })});
    const exitInHead = ({ event }: { event: string }) => {
      if (event === 'proposed') setTimeout(() => process.exit(7), 200);
    };
    await Array.fromAsync(extractor.extract([{ imgId: 'exit', path: ${JSON.stringify(path)} }], exitInHead));`,
  );
  const { status, signal, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
  t.deepEqual({ status, signal, stderr }, { status: 7, signal: null, stderr: '' });
});

test('options out of range are refused', async t => {
  const { cacheDirectory } = t.context;
  for (const options of [{ rois: 35 }, { rois: 301 }, { batch: 0 }, { threads: 1.5 }]) {
    await t.throwsAsync(createEmbeddedExtractor({ weights: 'untrained', cacheDirectory, ...options }), {
      code: 'ERR_USAGE',
      message: new RegExp(`--${Object.keys(options)[0]!} is out of range`),
    });
  }
});

test('a device other than the CPU is refused with the exit code of devices', async t => {
  const program = join(ROOT, 'pipeline/extraction/embedded/program.ts');
  const running = startExtractorProcess(process.execPath, [program, '--device=cuda'], () => undefined);
  running.finish();
  const end = await running.ended;
  t.is(end.code, EXTRACTOR_EXIT.device);
  t.regex(end.stderrTail, /runs on the CPU only, not on "cuda"/);
});
