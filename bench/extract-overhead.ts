import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findImageSet } from '../pipeline/manifest/image-sets.ts';
import { loadManifest } from '../pipeline/manifest/load.ts';
import type { PipelineEvent } from '../pipeline/events.ts';
import { prepareDocker } from '../pipeline/extraction/docker/backend.ts';
import { planExtraction } from '../pipeline/extraction/plan-extraction.ts';
import { extract } from '../pipeline/stages/extract.ts';
import { ensureStandIn, findTestEngine } from '../test/helpers/engine.ts';
import { writeOrderImages } from '../test/helpers/order-images.ts';

/*
 * What handing out images, taking rows in and checking them costs, with containers that take a fixed time for an image:
 *   npm run bench -- extract-overhead [images for one worker, default 60] [ms an image, default 250]
 * Needs a Docker engine (DOCKER_HOST or the default socket).
 */

const [count = 60, ms = 250] = process.argv.slice(2).map(Number);

interface Measured {
  /** Images a second from the first fifth of the rows to the last. */
  readonly steady: number;
  /** Images a second with the start of the containers and the end. */
  readonly whole: number;
  /** Work of this process for an image, from the first fifth of the rows to the last. */
  readonly hostMs: number;
}

async function measure(folder: string, image: string, workers: number): Promise<Measured> {
  const images = join(folder, `images-${workers}`);
  const total = count * workers;
  await writeOrderImages(images, total, ms);
  const weights = join(folder, 'w.caffemodel');
  await writeFile(weights, 'weights '.repeat(500));
  const times: number[] = [];
  const work: number[] = [];
  const emit = (event: PipelineEvent): void => {
    if (event.event === 'progress' && event.stage === 'extract' && event.done > times.length) {
      times.push(performance.now());
      const { user, system } = process.cpuUsage();
      work.push((user + system) / 1000);
    }
  };
  const context = { emit, signal: new AbortController().signal };
  const backend = { image, gpus: 'none' as const, perGpu: workers, weights, cacheDirectory: folder };
  const began = performance.now();
  const out = join(folder, `x${workers}.tsv`);
  const plan = await planExtraction(
    { split: findImageSet(await loadManifest(), 'custom'), images, data: folder, out },
    context,
  );
  const result = await extract({ plan, extractors: await prepareDocker(backend, plan, context) }, context);
  if (!result.ok) throw new Error(`${result.missing.length} images have no row`);
  const [first, last] = [Math.floor(total / 5), Math.floor((total * 4) / 5)];
  return {
    steady: ((last - first) / (times[last]! - times[first]!)) * 1000,
    whole: (total / (performance.now() - began)) * 1000,
    hostMs: (work[last]! - work[first]!) / (last - first),
  };
}

const docker = await findTestEngine();
if (docker === undefined) throw new Error('no Docker engine answers');
const image = await ensureStandIn(docker);
const folder = await mkdtemp(join(tmpdir(), 'lxmert-data-bench-'));
try {
  const one = await measure(folder, image, 1);
  const four = await measure(folder, image, 4);
  const say = (name: string, { steady, whole, hostMs }: Measured): void =>
    void process.stdout.write(
      `${name}: ${steady.toFixed(2)} images/s (${whole.toFixed(2)} with start and end), host ${hostMs.toFixed(2)} ms of processor time an image\n`,
    );
  process.stdout.write(
    `${count} images a worker, ${ms} ms each, engine ${(await docker.version()).Version}\n`,
  );
  say('1 worker ', one);
  say('4 workers', four);
  process.stdout.write(
    `4 workers reach ${((four.steady / (4 * one.steady)) * 100).toFixed(1)} % of 4 x one worker\n`,
  );
} finally {
  await rm(folder, { recursive: true, force: true });
}
