import { createHash } from 'node:crypto';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './run-steps.ts';

/**
 * A private Python in .venv with the reader and what its tests need, made once for each content of pyproject.toml.
 * Undefined where no Python 3.9 with venv is installed, or pip cannot install what is needed.
 */
export async function preparePython(): Promise<string | undefined> {
  const venv = join(ROOT, '.venv');
  const python = join(venv, 'bin', 'python');
  const wanted = createHash('sha256').update(readFileSync(join(ROOT, 'reader', 'pyproject.toml')));
  const stamp = join(venv, `.ready-${wanted.digest('hex').slice(0, 16)}`);
  if (existsSync(stamp)) return python;
  const base = await findPython();
  if (base === undefined) return undefined;
  const install = [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--disable-pip-version-check',
    '-e',
    './reader[test,check]',
  ];
  if (!(await runQuietly(base, ['-m', 'venv', venv])) || !(await runQuietly(python, install)))
    return undefined;
  writeFileSync(stamp, '');
  return python;
}

async function findPython(): Promise<string | undefined> {
  const script = 'import ensurepip, sys, venv; assert sys.version_info >= (3, 9)';
  for (const name of ['python3', 'python']) if (await runQuietly(name, ['-c', script])) return name;
  return undefined;
}

async function runQuietly(program: string, args: readonly string[]): Promise<boolean> {
  const child = spawn(program, args, { cwd: ROOT, stdio: 'ignore' });
  const ended = once(child, 'close').catch(() => [null]);
  return (await ended)[0] === 0;
}
