import { spawnSync } from 'node:child_process';
import { chown, mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext, type Implementation } from 'ava';
import type { ExtractorEvent, ImageBatch } from '../../../pipeline/extraction/contract.ts';
import { startEmbeddedExtractor } from '../../../pipeline/extraction/embedded/start.ts';
import {
  type ExtractorEnd,
  startExtractorProcess,
  type StartExtractor,
} from '../../../pipeline/extraction/process.ts';
import { ROOT, startProgram } from '../../helpers/cli.ts';
import { paint } from '../../helpers/paint.ts';
import { makeTempFolder } from '../../helpers/temp.ts';
import { hasLinuxEngine } from '../../helpers/tools.ts';

/* The image of docker/embedded, built and run by a real engine. */

const TAG = 'lxmert-data-embedded:test';
/** Someone without a name on this machine or in the image, where we may give files away. */
const [UID, GID] = process.getuid?.() === 0 ? [12_345, 23_456] : [process.getuid?.(), process.getgid?.()];

const hasEngine = hasLinuxEngine();

function testWithEngine(title: string, body: Implementation<[]>): void {
  if (hasEngine) test.serial(title, body);
  else test.skip(`${title} (needs a Docker engine for Linux on this machine)`, body);
}

/** Builds the CPU variant and gives its id; the engine keeps what has not changed. */
async function buildImage(): Promise<string> {
  const words = [
    'build',
    '--quiet',
    '--network=host',
    '--file=docker/embedded/Dockerfile',
    `--tag=${TAG}`,
    '.',
  ];
  const { code, stdout, stderr } = await startProgram('docker', words, { cwd: ROOT }).result;
  if (code !== 0) throw new Error(`docker build failed: ${(stdout + stderr).slice(-2000)}`);
  return stdout.trim();
}

async function makePlace(t: ExecutionContext) {
  const folder = await makeTempFolder(t);
  const place = {
    folder,
    images: join(folder, 'images'),
    rows: join(folder, 'rows'),
    weights: join(folder, 'weights'),
    cache: join(folder, 'cache'),
  };
  const { images, rows, weights, cache } = place;
  for (const path of [images, rows, weights, cache]) await mkdir(path);
  for (const path of [rows, cache]) await chown(path, UID!, GID!);
  return place;
}

type Place = Awaited<ReturnType<typeof makePlace>>;

/** As little as a container can have. */
function startContainer(
  t: ExecutionContext,
  image: string,
  place: Place,
  words: readonly string[],
): StartExtractor {
  const name = `lxmert-data-test-${process.pid}-${Math.trunc(performance.now())}`;
  t.teardown(() => void spawnSync('docker', ['rm', '--force', name], { stdio: 'ignore' }));
  const limits = ['--network=none', '--cap-drop=ALL', '--security-opt=no-new-privileges', '--read-only'];
  const mounts = [
    `--volume=${place.images}:/images:ro`,
    `--volume=${place.rows}:/rows`,
    `--volume=${place.weights}:/weights:ro`,
    `--volume=${place.cache}:/cache`,
  ];
  const run = [
    'run',
    '--interactive',
    '--rm',
    `--name=${name}`,
    `--user=${UID}:${GID}`,
    ...limits,
    ...mounts,
  ];
  return onEvent => startExtractorProcess('docker', [...run, image, ...words], onEvent);
}

async function runBatch(
  start: StartExtractor,
  batch: ImageBatch,
): Promise<{ events: readonly ExtractorEvent[]; end: ExtractorEnd }> {
  const events: ExtractorEvent[] = [];
  const running = start(event => {
    // For people only, and optional.
    if (event.event !== 'progress') events.push(event);
  });
  running.send(batch);
  running.finish();
  return { end: await running.ended, events };
}

testWithEngine('the image makes the rows that the program makes without Docker, byte for byte', async t => {
  const image = await buildImage();
  const place = await makePlace(t);
  await paint(join(place.images, 'wide.png'), 160, 120);
  await paint(join(place.images, 'tall.png'), 90, 200);
  const lot = (rows: string, images: string): ImageBatch => ({
    lot: 7,
    rows: join(rows, 'rows-000007.tsv'),
    images: ['wide', 'missing', 'tall'].map(name => ({
      img_id: `id-${name}`,
      path: join(images, `${name}.png`),
    })),
  });

  const inside = await runBatch(startContainer(t, image, place, ['--rois=36']), lot('/rows', '/images'));
  t.deepEqual(inside.end, { code: 0, signal: null, stderrTail: '' });
  const path = join(place.rows, 'rows-000007.tsv');
  const rows = await readFile(path);
  const secondRow = rows.indexOf('\r\n') + 2;
  t.deepEqual(inside.events, [
    {
      event: 'ready',
      detector: { name: 'bottom-up-attention (embedded)', weights: 'untrained', rois: 36 },
      device: 'cpu',
    },
    { event: 'row', lot: 7, img_id: 'id-wide', bytes: secondRow },
    {
      event: 'failed',
      lot: 7,
      img_id: 'id-missing',
      reason: "cannot read the image: ENOENT: no such file or directory, open '/images/missing.png'",
    },
    { event: 'row', lot: 7, img_id: 'id-tall', bytes: rows.length - secondRow },
    { event: 'lot', lot: 7 },
  ]);
  const { uid, gid } = await stat(path);
  t.deepEqual([uid, gid], [UID, GID]);

  const cacheDirectory = join(place.folder, 'cache-here');
  const here = startEmbeddedExtractor({ weights: 'untrained', cacheDirectory, rois: 36 });
  const outside = await runBatch(here, lot(place.folder, place.images));
  t.is(outside.end.code, 0, outside.end.stderrTail);
  t.true(rows.equals(await readFile(join(place.folder, 'rows-000007.tsv'))));
});

testWithEngine('the image says with its exit code that the weights cannot be used', async t => {
  const place = await makePlace(t);
  const words = ['--weights=/weights/missing.caffemodel'];
  const { end, events } = await runBatch(startContainer(t, await buildImage(), place, words), {
    lot: 0,
    rows: '/rows/rows-000000.tsv',
    images: [],
  });
  t.is(end.code, 3);
  t.regex(end.stderrTail, /\/weights\/missing\.caffemodel/);
  t.deepEqual(events, []);
});

testWithEngine(
  'the image holds what the extractor needs and nothing of development, and runs without root',
  async t => {
    const image = await buildImage();
    const { dependencies, devDependencies } = JSON.parse(
      await readFile(join(ROOT, 'package.json'), 'utf8'),
    ) as Record<string, Record<string, string>>;
    const script = `
    const { existsSync } = require('node:fs');
    const has = name => existsSync('node_modules/' + name);
    console.log(JSON.stringify({ node: process.version, uid: process.getuid(),
      missing: ${JSON.stringify(Object.keys(dependencies!))}.filter(name => !has(name)),
      extra: ${JSON.stringify([...Object.keys(devDependencies!), '../test', '../.git'])}.filter(has) }))`;
    const node = '--entrypoint=/opt/lxmert-data/node_modules/.bin/node';
    const { stdout, stderr } = await startProgram('docker', [
      ...['run', '--rm', '--network=none', node, image],
      ...['-e', script],
    ]).result;
    t.is(stderr, '');
    const inspect = [
      'image',
      'inspect',
      '--format',
      '{{index .Config.Labels "lxmert-data.extractor"}}',
      image,
    ];
    t.is((await startProgram('docker', inspect).result).stdout.trim(), 'embedded');
    t.deepEqual(JSON.parse(stdout), {
      node: `v${devDependencies!['node']!}`,
      uid: 65_534,
      missing: [],
      extra: [],
    });
  },
);
