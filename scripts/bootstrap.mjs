// Entry of every npm script. Runs on the Node.js of the machine (20.9 or later), installs what is missing and goes on with the pinned one.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, statSync, symlinkSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import {
  CANNOT_RUN,
  NODE_PACKAGES,
  describePlatform,
  explainNode,
  explainPlatform,
  failure,
  findPinnedNode,
  pinnedVersion,
} from '../bin/pinned-node.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const manifest = join(root, 'package.json');
const modules = join(root, 'node_modules');
const version = pinnedVersion(root);
/** Where the npm package `node` has its program once its install script has run; that script does not run here. */
const linkedNode = join(modules, 'node', 'bin', 'node');

/** npm leaves out the native part of sharp where the Node.js that runs npm is older. */
const OLDEST_NODE = [20, 9];

/** Programs other than the command line. */
const PROGRAMS = { test: 'test/run.ts', check: 'test/check.ts', bench: 'bench/run.ts' };

/** npm settings that `npm ci` may inherit; the others are options that the user gave to the command, not to npm. */
const NPM_SETTINGS =
  /^npm_config_(registry|cache|userconfig|globalconfig|cafile|ca|strict_ssl|https?_proxy|proxy|no_?proxy|prefer_offline|offline|fetch_.*|maxsockets)$/;

await main(process.argv.slice(2));

async function main([command = 'start', ...args]) {
  const isPinned = process.version === `v${version}`;
  stopIf(isPinned ? undefined : explainPlatform());
  if (!isInstalled()) install();
  const node = findPinnedNode(manifest) ?? (isPinned ? process.execPath : undefined);
  if (!isLinked(node)) {
    stopIf(explainNode(node, version));
    link(node);
  }
  if (command === 'setup') return;
  const program = PROGRAMS[command] ?? 'pipeline/cli/main.ts';
  const rest = program === 'pipeline/cli/main.ts' ? [command, ...args] : args;
  process.env.PATH = [join(modules, '.bin'), process.env.PATH].filter(Boolean).join(delimiter);
  if (isPinned) {
    process.argv = [process.execPath, join(root, program), ...rest];
    await import(pathToFileURL(join(root, program)).href);
  } else run(node, [join(root, program), ...rest]);
}

/** True where node_modules has what package-lock.json lists; npm keeps its own copy of the lock there. */
function isInstalled() {
  const installed = join(modules, '.package-lock.json');
  if (!existsSync(installed)) return false;
  const { packages: present } = readJson(installed);
  const { packages: listed } = readJson(join(root, 'package-lock.json'));
  const needed = `node_modules/${NODE_PACKAGES[describePlatform().name]}`;
  return Object.entries(listed).every(
    ([path, entry]) =>
      path === '' || (entry.optional && path !== needed) || present[path]?.version === entry.version,
  );
}

function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}

function install() {
  stopIf(explainOldNode(process.versions.node));
  console.error('Installing dependencies (npm ci) …');
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const env = Object.entries(process.env).filter(
    ([name]) => !/^npm_config_/i.test(name) || NPM_SETTINGS.test(name.toLowerCase()),
  );
  const { status, error } = spawnSync('npm', args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: Object.fromEntries(env),
  });
  if (error !== undefined) {
    stopIf(failure('npm cannot be run', { got: error.message, hint: 'install npm; it comes with Node.js' }));
  }
  if (status === 0) return;
  const hint =
    'see the lines above; if they name a network error, check that the npm registry can be reached';
  stopIf(failure('npm ci failed', { got: `exit code ${status}`, hint }));
}

function explainOldNode(version) {
  const [major, minor] = version.split('.').map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return undefined;
  return failure('this Node.js is too old to install the dependencies', {
    expected: `Node.js ${OLDEST_NODE.join('.')} or newer`,
    got: version,
    hint: 'install a newer Node.js; the one that lxmert-data runs on comes with its dependencies',
  });
}

function isLinked(node) {
  if (node === undefined || !existsSync(linkedNode) || !existsSync(join(modules, '.bin', 'node')))
    return false;
  return statSync(linkedNode).size === statSync(node).size;
}

/**
 * Does what the install script of the npm package `node` would do, with the package that the lockfile holds to its hash:
 * gives the program its name there and in .bin, so that tools in node_modules run on it.
 */
function link(node) {
  try {
    mkdirSync(dirname(linkedNode), { recursive: true });
    replaceWith(linkedNode, path => linkOrPoint(node, path));
    replaceWith(join(modules, '.bin', 'node'), path => symlinkSync(join('..', 'node', 'bin', 'node'), path));
  } catch (error) {
    // Only tools that are started by hand need these names; whoever may not write here goes on without.
    if (!['EACCES', 'EPERM', 'EROFS'].includes(error.code)) throw error;
  }
}

/** Makes `path` anew and replaces what has that name, so that commands started at the same time do not meet. */
function replaceWith(path, make) {
  const temporary = `${path}.${process.pid}`;
  make(temporary);
  renameSync(temporary, path);
}

/** A hard link, or a symbolic one where the file system has no hard links. */
function linkOrPoint(target, path) {
  try {
    linkSync(target, path);
  } catch {
    symlinkSync(target, path);
  }
}

function run(node, args) {
  const child = spawn(node, args, { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', () => stopIf(explainNode(node, version)));
  child.on('exit', (code, signal) => {
    // The loader has printed its own line by then; this one adds what to do.
    if (code === CANNOT_RUN) stopIf(explainNode(node, version));
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1);
  });
}

/** Ends with this error, if there is one. */
function stopIf(error) {
  if (error === undefined) return;
  console.error(error);
  process.exit(1);
}
