import { join } from 'node:path';
import { preparePython } from './prepare-python.ts';
import { nodeTool, ROOT, STATIC_STEPS, StepRunner } from './run-steps.ts';

/*
 * `npm test`: lint, types, the ava tests, then the tests of the Python reader. Steps that need something this machine lacks are
 * reported as skipped, by name. `npm test -- FILE…` runs these ava tests only.
 */

const args = process.argv.slice(2);
const runner = new StepRunner();
// Each file of tests is a process of its own that loads the same modules: compiled once, for all of them.
const env = { NODE_COMPILE_CACHE: join(ROOT, 'node_modules', '.cache', 'compiled') };
const ava = { name: 'ava', command: nodeTool('ava', ...args), env };
if (args.length > 0) await runner.run(ava);
else await runAll();
process.exitCode = runner.finish();

async function runAll(): Promise<void> {
  // Before ava, whose tests of exports use this Python too.
  const preparing = preparePython();
  for (const step of STATIC_STEPS) await runner.run(step);
  const python = await preparing;
  // Most of Python's tests wait for one core, so they run beside the others.
  await Promise.all([runner.run(ava), runPython(python)]);
}

async function runPython(python: string | undefined): Promise<void> {
  const config = ['--config', 'reader/pyproject.toml', 'reader', 'bench', 'examples'];
  const steps = [
    { name: 'Python lint', args: ['-m', 'ruff', 'check', ...config] },
    { name: 'Python format', args: ['-m', 'ruff', 'format', '--check', ...config] },
    { name: 'Python types', args: ['-m', 'mypy', '--config-file', 'reader/pyproject.toml', 'reader/src'] },
    { name: 'Python reader (pytest)', args: ['-m', 'pytest', '-q', 'reader'] },
  ];
  for (const { name, args } of steps) {
    if (python === undefined)
      runner.skip(name, 'no Python 3.9 or newer with venv and pip, or PyPI cannot be reached');
    else await runner.run({ name, command: [python, ...args] }, true);
  }
  // A current PyTorch with transformers, and an old one that knows no batches of a dataset's own.
  for (const variable of ['TORCH_PYTHON', 'OLD_TORCH_PYTHON']) await testWithTorch(variable);
}

async function testWithTorch(variable: string): Promise<void> {
  const name = `Python reader with PyTorch of ${variable} (pytest)`;
  const python = process.env[variable];
  if (python === undefined) {
    runner.skip(name, `${variable} does not name a Python with torch and pytest`);
    return;
  }
  const tests = [
    'test_torch.py',
    'test_safe_store.py',
    'test_export_clients.py',
    'test_shards.py',
    'training',
    'detector',
  ];
  const files = [...tests.map(test => `reader/tests/${test}`), 'examples'];
  const command = [python, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', ...files] as const;
  // Ava's tests have the other cores: PyTorch's threads would wait for theirs at full load.
  const env = { PYTHONPATH: join(ROOT, 'reader', 'src'), OMP_NUM_THREADS: '1' };
  await runner.run({ name, command, env }, true);
}
