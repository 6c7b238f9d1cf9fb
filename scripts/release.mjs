// Makes the npm tarball and the Python wheel, and tries both in an empty folder. Nothing is published without --publish.
// node scripts/release.mjs [--out DIR] [--set-version X.Y.Z] [--publish]
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const PYTHON_VERSION = join(root, 'reader', 'src', 'lxmert_data', '_version.py');
const { values } = parseArgs({
  options: {
    out: { type: 'string', default: join(root, 'dist-release') },
    'set-version': { type: 'string' },
    publish: { type: 'boolean', default: false },
  },
});

main(resolve(values.out));

function main(out) {
  if (values['set-version'] !== undefined) setVersion(values['set-version']);
  const version = readVersion();
  if (values.publish) checkTag(version);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const tarball = makeTarball(out);
  const wheel = makeWheel(out);
  const trial = mkdtempSync(join(tmpdir(), 'lxmert-data-release-'));
  try {
    tryTarball(tarball, join(trial, 'npm'), version);
    tryWheel(wheel, join(trial, 'python'), version);
  } finally {
    rmSync(trial, { recursive: true, force: true });
  }
  console.log(`${tarball}\n${wheel}\nboth install and run in an empty folder`);
  if (!values.publish) return;
  run(root, 'npm', 'publish', '--ignore-scripts', tarball);
  run(root, 'python3', '-m', 'twine', 'upload', wheel);
}

/** Writes the version to the three files that hold it; a test compares them. */
function setVersion(version) {
  if (!/^\d+\.\d+\.\d+$/.test(version)) fail(`--set-version takes a version such as 1.2.3, got ${version}`);
  run(root, 'npm', 'version', version, '--no-git-tag-version', '--allow-same-version', '--ignore-scripts');
  const text = readFileSync(PYTHON_VERSION, 'utf8');
  writeFileSync(PYTHON_VERSION, text.replace(/__version__ = ".*"/, `__version__ = "${version}"`));
}

function readVersion() {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const python = /__version__ = "(.*)"/.exec(readFileSync(PYTHON_VERSION, 'utf8'))[1];
  if (python !== version)
    fail(`package.json has version ${version}, ${PYTHON_VERSION} ${python}; use --set-version`);
  return version;
}

/** What is published is what a tag names. */
function checkTag(version) {
  if (run(root, 'git', 'status', '--porcelain').trim() !== '')
    fail('the working tree has changes; commit them first');
  const tags = run(root, 'git', 'tag', '--points-at', 'HEAD').split('\n');
  if (!tags.includes(`v${version}`)) fail(`this commit has no tag v${version}; git tag v${version}`);
}

function makeTarball(out) {
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  run(root, 'npm', 'run', 'build');
  const [{ filename, files }] = JSON.parse(
    run(root, 'npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', out),
  );
  for (const needed of [
    'dist/cli/main.js',
    'bin/lxmert-data.mjs',
    'reader/pyproject.toml',
    'reader/src/lxmert_data/__init__.py',
  ])
    if (!files.some(({ path }) => path === needed)) fail(`the npm tarball lacks ${needed}`);
  return join(out, filename);
}

function makeWheel(out) {
  run(
    root,
    'python3',
    '-m',
    'pip',
    'wheel',
    '--quiet',
    '--no-deps',
    '--wheel-dir',
    out,
    join(root, 'reader'),
  );
  rmSync(join(root, 'reader', 'build'), { recursive: true, force: true });
  return join(
    out,
    readdirSync(out).find(name => name.endsWith('.whl')),
  );
}

function tryTarball(tarball, folder, version) {
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{"private":true,"type":"module"}');
  run(folder, 'npm', 'install', '--no-audit', '--no-fund', '--loglevel=error', tarball);
  const found = run(folder, join(folder, 'node_modules', '.bin', 'lxmert-data'), '--version').trim();
  if (!found.includes(version)) fail(`the installed command has version ${found}, not ${version}`);
  run(folder, process.execPath, '--input-type=module', '-e', "await import('lxmert-data')");
}

function tryWheel(wheel, folder, version) {
  run(root, 'python3', '-m', 'venv', folder);
  const python = join(folder, 'bin', 'python');
  run(root, python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', wheel);
  const code = 'import lxmert_data, lxmert_data.export as e; print(lxmert_data.__version__, *e.FORMATS)';
  const found = run(folder, python, '-c', code).trim();
  if (!found.startsWith(`${version} `)) fail(`the wheel has version ${found}, not ${version}`);
}

/** Runs a program and returns its standard output; ends where it fails. */
function run(cwd, program, ...args) {
  const { status, stdout, error } = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0)
    fail(`${program} ${args.join(' ')} failed: ${error?.message ?? `exit code ${status}`}\n${stdout ?? ''}`);
  return stdout;
}

function fail(message) {
  console.error(`error: ${message}`);
  process.exit(1);
}
