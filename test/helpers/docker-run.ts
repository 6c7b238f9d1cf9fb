import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync } from 'node:fs';
import { mkdir, readdir, readFile, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import type Docker from 'dockerode';
import { prepareDocker } from '../../pipeline/extraction/docker/backend.ts';
import { exchangeFolderOf } from '../../pipeline/extraction/exchange-folder.ts';
import type { DockerBackendOptions } from '../../pipeline/extraction/docker/worker-settings.ts';
import type { ExtractResult } from '../../pipeline/stages/extract.ts';
import { type ExtractRun, runExtraction, findSplit } from './extraction.ts';
import type { PipelineEvent } from '../../pipeline/events.ts';
import { ensureStandIn, findTestEngine } from './engine.ts';
import { type ORDERS, writeOrderImages } from './order-images.ts';
import { makeContext } from './rows.ts';
import { makeTempFolder } from './temp.ts';
import { writeCaffemodel } from './write-caffemodel.ts';

export interface DockerTools {
  readonly docker: Docker;
  readonly image: string;
}

/** An engine with the stand-in image, or why there is none. */
export async function findDocker(): Promise<DockerTools | string> {
  const docker = await findTestEngine();
  if (docker === undefined) return 'no Docker engine answers at DOCKER_HOST or the default socket';
  try {
    return { docker, image: await ensureStandIn(docker) };
  } catch (error) {
    return `no image can be made: ${error instanceof Error ? error.message.split('\n')[0]! : String(error)}`;
  }
}

/**
 * A test that needs an engine; skipped, by name, where there is none. One after the other: two cores that start dozens of
 * containers at a time let each wait for minutes.
 */
export function dockerTest(
  found: DockerTools | string,
  name: string,
  body: (t: ExecutionContext, tools: DockerTools) => Promise<void>,
): void {
  if (typeof found === 'string') test.skip(`${name} (${found})`, t => t.pass());
  else test.serial(name, async t => await body(t, found));
}

export interface DockerPlace {
  readonly folder: string;
  readonly images: string;
  readonly data: string;
  readonly weights: string;
  readonly out: string;
}

/** A caffemodel of this network, made once and kept: 250 MB. Its values are the formula's. */
export function trainedWeights(): string {
  const folder = process.env['XDG_CACHE_HOME'] ?? join(tmpdir(), 'lxmert-data-test');
  const path = join(folder, 'formula.caffemodel');
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  const made = join(mkdtempSync(join(folder, 'weights-')), 'formula.caffemodel');
  writeCaffemodel(made);
  chmodSync(made, 0o644);
  renameSync(made, path);
  return path;
}

export async function makeDockerPlace(
  t: ExecutionContext,
  count: number,
  ms = 0,
  orders: Readonly<Record<number, keyof typeof ORDERS>> = {},
): Promise<DockerPlace> {
  const folder = await makeTempFolder(t);
  const place = {
    folder,
    images: join(folder, 'images'),
    data: join(folder, 'data'),
    weights: join(folder, 'weights', 'w.caffemodel'),
    out: join(folder, 'x.safetensors'),
  };
  await writeOrderImages(place.images, count, ms, orders);
  await mkdir(join(folder, 'weights'));
  // A link, as of a file that is kept elsewhere.
  await symlink(trainedWeights(), place.weights);
  return place;
}

/** Extracts in this process, in containers. */
export async function extractInDocker(
  place: DockerPlace,
  docker: Partial<DockerBackendOptions> & Pick<DockerBackendOptions, 'image'>,
  options: Partial<ExtractRun> = {},
): Promise<ExtractResult & { readonly events: readonly PipelineEvent[] }> {
  const context = makeContext();
  const { images, data, out, weights } = place;
  const backend = {
    gpus: 'none' as const,
    perGpu: 1,
    weights,
    cacheDirectory: join(data, 'cuda'),
    ...docker,
  };
  const start: ExtractRun['start'] = async plan => await prepareDocker(backend, plan, context);
  const run = { split: findSplit('custom'), images, data, out, start, ...options };
  const result = await runExtraction(run, context);
  return { ...result, events: context.events };
}

/** Words of the same on a command line. */
export function commandWords(place: DockerPlace, image: string, ...more: readonly string[]): string[] {
  const { images, data, out, weights } = place;
  const words = ['--images', images, '--data', data, '--out', out, '--weights', weights, '--image', image];
  return ['extract', 'custom', ...words, ...(more.includes('--gpus') ? [] : ['--gpus', 'none']), ...more];
}

export interface Inside {
  readonly gpus: string;
  readonly user: readonly [number, number];
  readonly capabilities: readonly string[];
  readonly no_new_privileges: string;
  readonly interfaces: readonly string[];
  readonly writable: readonly string[];
  readonly shm_mib: number;
}

/** What each container of a run told of itself. */
export async function readInside(rowFolder: string): Promise<Inside[]> {
  const folder = exchangeFolderOf(rowFolder);
  const names = (await readdir(folder)).filter(name => name.startsWith('inside-'));
  return await Promise.all(
    names.map(async name => JSON.parse(await readFile(join(folder, name), 'utf8')) as Inside),
  );
}

/** Containers of runs whose rows go below this folder. */
export async function containersOf(docker: Docker, place: DockerPlace): Promise<Docker.ContainerInfo[]> {
  const all = await docker.listContainers({ all: true, filters: { label: ['lxmert-data.run'] } });
  return all.filter(({ Mounts: mounts }) =>
    mounts.some(({ Source: source }) => source.startsWith(place.folder)),
  );
}

function countLines(text: Buffer): number {
  let lines = 0;
  for (let at = text.indexOf(10); at >= 0; at = text.indexOf(10, at + 1)) lines++;
  return lines;
}

/** Waits until so many rows stand in the folder. */
export async function waitForRows(place: DockerPlace, count: number): Promise<void> {
  const folder = place.out.replace(/\.safetensors$/, '.rows');
  const begin = Date.now();
  // A busy machine may take long to start a container.
  while (Date.now() - begin < 180_000) {
    const names = (await readdir(folder).catch(() => [])).filter(name => name.endsWith('.tsv'));
    const texts = await Promise.all(names.map(async name => await readFile(join(folder, name))));
    if (texts.reduce((sum, text) => sum + countLines(text), 0) >= count) return;
    await delay(50);
  }
  throw new Error(`no ${count} rows came`);
}
