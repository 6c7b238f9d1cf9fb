import { spawnSync } from 'node:child_process';
import { chmod, cp, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { makeDemoImages } from '../../pipeline/extraction/demo-images.ts';
import { ROOT, runCli, startProgram } from '../helpers/cli.ts';
import { makeLines, writeTsv } from '../helpers/rows.ts';
import { makeTempFolder } from '../helpers/temp.ts';
import { testWithTools } from '../helpers/tools.ts';

const MAIN = join(ROOT, 'pipeline', 'cli', 'main.ts');

test('a checkout whose path has blanks and characters of URLs works', async t => {
  const folder = await makeTempFolder(t);
  const checkout = join(folder, 'my data #1?a%20b');
  for (const part of ['pipeline', 'manifests', 'package.json', 'bin', 'scripts', 'reader/src/lxmert_data'])
    await cp(join(ROOT, part), join(checkout, part), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(checkout, 'node_modules'));
  await cp(join(ROOT, 'package-lock.json'), join(checkout, 'package-lock.json'));
  await writeTsv(checkout, makeLines(2), 'x.tsv');
  const bootstrap = join(checkout, 'scripts', 'bootstrap.mjs');
  for (const args of [
    ['convert', 'x.tsv'],
    ['verify', 'x.safetensors', '--against', 'x.tsv'],
    ['inspect', 'x.safetensors'],
  ]) {
    const { code, stderr } = await startProgram(process.execPath, [bootstrap, ...args], { cwd: checkout })
      .result;
    t.is(code, 0, stderr);
  }
});

/** A user without an entry in passwd and without any environment, who can enter this checkout. */
const NOBODY = ['--reuid', '12345', '--regid', '12345', '--clear-groups', 'env', '-i', process.execPath];
const canBeNobody = spawnSync('setpriv', [...NOBODY, MAIN, '--version']).status === 0;
const nobodyTest = canBeNobody ? test : test.skip;

nobodyTest('without a home, without an entry in passwd, and with data that cannot be written', async t => {
  const folder = await makeTempFolder(t);
  await chmod(folder, 0o755);
  await writeTsv(folder, makeLines(1), 'x.tsv');
  await makeDemoImages(join(folder, 'images'));
  await mkdir(join(folder, 'out'));
  await chmod(join(folder, 'out'), 0o777);
  await mkdir(join(folder, 'data'), { mode: 0o755 });
  const run = async (...args: string[]) =>
    await startProgram('setpriv', [...NOBODY, MAIN, ...args], { cwd: folder }).result;
  t.is((await run('convert', 'x.tsv', '--out', 'out/x')).code, 0);
  t.is((await run('status')).code, 0);
  t.notRegex((await run('doctor')).stdout, /uv_os_homedir|\n +at /);
  const extract = ['extract', 'custom', '--images', 'images', '--limit', '1', '--out', 'out/y.safetensors'];
  for (const args of [
    [...extract, '--backend', 'embedded', '--weights', 'untrained'],
    ['convert', 'x.tsv', '--out', 'data/x'],
    ['fetch', 'nlvr2', '--kind', 'json'],
    ['start', '--weights', 'untrained'],
  ]) {
    const { code, stderr } = await run(...args);
    t.is(code, 1, args.join(' '));
    t.regex(stderr, /permission denied/, args.join(' '));
    t.notRegex(stderr, /\n +at /, args.join(' '));
  }
});

/** A user namespace, in which a folder can be covered by a file system that is read-only. */
const READ_ONLY = ['-rm', 'sh', '-c', 'mount -t tmpfs -o ro none "$0" && exec "$@"'];
const canMount = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

(canMount ? test : test.skip)('data on a read-only file system is named in one sentence', async t => {
  const folder = await makeTempFolder(t);
  for (const args of [
    ['start', '--weights', 'untrained'],
    ['fetch', 'vqa'],
  ]) {
    const program = [process.execPath, MAIN, ...args, '--data', join(folder, 'a', 'b')];
    const { code, stderr } = await startProgram('unshare', [...READ_ONLY, folder, ...program], { cwd: ROOT })
      .result;
    t.is(code, 1, stderr);
    t.regex(stderr, /\/a: the file system is read-only/);
    t.notRegex(stderr, /no such file/);
  }
});

testWithTools('a limit of address space is named in one sentence', ['prlimit'], async t => {
  const folder = await makeTempFolder(t);
  await writeTsv(folder, makeLines(1), 'x.tsv');
  const limited = async (kilobytes: number, ...args: string[]) =>
    await startProgram(
      'bash',
      ['-c', 'ulimit -v "$1"; shift; exec "$@"', 'bash', String(kilobytes), ...args],
      // Modules that are compiled already need less.
      { cwd: folder, env: { XDG_CACHE_HOME: join(folder, 'cache') } },
    ).result;
  const converted = await limited(12_000_000, process.execPath, MAIN, 'convert', 'x.tsv');
  t.is(converted.code, 1);
  t.regex(
    converted.stderr,
    /^error: a thread got no memory\n {2}expected: about 32 GB .*ulimit -v unlimited/s,
  );
  t.notRegex(converted.stderr, /\n +at /);
  const code = `import(${JSON.stringify(join(ROOT, 'bin', 'pinned-node.mjs'))}).then(m => console.log(m.explainPlatform()))`;
  const refused = await limited(7_500_000, process.execPath, '-e', code);
  t.regex(
    refused.stdout,
    /^error: the limit of address space is too low.*32 GB.*7\.7 GB.*ulimit -v unlimited/s,
  );
});

test('status lists what another machine left, with its age and how to remove it', async t => {
  const folder = await makeTempFolder(t);
  await mkdir(join(folder, 'nlvr2_imgfeat'));
  const name = 'valid_obj36.safetensors.0123456789ab-7-0123456789ab.store.partial';
  await writeFile(join(folder, 'nlvr2_imgfeat', name), 'part');
  const { code, stdout } = await runCli(['status', '--data', folder]);
  t.is(code, 0);
  t.regex(
    stdout,
    /leftover of the machine 0123456789ab: .*, 4 bytes, written to [\d.]+ s ago; .*rm -r .*\.store\.partial\n/,
  );
});

test('compiled modules are kept where only this user writes, and nowhere else', async t => {
  const home = await makeTempFolder(t);
  const kept = join(home, 'lxmert-data', 'compiled');
  const run = async (): Promise<void> => {
    const { code, stderr } = await runCli(['fetch', '--list'], { env: { XDG_CACHE_HOME: home } });
    t.is(code, 0, stderr);
  };
  await run();
  t.deepEqual((await readdir(kept)).length, 1);
  const shared = await makeTempFolder(t);
  await mkdir(join(shared, 'lxmert-data', 'compiled'), { recursive: true });
  await chmod(join(shared, 'lxmert-data', 'compiled'), 0o777);
  const { code } = await runCli(['fetch', '--list'], { env: { XDG_CACHE_HOME: shared } });
  t.is(code, 0);
  t.deepEqual(await readdir(join(shared, 'lxmert-data', 'compiled')), []);
  // A place where no folder can be made.
  t.is((await runCli(['fetch', '--list'], { env: { XDG_CACHE_HOME: '/dev/null' } })).code, 0);
});
