import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { ROOT } from '../helpers/cli.ts';
import { copyCheckout, installTools, runIn, testInCi } from '../helpers/package.ts';
import { makeTempFolder } from '../helpers/temp.ts';
import { makeLines } from '../helpers/rows.ts';

/** What a program that uses the package does first. Everything it imports must work on the oldest Node.js of `engines`. */
const PROGRAM = `
import { convert, exportTsv, openStore, validate, verifyStore } from 'lxmert-data';
const context = { emit: () => undefined, signal: new AbortController().signal };
const checked = await validate({ files: ['a.tsv'] }, context);
const made = await convert({ files: ['a.tsv'], out: 'a.safetensors' }, context);
const half = await convert({ files: ['a.tsv'], out: 'half.safetensors', dtype: 'f16' }, context);
const verified = await verifyStore('a.safetensors', context);
await exportTsv({ store: 'a.safetensors', out: 'b.tsv' }, context);
const store = await openStore('half.safetensors');
const row = await store.row(0);
console.log(JSON.stringify({ node: process.version, ok: [checked.ok, made.ok, half.ok, verified.ok], id: row.imgId, features: row.features.length }));
await store.close();
`;

async function pack(t: ExecutionContext): Promise<string> {
  const checkout = await copyCheckout(t);
  await symlink(join(ROOT, 'node_modules'), join(checkout, 'node_modules'));
  await runIn(t, checkout, ['npm', 'run', 'build'], [join(ROOT, 'node_modules', '.bin')]);
  const { stdout } = await runIn(t, checkout, ['npm', 'pack', '--json', '--ignore-scripts']);
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  return join(checkout, filename);
}

async function readEngine(): Promise<string> {
  const { engines } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
    engines: { node: string };
  };
  return engines.node.replace('>=', '');
}

testInCi(
  'the packed package installs from the registry alone and works on the oldest Node.js that it names',
  async t => {
    t.timeout(600_000);
    const [tarball, folder] = [await pack(t), join(await makeTempFolder(t), 'project')];
    await mkdir(folder);
    const oldest = await readEngine();
    const bin = await installTools(t, { npm: '10.9.0', node: oldest });
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    const options = ['--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline'];
    await runIn(t, folder, ['npm', 'install', ...options, tarball], [bin]);
    await writeFile(join(folder, 'a.tsv'), makeLines(3).join(''));
    await writeFile(join(folder, 'program.js'), PROGRAM);
    const { stdout } = await runIn(t, folder, ['node', 'program.js'], [bin]);
    t.like(JSON.parse(stdout), { node: `v${oldest}`, ok: [true, true, true, true], features: 36 * 2048 });
    t.deepEqual(await readFile(join(folder, 'b.tsv')), await readFile(join(folder, 'a.tsv')));
    const command = join(folder, 'node_modules', '.bin', 'lxmert-data');
    const verified = await runIn(t, folder, [command, 'verify', 'a.safetensors'], [bin]);
    t.regex(verified.stdout, /a\.safetensors/);
  },
);
