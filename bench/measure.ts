import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writevSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatRow } from '../pipeline/rows/format-row.ts';
import { makeSyntheticRow } from '../pipeline/rows/synthetic-row.ts';

export const CLI = join(import.meta.dirname, '..', 'pipeline', 'cli', 'main.ts');

export interface Run {
  readonly seconds: number;
  /** Largest resident memory in bytes, where /proc tells it. */
  readonly peak: number;
}

/** Runs a program to its end and measures it from outside. */
export async function measure(program: string, words: readonly string[]): Promise<Run> {
  const began = performance.now();
  const child = spawn(program, words, { stdio: ['ignore', 'ignore', 'inherit'] });
  let peak = 0;
  const watch = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid ?? 0}/status`, 'latin1');
      peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024);
    } catch {
      // It has just ended, or there is no /proc.
    }
  }, 20);
  const code = await new Promise(resolve => child.on('close', resolve));
  clearInterval(watch);
  if (code !== 0) throw new Error(`${program} ${words.join(' ')} ended with ${String(code)}`);
  return { seconds: (performance.now() - began) / 1000, peak };
}

/** Takes a file out of the page cache. */
export async function makeCold(path: string): Promise<void> {
  await measure('sync', [path]);
  await measure('dd', [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none']);
}

/** Brings a file into the page cache. */
export async function makeWarm(path: string): Promise<void> {
  await measure('dd', [`if=${path}`, 'of=/dev/null', 'bs=8M', 'status=none']);
}

export function makeFolder(): string {
  const folder = mkdtempSync(join(process.env['BENCH_DIR'] ?? tmpdir(), 'lxmert-data-bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes a TSV of `gigabytes` with rows of the true shape; 64 different ones, each with its own id. */
export function writeBenchTsv(path: string, gigabytes: number): void {
  const rows = Array.from({ length: 64 }, (_, index) => Buffer.from(formatRow(makeSyntheticRow(index))));
  const count = Math.ceil((gigabytes * 1e9) / rows[0]!.length);
  const file = openSync(path, 'w');
  for (let at = 0; at < count; at += 64) {
    const some = rows.slice(0, Math.min(64, count - at));
    for (const [index, row] of some.entries()) row.write(String(at + index).padStart(12, '0'), 10, 'latin1');
    writevSync(file, some);
  }
  closeSync(file);
}

export function numberArgument(name: string, otherwise: number): number {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : Number(process.argv[at + 1]);
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** One line of a result: the seconds of each run, and the ratio of the medians. */
export function sayRatio(
  what: string,
  ours: readonly Run[],
  other: string,
  theirs: readonly Run[],
  bytes: number,
): void {
  const [a, b] = [ours, theirs].map(runs => median(runs.map(run => run.seconds))) as [number, number];
  const list = (runs: readonly Run[]): string => runs.map(run => run.seconds.toFixed(2)).join(' ');
  say(`${what}: ${list(ours)} s, ${other}: ${list(theirs)} s`);
  const peak = Math.max(...ours.map(run => run.peak)) / 1e6;
  say(
    `  ratio ${(a / b).toFixed(2)}, ${(bytes / 1e9 / a).toFixed(2)} GB/s, peak memory ${peak.toFixed(0)} MB`,
  );
}

export function sizeOf(path: string): number {
  return existsSync(path) ? statSync(path).size : 0;
}
