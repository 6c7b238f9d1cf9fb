import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import test from 'ava';
import { ROOT } from './helpers/cli.ts';

const PIPELINE = join(ROOT, 'pipeline');

async function readSources(): Promise<Map<string, string>> {
  const names = (await readdir(PIPELINE, { recursive: true })).filter(name => name.endsWith('.ts'));
  return new Map(
    await Promise.all(names.map(async name => [name, await readFile(join(PIPELINE, name), 'utf8')] as const)),
  );
}

/** Imports of a file, dynamic ones and worker modules included; paths relative to `pipeline`. */
function importsOf(name: string, text: string): string[] {
  const found = [
    ...text.matchAll(/^(?:import|export)[^'"]*?from '([^']+)'/gms),
    ...text.matchAll(/\bimport\('([^']+)'\)/g),
  ].map(match => match[1]!);
  for (const [, module] of text.matchAll(/import\.meta\.url, '(\.[^']+)'/g)) found.push(`${module!}.ts`);
  return found.map(path =>
    path.startsWith('.') ? relative(PIPELINE, join(PIPELINE, dirname(name), path)) : path,
  );
}

/**
 * Layers from the top down. A file may import from its own layer and from those below.
 * Folders that share a layer do not import each other unless listed together in one pattern.
 */
const LAYERS: readonly RegExp[] = [
  /^cli\//,
  /^index\.ts$/,
  /^stages\//,
  /^export\//,
  /^fetch\//,
  /^report\//,
  /^inspection\//,
  /^extraction\/(apptainer|cluster|docker|embedded|torch)\//,
  /^extraction\//,
  /^detector\//,
  /^store\//,
  /^rows\//,
  /^manifest\//,
  /^(annotations|inputs)\//,
  /^mirrors\//,
  /^net\//,
  /^(workers|files|python)\//,
  /^(coco-ids|nearest-name|problem|json|schema|version|events|show-text|html-document)\.ts$/,
  /^errors\.ts$/,
];

test('imports point downward only', async t => {
  const layer = (name: string): number => LAYERS.findIndex(pattern => pattern.test(name));
  for (const [name, text] of await readSources()) {
    t.not(layer(name), -1, `${name} belongs to no layer`);
    for (const path of importsOf(name, text).filter(path => path.endsWith('.ts'))) {
      t.true(layer(path) >= layer(name), `${name} imports ${path}`);
    }
  }
});

test('stages import no stages', async t => {
  for (const [name, text] of await readSources()) {
    if (!name.startsWith('stages/')) continue;
    t.deepEqual(
      importsOf(name, text).filter(path => path.startsWith('stages/')),
      [],
      name,
    );
  }
});

test('each vendor is imported by one file', async t => {
  const importers = new Map<string, Set<string>>();
  for (const [name, text] of await readSources()) {
    for (const path of importsOf(name, text).filter(
      path => !path.endsWith('.ts') && !path.startsWith('node:'),
    )) {
      const vendor = path.split('/')[0]!;
      importers.set(vendor, (importers.get(vendor) ?? new Set()).add(name));
    }
  }
  t.true(importers.size > 0);
  for (const [vendor, names] of importers) t.is(names.size, 1, `${vendor}: ${[...names].join(', ')}`);
});

test('the scripts of pages import one another only, each those before it', async t => {
  const folder = join(PIPELINE, 'report', 'browser');
  const [, listed] = /const SCRIPTS = \[([^\]]*)\]/.exec(
    await readFile(join(PIPELINE, 'report', 'assets.ts'), 'utf8'),
  )!;
  const scripts = [...listed!.matchAll(/'([^']+)'/g)].map(match => match[1]!);
  t.deepEqual([...scripts].sort(), (await readdir(folder)).filter(name => name.endsWith('.js')).sort());
  for (const [place, name] of scripts.entries()) {
    const text = await readFile(join(folder, name), 'utf8');
    for (const [, from] of text.matchAll(/^import .* from '([^']+)';$/gm)) {
      t.true(scripts.slice(0, place).includes(from!.replace('./', '')), `${name} imports ${from!}`);
    }
    t.notRegex(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/, name);
  }
});

test('only the command line touches arguments, exit codes and the console', async t => {
  for (const [name, text] of await readSources()) {
    if (/^cli\/(main|run-command-line)\.ts$|\/program\.ts$/.test(name)) continue;
    t.notRegex(text, /process\.(argv|exit|exitCode)\b|console\./, name);
  }
});

test('no file names a registry or a path of the machine it was written on', async t => {
  const lock = await readFile(join(ROOT, 'package-lock.json'), 'utf8');
  t.notRegex(lock, /"resolved"/);
});
