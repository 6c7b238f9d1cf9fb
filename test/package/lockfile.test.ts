import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { NODE_PACKAGES } from '../../bin/pinned-node.mjs';
import { ROOT } from '../helpers/cli.ts';

interface Entry {
  readonly version?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
}

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
}

async function readManifest(): Promise<Manifest> {
  return JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as Manifest;
}

async function readLock(): Promise<readonly (readonly [string, Entry])[]> {
  const text = await readFile(join(ROOT, 'package-lock.json'), 'utf8');
  const { packages } = JSON.parse(text) as { packages: Readonly<Record<string, Entry>> };
  return Object.entries(packages)
    .filter(([path]) => path !== '')
    .map(([path, entry]) => [path.split('node_modules/').at(-1)!, entry]);
}

test('every package in the lockfile has an integrity hash, and none names a registry', async t => {
  for (const [name, { integrity, resolved }] of await readLock()) {
    t.regex(integrity ?? '', /^sha512-/, name);
    t.is(resolved, undefined, name);
  }
});

test('one version of Node.js is pinned, for each platform by its package', async t => {
  const { devDependencies, optionalDependencies } = await readManifest();
  for (const name of Object.values(NODE_PACKAGES))
    t.is(optionalDependencies[name], devDependencies['node'], name);
});

test('versions in package.json are exact', async t => {
  const { dependencies, devDependencies, optionalDependencies } = await readManifest();
  for (const [name, version] of Object.entries({
    ...dependencies,
    ...devDependencies,
    ...optionalDependencies,
  }))
    t.regex(version, /^\d+\.\d+\.\d+$/, name);
});

/** Rows of the first table below a heading: the texts of their cells. */
function readTable(text: string, heading: string): readonly (readonly string[])[] {
  const section = `\n${text}`.split(`\n${heading}\n`)[1]!.split('\n## ')[0]!;
  return section
    .split('\n')
    .filter(line => line.startsWith('| `'))
    .map(line => line.split('|').map(cell => cell.trim().replaceAll('`', '')));
}

test('docs/dependencies.md names each dependency with its licence and reason', async t => {
  const { dependencies, optionalDependencies } = await readManifest();
  const text = await readFile(join(ROOT, 'docs', 'dependencies.md'), 'utf8');
  const rows = readTable(text, '# Dependencies');
  const names = Object.keys({ ...dependencies, ...optionalDependencies }).sort();
  t.deepEqual(rows.map(([, name]) => name).sort(), names);
  const lock = new Map(await readLock());
  for (const [, name, licence, reason] of rows) {
    t.is(licence, (lock.get(name!) as { license?: string } | undefined)?.license, name);
    t.true(reason !== undefined && reason.length > 10, name);
  }
});

test('docs/dependencies.md names each package that has an install script', async t => {
  const text = await readFile(join(ROOT, 'docs', 'dependencies.md'), 'utf8');
  const documented = readTable(text, '## Install scripts').map(([, name]) => name);
  const scripted = (await readLock()).filter(([, entry]) => entry.hasInstallScript === true);
  t.deepEqual(documented.toSorted(), [...new Set(scripted.map(([name]) => name))].sort());
});

test('no install script runs in a checkout', async t => {
  t.regex(await readFile(join(ROOT, '.npmrc'), 'utf8'), /^ignore-scripts=true$/m);
});
