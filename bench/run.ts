import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { v } from '../pipeline/schema.ts';

/* `npm run bench -- NAME [ARGUMENT…]`: runs a program of this folder; without a name it lists them. PYTHON names the Python. */

const PROGRAMS = v.record(v.string(), v.object({ file: v.string(), about: v.string() }));
const programs = v.parse(
  PROGRAMS,
  JSON.parse(readFileSync(join(import.meta.dirname, 'programs.json'), 'utf8')),
);
const [name, ...args] = process.argv.slice(2);
const chosen = name === undefined ? undefined : programs[name];
if (chosen === undefined) list();
else run(join(import.meta.dirname, chosen.file));

function list(): void {
  const lines = Object.entries(programs).map(([key, { about }]) => `  ${key.padEnd(17)} ${about}`);
  const problem = name === undefined ? '' : `error: there is no benchmark "${name}"\n\n`;
  process.stdout.write(`${problem}npm run bench -- NAME [ARGUMENT…]\n\n${lines.join('\n')}\n`);
  process.exitCode = name === undefined ? 0 : 2;
}

function run(path: string): void {
  const program = path.endsWith('.py') ? (process.env['PYTHON'] ?? 'python3') : process.execPath;
  const child = spawn(program, [path, ...args], { stdio: 'inherit' });
  child.on('error', error => {
    process.stderr.write(`error: ${program}: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.on('close', code => (process.exitCode = code ?? 1));
}
