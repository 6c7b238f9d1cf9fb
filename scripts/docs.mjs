// Makes the API reference of both languages in api/: TypeScript by typedoc, Python by pdoc (in .venv, which npm test makes).
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const python = join(root, '.venv', 'bin', 'python');

run(process.execPath, [
  join(root, 'node_modules', 'typedoc', 'bin', 'typedoc'),
  ...['--entryPoints', 'pipeline/index.ts', '--tsconfig', 'tsconfig.json', '--out', 'api/typescript'],
  ...['--readme', 'none', '--name', 'lxmert-data', '--excludeInternal', '--logLevel', 'Error'],
]);
if (!existsSync(python)) {
  console.error('error: .venv is missing\n  what to do: run npm test once, which makes it');
  process.exit(1);
}
const hasTorch = spawnSync(python, ['-c', 'import torch'], { stdio: 'ignore' }).status === 0;
if (!hasTorch) console.error('lxmert_data.training is left out: install PyTorch in .venv to have it');
run(python, [
  '-m',
  'pdoc',
  '--output-directory',
  'api/python',
  // A package with __all__ shows only the modules that it names, so the public ones are listed.
  ...['lxmert_data', 'lxmert_data.compat', 'lxmert_data.export', 'lxmert_data.verify'],
  ...(hasTorch ? ['lxmert_data.training'] : []),
  '!lxmert_data._format',
  '!lxmert_data.export.isolated',
]);
console.log('api/typescript/index.html and api/python/index.html');

function run(program, args) {
  const { status } = spawnSync(program, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(1);
}
