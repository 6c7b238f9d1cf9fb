import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './run-steps.ts';

/**
 * A private Python in .venv with the reader and what its tests need, made once for each content of pyproject.toml.
 * Undefined where no Python 3.9 with venv is installed, or pip cannot install what is needed.
 */
export function preparePython(): string | undefined {
  const venv = join(ROOT, '.venv');
  const python = join(venv, 'bin', 'python');
  const wanted = createHash('sha256').update(readFileSync(join(ROOT, 'reader', 'pyproject.toml')));
  const stamp = join(venv, `.ready-${wanted.digest('hex').slice(0, 16)}`);
  if (existsSync(stamp)) return python;
  const base = findPython();
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
  if (!runQuietly(base, ['-m', 'venv', venv]) || !runQuietly(python, install)) return undefined;
  writeFileSync(stamp, '');
  return python;
}

function findPython(): string | undefined {
  return ['python3', 'python'].find(name =>
    runQuietly(name, ['-c', 'import ensurepip, sys, venv; assert sys.version_info >= (3, 9)']),
  );
}

function runQuietly(program: string, args: readonly string[]): boolean {
  return spawnSync(program, args, { cwd: ROOT, stdio: 'ignore' }).status === 0;
}
