// Entry of every npm script. Runs on whatever Node the machine has (20 or later), installs what is missing, then goes on under the pinned Node.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [command = 'start', ...words] = process.argv.slice(2);

/** True where node_modules holds what package-lock.json asks for; npm keeps its own copy of the lock there. */
function isInstalled() {
  const installed = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installed) || !existsSync(pinnedNode())) return false;
  const has = JSON.parse(readFileSync(installed, 'utf8')).packages;
  const wants = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  return Object.entries(wants).every(
    ([path, { version, optional }]) => path === '' || optional || has[path]?.version === version,
  );
}

function pinnedNode() {
  const name = process.platform === 'win32' ? 'node.exe' : 'node';
  return join(root, 'node_modules', 'node', 'bin', name);
}

function install() {
  console.error('Installing what is missing (npm ci) …');
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
    // What the user gave to this script is not meant for this npm.
    env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !isOwnOption(name))),
  });
  if (status !== 0) {
    console.error('error: npm ci failed; the lines above say why. Is the npm registry within reach?');
    process.exit(1);
  }
}

function isOwnOption(name) {
  return /^npm_config_(json|dry_run|force|loglevel|out|data|report)$/.test(name);
}

if (!isInstalled()) install();
const script = command === 'test' ? join('test', 'run.ts') : join('pipeline', 'cli', 'main.ts');
const rest = command === 'test' ? words : [command, ...words];
if (process.execPath.startsWith(join(root, 'node_modules')) || process.version === `v${pinnedVersion()}`) {
  process.argv = [process.argv[0], join(root, script), ...rest];
  await import(new URL(script.replaceAll('\\', '/'), `file://${root}/`).href);
} else {
  const child = spawn(pinnedNode(), [join(root, script), ...rest], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1);
  });
}

function pinnedVersion() {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).dependencies.node;
}
