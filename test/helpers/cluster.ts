import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { makeBmp } from './bmp.ts';
import { type CliResult, ROOT, type RunningCli, startCli, type StartOptions } from './cli.ts';
import { makeTempFolder } from './temp.ts';

/** A folder that several hosts share, with images, and the bytes that one machine makes of them. */
export interface SharedFolder {
  readonly folder: string;
  /** X.rows of the plan, and the store that it becomes. */
  readonly rows: string;
  readonly out: string;
  readonly images: string;
  /** sha256 of the store that a single run makes. */
  readonly single: string;
}

/** A Python of tests whose detector takes `EXTRACTOR_MS` an image. */
const PYTHON = join(ROOT, 'test', 'fixtures', 'stand-in-python.mjs');
const SIDE = 16;

/** Options of all commands that compute. */
export const BACKEND = ['--backend', 'torch', '--weights', 'untrained', '--python', PYTHON] as const;

/** Writes `count` small images, each with other pixels. */
export async function writeImages(folder: string, count: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (let index = 0; index < count; index++) {
    const data = Buffer.alloc(SIDE * SIDE * 3, index % 256);
    data.writeUInt32LE(index);
    const image = makeBmp({ width: SIDE, height: SIDE, bits: 24, data });
    await writeFile(join(folder, `img_${String(index).padStart(4, '0')}.bmp`), image);
  }
}

/** A plan of `count` images in units of `unitImages`, after a single run of the same images. */
export async function planShared(
  t: ExecutionContext,
  count: number,
  unitImages: number,
  parent?: string,
): Promise<SharedFolder> {
  const folder = parent ?? (await makeTempFolder(t));
  const images = join(folder, 'images');
  await writeImages(images, count);
  const out = join(folder, 'x.safetensors');
  const one = join(folder, 'one', 'x.safetensors');
  await run(t, ['extract', 'custom', '--images', images, '--out', one, ...BACKEND]);
  const rows = join(folder, 'x.rows');
  const units = ['--unit-images', String(unitImages)];
  await run(t, ['extract', 'custom', '--images', images, '--plan', rows, ...BACKEND, ...units]);
  return { folder, rows, out, images, single: await sha256(one) };
}

export function startWorker(
  { rows }: SharedFolder,
  worker: string,
  options: StartOptions & { readonly more?: readonly string[] } = {},
): RunningCli {
  return startCli(['extract', '--plan', rows, '--worker', worker, ...(options.more ?? [])], options);
}

/** Runs a command that must end with `code`. */
export async function run(
  t: ExecutionContext,
  args: readonly string[],
  code = 0,
  env?: NodeJS.ProcessEnv,
): Promise<CliResult> {
  const result = await startCli(args, env === undefined ? {} : { env }).result;
  t.is(result.code, code, `${args.join(' ')}\n${result.stderr}${result.stdout}`);
  return result;
}

export async function sha256(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}
