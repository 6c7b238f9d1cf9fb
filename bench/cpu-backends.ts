import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { seededRandom } from '../pipeline/rows/synthetic-row.ts';
import { CLI, makeFolder, median, numberArgument, print } from './measure.ts';

/*
 * The embedded detector against the one in PyTorch, both on the CPU, in turn on the same photographs of 640 x 480. The time
 * of a run with one image is taken off that of a run with more, so that starting does not count. Memory is the largest
 * sum over the processes of a run. `PYTHON` names a Python with PyTorch.
 */

const PYTHON = process.env['PYTHON'] ?? 'python3';
const images = numberArgument('images', 6);
const rounds = numberArgument('runs', 3);
const folder = makeFolder();

const BACKENDS = {
  embedded: ['--backend', 'embedded'],
  torch: ['--backend', 'torch', '--device', 'cpu', '--python', PYTHON],
} as const;
type Backend = keyof typeof BACKENDS;

const one = await paint('one', 1);
const many = await paint('many', images + 1);
const seconds: Record<Backend, number[]> = { embedded: [], torch: [] };
const peaks: Record<Backend, number> = { embedded: 0, torch: 0 };
for (let round = 0; round < rounds; round++) {
  for (const backend of ['embedded', 'torch'] as const) {
    const first = await run(backend, one, round);
    const whole = await run(backend, many, round);
    seconds[backend].push((whole.seconds - first.seconds) / images);
    peaks[backend] = Math.max(peaks[backend], whole.peak);
  }
}
for (const backend of ['embedded', 'torch'] as const) {
  const list = seconds[backend].map(value => value.toFixed(2)).join(', ');
  print(`${backend}: ${list} s an image, ${(peaks[backend] / 1e9).toFixed(2)} GB`);
}
const ratios = seconds.torch.map((value, round) => value / seconds.embedded[round]!);
print(
  `torch is ${median(ratios).toFixed(2)} x the embedded one (${ratios.map(r => r.toFixed(2)).join(', ')})`,
);

async function paint(name: string, count: number): Promise<string> {
  const path = join(folder, name);
  mkdirSync(path);
  const random = seededRandom(count);
  for (let index = 0; index < count; index++) {
    const pixels = Buffer.from(Array.from({ length: 640 * 480 * 3 }, () => Math.floor(random() * 256)));
    await sharp(pixels, { raw: { width: 640, height: 480, channels: 3 } })
      .blur(4)
      .normalise()
      .jpeg()
      .toFile(join(path, `photo_${index}.jpg`));
  }
  return path;
}

interface Measured {
  readonly seconds: number;
  readonly peak: number;
}

async function run(backend: Backend, source: string, round: number): Promise<Measured> {
  const out = join(folder, `${backend}-${round}-${source.endsWith('one') ? 1 : 2}.safetensors`);
  const args = ['extract', 'custom', '--images', source, '--weights', 'untrained', '--out', out];
  const began = performance.now();
  const command = [CLI, ...args, ...BACKENDS[backend], '--data', folder, '--quiet'];
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'ignore', 'inherit'] });
  let peak = 0;
  const watch = setInterval(() => (peak = Math.max(peak, memoryOf(child.pid ?? 0))), 100);
  const code = await new Promise(resolve => child.on('close', resolve));
  clearInterval(watch);
  if (code !== 0) throw new Error(`${backend} ended with ${String(code)}`);
  return { seconds: (performance.now() - began) / 1000, peak };
}

/** Resident memory of a process and all that it started, in bytes. */
function memoryOf(root: number): number {
  const children = new Map<number, number[]>();
  const sizes = new Map<number, number>();
  for (const name of readdirSync('/proc').filter(entry => /^\d+$/.test(entry))) {
    try {
      const status = readFileSync(`/proc/${name}/status`, 'latin1');
      const parent = Number(/PPid:\s+(\d+)/.exec(status)?.[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
      sizes.set(Number(name), Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024);
    } catch {
      // It has just ended.
    }
  }
  let total = 0;
  const waiting = [root];
  for (let pid = waiting.pop(); pid !== undefined; pid = waiting.pop()) {
    total += sizes.get(pid) ?? 0;
    waiting.push(...(children.get(pid) ?? []));
  }
  return total;
}
