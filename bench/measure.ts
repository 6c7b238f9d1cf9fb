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
export async function measure(program: string, args: readonly string[]): Promise<Run> {
  const began = performance.now();
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
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
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${String(code)}`);
  return { seconds: (performance.now() - began) / 1000, peak };
}

/** Runs a command of this project, quietly. */
export async function measureCli(...args: readonly string[]): Promise<Run> {
  return await measure(process.execPath, [CLI, ...args, '--quiet']);
}

/** Contenders that do the same work take turns, `--runs` times (default 3), so that all get the same machine. */
export async function takeTurns<Name extends string>(
  contenders: Readonly<Record<Name, () => Promise<Run>>>,
  before: () => Promise<void> = () => Promise.resolve(),
): Promise<Record<Name, Run[]>> {
  const names = Object.keys(contenders) as Name[];
  const runs = Object.fromEntries(names.map(name => [name, []])) as unknown as Record<Name, Run[]>;
  for (let turn = 0; turn < numberArgument('runs', 3); turn++) {
    for (const name of names) {
      await before();
      runs[name].push(await contenders[name]());
    }
  }
  return runs;
}

/** A private folder with a TSV of `--gb` gigabytes. */
export function prepareRows(defaultGigabytes: number): { folder: string; tsv: string; bytes: number } {
  const folder = makeFolder();
  const tsv = join(folder, 'rows.tsv');
  writeBenchTsv(tsv, numberArgument('gb', defaultGigabytes));
  return { folder, tsv, bytes: sizeOf(tsv) };
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

/** The page cache before a run: with the file, or without it. */
export const CACHE_STATES = [
  ['warm', makeWarm],
  ['cold', makeCold],
] as const;

/** A private folder below BENCH_DIR or the temporary folder, removed at the end. */
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

/** The number behind `--name` on the command line. */
export function numberArgument(name: string, otherwise: number): number {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : Number(process.argv[at + 1]);
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** Prints a line. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** One line of a result: the seconds of each run, and the ratio of the medians. */
export function printRatio(
  what: string,
  ours: readonly Run[],
  other: string,
  theirs: readonly Run[],
  bytes: number,
): void {
  const [a, b] = [ours, theirs].map(runs => median(runs.map(run => run.seconds))) as [number, number];
  const list = (runs: readonly Run[]): string => runs.map(run => run.seconds.toFixed(2)).join(' ');
  print(`${what}: ${list(ours)} s, ${other}: ${list(theirs)} s`);
  const peak = Math.max(...ours.map(run => run.peak)) / 1e6;
  print(
    `  ratio ${(a / b).toFixed(2)}, ${(bytes / 1e9 / a).toFixed(2)} GB/s, peak memory ${peak.toFixed(0)} MB`,
  );
}

export function sizeOf(path: string): number {
  return existsSync(path) ? statSync(path).size : 0;
}
