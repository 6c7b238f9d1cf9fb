import { spawn, spawnSync } from 'node:child_process';
import { text } from 'node:stream/consumers';
import type { ExecutionContext } from 'ava';

/** Whether system calls can be watched here. In CI they must be: a missing tool fails the test, elsewhere it skips it by name. */
export function canTrace(t: ExecutionContext): boolean {
  const works = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0;
  if (works) return true;
  if (process.env['CI'] === 'true' && process.platform === 'linux') t.fail('strace is missing; install it');
  else {
    t.log('skipped: strace is missing, or not permitted to trace');
    t.pass();
  }
  return false;
}

/** Runs a module of JavaScript under strace; returns its calls, one a line, and what it printed. */
export async function traceScript(
  script: string,
  calls: string,
  inject: readonly string[] = [],
): Promise<{ readonly calls: readonly string[]; readonly stdout: string }> {
  const rules = inject.flatMap(rule => ['-e', `inject=${rule}`]);
  const node = [process.execPath, '--input-type=module', '-e', script];
  // Paths of descriptors are shown, so that a call on a handle tells its file.
  const child = spawn('strace', ['-f', '-qq', '-y', '-e', `trace=${calls}`, ...rules, ...node], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Injection counts calls by thread; Node's own files are not what is looked at.
    env: { ...process.env, UV_THREADPOOL_SIZE: '1', NODE_DISABLE_COMPILE_CACHE: '1' },
  });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { calls: stderr.split('\n').map(line => line.replace(/^\[pid +\d+\] /, '')), stdout };
}
