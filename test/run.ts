import { createHash } from 'node:crypto';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/*
 * What `npm test` does: lint, types, the ava tests, then the tests of the Python reader. Steps that need something this machine lacks
 * are reported as skipped, by name.
 */

const root = join(import.meta.dirname, '..');
const node = process.execPath;
const words = process.argv.slice(2);

interface Step {
  readonly name: string;
  readonly command: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

function bin(name: string): string {
  return join(root, 'node_modules', '.bin', name);
}

/** Last words of a step that failed, shown again at the end, where a long log is read first. */
const KEPT_CHARACTERS = 6000;

/** Runs a step in the open; true if it passed. */
async function run({ name, command, env }: Step): Promise<void> {
  process.stdout.write(`\n== ${name}\n`);
  const inTerminal = process.stdout.isTTY;
  const child = spawn(command[0]!, command.slice(1), {
    cwd: root,
    stdio: inTerminal ? 'inherit' : ['inherit', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let words = '';
  const keep = (text: string): void => {
    process.stdout.write(text);
    words = (words + text).slice(-KEPT_CHARACTERS);
  };
  child.stdout?.setEncoding('utf8').on('data', keep);
  child.stderr?.setEncoding('utf8').on('data', keep);
  const passed = await new Promise<boolean>(resolve => {
    child.on('error', error => {
      keep(`${error.message}\n`);
      resolve(false);
    });
    child.on('close', status => resolve(status === 0));
  });
  if (!passed) failed.set(name, inTerminal ? '' : words);
}

function findPython(): string | undefined {
  return ['python3', 'python'].find(
    name => spawnSync(name, ['-c', 'import sys; assert sys.version_info >= (3, 9)']).status === 0,
  );
}

/** A private Python with the reader and what its tests need, made once for what pyproject.toml asks for. */
function preparePython(): string | undefined {
  const venv = join(root, '.venv');
  const python = join(venv, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
  const wanted = createHash('sha256').update(readFileSync(join(root, 'reader', 'pyproject.toml')));
  const stamp = join(venv, `.ready-${wanted.digest('hex').slice(0, 16)}`);
  if (existsSync(stamp)) return python;
  const base = findPython();
  if (base === undefined) return undefined;
  const quiet = (command: readonly string[]): boolean =>
    spawnSync(command[0]!, command.slice(1), { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] }).status ===
    0;
  const made =
    quiet([base, '-m', 'venv', venv]) &&
    quiet([
      python,
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      '-e',
      './reader[test,check]',
    ]) &&
    quiet([python, '-c', `open(${JSON.stringify(stamp)}, 'w').close()`]);
  return made ? python : undefined;
}

/** Steps that failed, and what they said last. */
const failed = new Map<string, string>();
const skipped: string[] = [];
const steps: readonly Step[] = [
  { name: 'lint', command: [node, bin('eslint'), '.'] },
  { name: 'format', command: [node, bin('prettier'), '--check', '--log-level', 'warn', '.'] },
  { name: 'types', command: [node, bin('tsc'), '--noEmit'] },
  { name: 'types of pages', command: [node, bin('tsc'), '--noEmit', '-p', 'pipeline/report/browser'] },
  { name: 'ava', command: [node, bin('ava'), ...words] },
];
// Before ava: its tests of exports use this Python too.
const python = words.length === 0 ? preparePython() : undefined;
for (const step of words.length > 0 ? steps.slice(-1) : steps) await run(step);

if (words.length === 0) {
  const config = ['--config', 'reader/pyproject.toml', 'reader', 'bench'];
  const pythonSteps = [
    { name: 'Python lint', command: ['-m', 'ruff', 'check', ...config] },
    { name: 'Python format', command: ['-m', 'ruff', 'format', '--check', ...config] },
    { name: 'Python types', command: ['-m', 'mypy', '--config-file', 'reader/pyproject.toml', 'reader/src'] },
    { name: 'Python reader (pytest)', command: ['-m', 'pytest', '-q', 'reader'] },
  ];
  for (const { name, command } of pythonSteps) {
    if (python === undefined)
      skipped.push(`${name}: no Python >= 3.9 with venv whose pip can install what it needs`);
    else await run({ name, command: [python, ...command] });
  }
  // A current PyTorch with transformers, and an old one that knows no batches of a data set's own.
  for (const variable of ['TORCH_PYTHON', 'OLD_TORCH_PYTHON']) {
    const name = `Python reader with PyTorch of ${variable} (pytest)`;
    const torchPython = process.env[variable];
    if (torchPython === undefined)
      skipped.push(`${name}: ${variable} does not name a Python with torch and pytest`);
    else {
      const files = ['reader/tests/test_torch.py', 'reader/tests/training'];
      const words = ['-m', 'pytest', '-q', '-p', 'no:cacheprovider', ...files];
      const env = { PYTHONPATH: join(root, 'reader', 'src') };
      await run({ name, command: [torchPython, ...words], env });
    }
  }
}

process.stdout.write('\n');
for (const reason of skipped) process.stdout.write(`skipped: ${reason}\n`);
for (const [name, words] of failed)
  if (words !== '') process.stdout.write(`\n== last words of: ${name}\n${words}\n`);
process.stdout.write(failed.size === 0 ? 'all tests passed\n' : `FAILED: ${[...failed.keys()].join(', ')}\n`);
process.exitCode = failed.size === 0 ? 0 : 1;
