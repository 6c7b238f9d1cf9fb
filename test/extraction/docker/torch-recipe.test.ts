import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { exchangeFolderOf } from '../../../pipeline/extraction/exchange-folder.ts';
import { ROOT, runCli, startProgram } from '../../helpers/cli.ts';
import { makeTempFolder } from '../../helpers/temp.ts';
import { hasLinuxEngine } from '../../helpers/tools.ts';
import { hasTorch, paintWideImages, TORCH_PYTHON } from '../../helpers/torch.ts';

/* The image of docker/torch, built by a real engine on a base that .ci/torch-image makes, and run on the CPU. */

const BASE = 'lxmert-data-test/pytorch:cpu';
const IMAGE = 'lxmert-data-torch:test';
/** The same with an entry point that notes which GPU it was given, and goes on with the CPU. */
const NOTING = 'lxmert-data-torch-noting:test';

const lacks = findLack();

function findLack(): string | undefined {
  if (!hasLinuxEngine()) return 'a Docker engine for Linux on this machine';
  if (!hasTorch()) return 'TORCH_PYTHON with torch, numpy and pillow';
  if (spawnSync('docker', ['image', 'inspect', BASE], { stdio: 'ignore' }).status !== 0)
    return `the image ${BASE}, which .ci/torch-image makes`;
  return undefined;
}

function testWithImage(title: string, body: (t: ExecutionContext) => Promise<void>): void {
  if (lacks === undefined) test.serial(title, body);
  else test.skip(`${title} (needs ${lacks})`, body);
}

async function build(tag: string, ...args: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await startProgram(
    'docker',
    ['build', '--quiet', '--network=none', `--tag=${tag}`, ...args],
    { cwd: ROOT },
  ).result;
  if (code !== 0) throw new Error(`docker build failed: ${(stdout + stderr).slice(-2000)}`);
}

async function buildImage(): Promise<void> {
  await build(IMAGE, `--build-arg=BASE=${BASE}`, '--file=docker/torch/Dockerfile', '.');
}

async function extract(t: ExecutionContext, images: string, args: readonly string[]) {
  const data = await makeTempFolder(t);
  const out = join(data, 'x.safetensors');
  const fixed = ['extract', 'custom', '--images', images, '--out', out, '--data', data, '--keep-rows'];
  return { ...(await runCli([...fixed, ...args])), rowFolder: join(data, 'x.rows') };
}

/** The rows that an extraction kept, by img_id; which file holds them is a matter of chance. */
async function readRows(rowFolder: string): Promise<ReadonlyMap<string, string>> {
  const names = (await readdir(rowFolder)).filter(name => name.endsWith('.tsv'));
  const files = await Promise.all(names.map(async name => await readFile(join(rowFolder, name), 'latin1')));
  const rows = files.flatMap(text => text.split('\r\n').filter(row => row !== ''));
  return new Map(rows.map(row => [row.slice(0, row.indexOf('\t')), row]));
}

testWithImage('the image of PyTorch makes the rows of PyTorch without Docker, byte for byte', async t => {
  await buildImage();
  const label = '{{index .Config.Labels "lxmert-data.extractor"}} {{.Config.User}}';
  const inspect = await startProgram('docker', ['image', 'inspect', '--format', label, IMAGE]).result;
  t.is(inspect.stdout.trim(), 'torch 65534:65534');

  const images = await paintWideImages(t, 1);
  const here = await extract(t, images, [
    ...['--backend', 'torch', '--device', 'cpu', '--python', TORCH_PYTHON, '--weights', 'untrained'],
  ]);
  t.is(here.code, 0, here.stderr);
  const docker = ['--backend', 'docker', '--image', IMAGE, '--gpus', 'none', '--weights', 'untrained'];
  const inside = await extract(t, images, docker);
  t.is(inside.code, 0, inside.stderr);
  const rows = await readRows(inside.rowFolder);
  t.deepEqual([...rows.keys()].sort(), ['wide_0']);
  t.deepEqual(rows, await readRows(here.rowFolder));
});

testWithImage('with GPUs, a container of the image is given each of them', async t => {
  await buildImage();
  const context = await makeTempFolder(t);
  const start = [
    'printf %s "$NVIDIA_VISIBLE_DEVICES" >"/rows/gpu.$NVIDIA_VISIBLE_DEVICES"',
    'case "$*" in *--device=cuda) ;; *) exit 2 ;; esac',
    'exec python3 /opt/lxmert-data/reader/src/lxmert_data/export/isolated.py --detector --device=cpu --threads=1 --rois=36',
  ].join('; ');
  const entry = JSON.stringify(['/bin/sh', '-c', start, 'extract']);
  await writeFile(join(context, 'Dockerfile'), `FROM ${IMAGE}\nENTRYPOINT ${entry}\n`);
  await build(NOTING, context);

  const images = await paintWideImages(t, 8);
  const docker = ['--backend', 'docker', '--image', NOTING, '--weights', 'untrained', '--gpus'];
  const run = await extract(t, images, [...docker, '1,3']);
  t.is(run.code, 0, run.stderr);
  t.is((await readRows(run.rowFolder)).size, 8);
  const given = (await readdir(exchangeFolderOf(run.rowFolder))).filter(name => name.startsWith('gpu.'));
  t.deepEqual(given.sort(), ['gpu.1', 'gpu.3']);
});

testWithImage('a GPU that PyTorch cannot use, and weights that it cannot read, end the run', async t => {
  await buildImage();
  const images = await paintWideImages(t, 1);
  const docker = ['--backend', 'docker', '--image', IMAGE];
  const device = await extract(t, images, [...docker, '--gpus', '0', '--weights', 'untrained']);
  t.is(device.code, 1);
  t.regex(device.stderr, /cuda/i);

  const folder = await makeTempFolder(t);
  await mkdir(join(folder, 'w'));
  const path = join(folder, 'w', 'broken.safetensors');
  await writeFile(path, 'no weights');
  const weights = await extract(t, images, [...docker, '--gpus', 'none', '--weights', path]);
  t.is(weights.code, 1);
  t.regex(weights.stderr, /broken\.safetensors/);
});
