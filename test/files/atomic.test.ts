import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import test from 'ava';
import {
  copyAtomically,
  createPartial,
  createPartialFolder,
  moveAtomically,
  writeAtomically,
} from '../../pipeline/files/atomic.ts';
import { claimPartialPath, removeStalePartials } from '../../pipeline/files/partial-names.ts';
import { ROOT } from '../helpers/cli.ts';
import { makeTempFolder } from '../helpers/temp.ts';
import { canTrace, traceScript } from '../helpers/trace.ts';

const ATOMIC = JSON.stringify(join(ROOT, 'pipeline', 'files', 'atomic.ts'));
const EXISTS = { code: 'ERR_OUTPUT_EXISTS' };

test('a file gets its name when it is whole, with the usual mode, and leaves nothing else', async t => {
  const folder = await makeTempFolder(t);
  const path = join(folder, 'a.json');
  const size = await writeAtomically(path, 'test', async (handle, partialPath) => {
    await handle.writeFile('whole');
    t.is(await readFile(partialPath, 'utf8'), 'whole');
    t.regex(basename(partialPath), /^a\.json\.[A-Za-z0-9-]+-\d+-[0-9a-f]{12}\.test\.partial$/);
    t.deepEqual(await readdir(folder), [basename(partialPath)]);
    return 5;
  });
  t.is(size, 5);
  t.deepEqual(await readdir(folder), ['a.json']);
  await writeFile(join(folder, 'plain'), '');
  t.is((await stat(path)).mode, (await stat(join(folder, 'plain'))).mode);
  t.is((await stat(path)).nlink, 1);
});

test('a writer that fails leaves the old file and nothing else', async t => {
  const folder = await makeTempFolder(t);
  const path = join(folder, 'a');
  await writeFile(path, 'old');
  const write = writeAtomically(path, 'test', () => Promise.reject(new Error('no more')), { force: true });
  await t.throwsAsync(write, { message: 'no more' });
  t.deepEqual([await readdir(folder), await readFile(path, 'utf8')], [['a'], 'old']);
});

test('without force a file that appears meanwhile stays, with force it is replaced', async t => {
  const folder = await makeTempFolder(t);
  const path = join(folder, 'a');
  const partial = await createPartial(path, 'test');
  await writeFile(path, 'theirs');
  await t.throwsAsync(partial.publish(), EXISTS);
  await partial.discard();
  t.deepEqual([await readdir(folder), await readFile(path, 'utf8')], [['a'], 'theirs']);
  await writeAtomically(path, 'test', handle => handle.writeFile('ours'), { force: true });
  t.is(await readFile(path, 'utf8'), 'ours');
});

test('nothing is written through a link at the final name', async t => {
  const folder = await makeTempFolder(t);
  const victim = join(folder, 'victim');
  await writeFile(victim, 'precious');
  const path = join(folder, 'a');
  await symlink(victim, path);
  await t.throwsAsync(
    writeAtomically(path, 'test', handle => handle.writeFile('ours')),
    EXISTS,
  );
  t.is(await readlink(path), victim);
  await writeAtomically(path, 'test', handle => handle.writeFile('ours'), { force: true });
  t.deepEqual([await readFile(victim, 'utf8'), await readFile(path, 'utf8')], ['precious', 'ours']);
  // A link that leads nowhere is something too.
  await symlink(join(folder, 'nowhere'), join(folder, 'b'));
  await t.throwsAsync(
    writeAtomically(join(folder, 'b'), 'test', handle => handle.writeFile('ours')),
    EXISTS,
  );
  t.false((await readdir(folder)).includes('nowhere'));
});

test('temporary names cannot be foreseen: two of one file and process differ', t => {
  t.not(claimPartialPath('/x/a', 'test'), claimPartialPath('/x/a', 'test'));
});

test('links at the temporary names of former releases change nothing', async t => {
  const folder = await makeTempFolder(t);
  const victim = join(folder, 'victim');
  await writeFile(victim, 'precious');
  const path = join(folder, 'a');
  const old = basename(claimPartialPath(path, 'test')).replace(/-[0-9a-f]{12}\./, '.');
  for (const name of [old, 'a.partial']) await symlink(victim, join(folder, name));
  await writeAtomically(path, 'test', handle => handle.writeFile('ours'));
  t.is(await readFile(victim, 'utf8'), 'precious');
  t.deepEqual((await readdir(folder)).sort(), ['a', 'a.partial', old, 'victim'].sort());
});

test('a temporary file that somebody replaced is neither published nor removed', async t => {
  const folder = await makeTempFolder(t);
  const partial = await createPartial(join(folder, 'a'), 'test');
  await unlink(partial.path);
  await writeFile(partial.path, 'planted');
  await t.throwsAsync(partial.publish(), { code: 'ERR_IO' });
  await partial.discard();
  t.deepEqual(await readdir(folder), [basename(partial.path)]);
  t.is(await readFile(partial.path, 'utf8'), 'planted');
});

test('a folder that somebody put in place of the first one gets nothing', async t => {
  const parent = await makeTempFolder(t);
  const folder = join(parent, 'out');
  for (const make of [createPartial, createPartialFolder]) {
    await mkdir(folder);
    const partial = await make(join(folder, 'a'), 'test');
    await rename(folder, join(parent, 'away'));
    await mkdir(folder);
    await t.throwsAsync(partial.publish(), { code: 'ERR_IO' });
    await partial.discard();
    t.deepEqual(await readdir(folder), []);
    await rm(folder, { recursive: true });
    await rm(join(parent, 'away'), { recursive: true });
  }
});

test('a folder is private until it is published, then has the usual mode', async t => {
  const parent = await makeTempFolder(t);
  const path = join(parent, 'export');
  const partial = await createPartialFolder(path, 'test');
  const [shell] = await readdir(parent);
  t.is((await stat(join(parent, shell!))).mode & 0o777, 0o700);
  await mkdir(join(partial.path, 'sub'));
  await writeFile(join(partial.path, 'sub', 'x'), 'x');
  await partial.publish();
  t.deepEqual(await readdir(parent), ['export']);
  await mkdir(join(parent, 'plain'));
  t.is((await stat(path)).mode, (await stat(join(parent, 'plain'))).mode);
  const second = await createPartialFolder(path, 'test');
  await t.throwsAsync(second.publish(), EXISTS);
  await second.discard();
  t.deepEqual((await readdir(parent)).sort(), ['export', 'plain']);
});

test('leftovers of killed runs of this machine go, in the names of now and of before; all else stays', async t => {
  const folder = await makeTempFolder(t);
  const path = join(folder, 'a');
  const own = basename(claimPartialPath(path, 'test'));
  const dead = own.replace(`-${process.pid}-`, '-999999999-');
  const old = dead.replace(/-[0-9a-f]{12}\./, '.');
  const running = own.replace(`-${process.pid}-`, `-${process.ppid}-`);
  const stay = [
    own,
    running,
    dead.replace('a.', 'a.of-another-host-'),
    dead.replace('a.', 'b.'),
    `${dead}.txt`,
  ];
  for (const name of [dead, old, ...stay]) await writeFile(join(folder, name), '');
  await writeFile(join(folder, 'victim'), 'precious');
  const link = dead.replace(/[0-9a-f]{12}/, '000000000000');
  await symlink('victim', join(folder, link));
  const deadFolder = dead.replace(/[0-9a-f]{12}/, '111111111111');
  await mkdir(join(folder, deadFolder));
  await mkdir(join(folder, 'kept'));
  await writeFile(join(folder, 'kept', 'x'), '');
  await symlink(join(folder, 'kept'), join(folder, deadFolder, 'link'));
  t.deepEqual([...(await removeStalePartials(path))].sort(), [dead, deadFolder, old].sort());
  t.deepEqual((await readdir(folder)).sort(), [...stay, link, 'kept', 'victim'].sort());
  t.deepEqual(await readdir(join(folder, 'kept')), ['x']);
  t.true(hostname().length > 0);
});

test('a copy is checked before it gets its name', async t => {
  const folder = await makeTempFolder(t);
  const from = join(folder, 'from');
  await writeFile(from, 'content');
  const check = (): Promise<never> => Promise.reject(new Error('differs'));
  await t.throwsAsync(copyAtomically(from, join(folder, 'to'), { check }), { message: 'differs' });
  t.deepEqual(await readdir(folder), ['from']);
  await copyAtomically(from, join(folder, 'to'));
  t.is(await readFile(join(folder, 'to'), 'utf8'), 'content');
});

test('a move to another file system copies', async t => {
  const folder = await makeTempFolder(t);
  const other = await mkdtemp('/dev/shm/lxmert-data-test-').catch(() => undefined);
  if (other === undefined || (await stat(other)).dev === (await stat(folder)).dev) {
    t.log('skipped: /dev/shm is not another file system here');
    t.pass();
    return;
  }
  t.teardown(() => rm(other, { recursive: true }));
  const from = join(other, 'from');
  await writeFile(from, 'content');
  await moveAtomically(from, join(folder, 'to'));
  t.deepEqual([await readdir(folder), await readdir(other)], [['to'], []]);
  t.is(await readFile(join(folder, 'to'), 'utf8'), 'content');
});

test('what is moved in must be a regular file with one name', async t => {
  const folder = await makeTempFolder(t);
  await writeFile(join(folder, 'victim'), 'precious');
  await symlink('victim', join(folder, 'link'));
  await t.throwsAsync(moveAtomically(join(folder, 'link'), join(folder, 'to')), { code: 'ERR_IO' });
  t.deepEqual((await readdir(folder)).sort(), ['link', 'victim']);
});

test('the file is synced before it gets its name, the folder after', async t => {
  if (!canTrace(t)) return;
  const folder = await makeTempFolder(t);
  const write = (name: string, options: string): string => `
    import { writeAtomically } from ${ATOMIC};
    await writeAtomically(${JSON.stringify(join(folder, name))}, 'test', file => file.writeFile('x'), ${options});`;
  const calls = 'fsync,fdatasync,rename,renameat,renameat2,link,linkat';
  for (const [name, options, naming] of [
    ['a', '{}', 'link'],
    ['b', '{ force: true }', 'rename'],
  ] as const) {
    const traced = await traceScript(write(name, options), calls);
    const ours = traced.calls.filter(call => call.includes(folder));
    t.is(ours.length, 3, ours.join('\n'));
    t.regex(ours[0]!, /^fsync\(\d+<.*\.test\.partial>\) += 0/);
    t.true(ours[1]!.startsWith(naming), ours[1]);
    t.regex(ours[2]!, /^fsync\(\d+<[^<>]*\/lxmert-data-test-[^/<>]*>\) += 0/);
  }
});

test('where a file system has no hard links a file is renamed, and still replaces nothing', async t => {
  if (!canTrace(t)) return;
  const folder = await makeTempFolder(t);
  const script = `
    import { writeAtomically } from ${ATOMIC};
    const write = () => writeAtomically(${JSON.stringify(join(folder, 'a'))}, 'test', file => file.writeFile('x'));
    await write();
    await write().catch(error => console.log(error.code));`;
  const { stdout, calls } = await traceScript(script, 'link,linkat', ['link,linkat:error=EPERM']);
  t.true(calls.some(call => call.includes('INJECTED')));
  t.is(stdout, 'ERR_OUTPUT_EXISTS\n');
  t.deepEqual(await readdir(folder), ['a']);
});

test('a folder that cannot be synced is no failure, a failing disk is one', async t => {
  if (!canTrace(t)) return;
  const folder = await makeTempFolder(t);
  const script = `
    import { writeAtomically } from ${ATOMIC};
    const path = ${JSON.stringify(join(folder, 'a'))};
    await writeAtomically(path, 'test', file => file.writeFile('x'), { force: true }).then(
      () => console.log('written'), error => console.log(error.code));`;
  for (const [error, expected] of [
    ['ENOSYS', 'written\n'],
    ['EIO', 'ERR_IO\n'],
  ] as const) {
    // The first sync is the file's.
    const { stdout, calls } = await traceScript(script, 'fsync', [`fsync:error=${error}:when=2`]);
    t.true(calls.some(call => call.includes('INJECTED')));
    t.is(stdout, expected);
  }
});

test('kill -9 at any call leaves the old file or the new one, and the next run removes what is left', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'lxmert-data-test-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const path = join(folder, 'a');
  const script = `
    import { writeAtomically } from ${ATOMIC};
    for (let round = 0; ; round++) {
      await writeAtomically(${JSON.stringify(path)}, 'test',
        file => file.writeFile(String(round % 10).repeat(300_000)), { force: true });
      if (round === 3) console.log('running');
    }`;
  for (let kill = 0; kill < 8; kill++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    for (let turn = 0; turn < kill * 7; turn++) await new Promise(setImmediate);
    child.kill('SIGKILL');
    await once(child, 'close');
    const content = await readFile(path, 'utf8');
    t.is(content, content[0]!.repeat(300_000));
    await removeStalePartials(path);
    t.deepEqual(await readdir(folder), ['a']);
  }
});
