import { execFile, spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { createHttpClient } from '../../pipeline/net/client.ts';
import { downloadFile } from '../../pipeline/net/download-file.ts';
import { MirrorFault } from '../../pipeline/net/mirror-fault.ts';
import type { FaultKind } from '../../pipeline/net/mirror-fault.ts';
import { googleDrive } from '../../pipeline/mirrors/google-drive.ts';
import { fastOptions, makeTemporaryFolder, makeZipLike } from '../helpers/downloads.ts';
import { startDriveServer } from '../helpers/drive-server.ts';
import type { DriveFile, DriveFolder, DriveServerOptions } from '../helpers/drive-server.ts';

const BYTES = makeZipLike(900_000);
const id = (name: string): string => name.padEnd(28, 'x');
const FILE: DriveFile = { id: id('file'), name: 'a & b\'s "file".zip', bytes: BYTES, isLarge: true };

function tree(file: Partial<DriveFile> = {}): DriveFolder {
  return {
    id: id('root'),
    name: 'LXMERT & co',
    folders: [
      {
        id: id('zips'),
        name: 'zips',
        files: [
          { ...FILE, ...file },
          { ...FILE, id: id('small'), name: 'small.zip', isLarge: false },
        ],
      },
      {
        id: id('twice'),
        name: 'twice',
        files: [
          { ...FILE, id: id('one') },
          { ...FILE, id: id('two') },
        ],
      },
      {
        id: id('case'),
        name: 'case',
        files: [
          { ...FILE, id: id('upper'), name: 'A.ZIP' },
          { ...FILE, id: id('lower'), name: 'a.zip' },
          { ...FILE, id: id('third'), name: 'A.zip' },
        ],
      },
      { id: id('empty'), name: 'empty' },
      { id: id('hidden'), name: 'hidden', trouble: 'private' },
    ],
    documents: [{ id: id('doc'), name: 'README' }],
  };
}

async function setUp(
  t: ExecutionContext,
  file: Partial<DriveFile> = {},
  key?: string,
  options: DriveServerOptions = {},
) {
  const server = await startDriveServer(tree(file), options);
  const client = createHttpClient({ environment: {} });
  t.teardown(async () => {
    client.close();
    await server.close();
  });
  const provider = googleDrive.create(
    'drive',
    { provider: 'google-drive', title: '', folder: id('root'), base: server.drive, allow_http: true },
    {
      client,
      signal: new AbortController().signal,
      environment: key === undefined ? {} : { GOOGLE_API_KEY: key },
      givenBase: server.drive,
    },
  );
  return { server, provider, folder: await makeTemporaryFolder(t) };
}

async function testRight(t: ExecutionContext, path: string, file: Partial<DriveFile> = {}, key?: string) {
  const { provider, folder, server } = await setUp(t, file, key, key === undefined ? {} : { key });
  const notes: string[] = [];
  const remote = await provider.locate({ location: { path }, shape: 'zip' });
  await downloadFile(remote, fastOptions(join(folder, 'x.zip'), { onNote: note => notes.push(note) }));
  t.true((await readFile(join(folder, 'x.zip'))).equals(BYTES));
  if (key !== undefined)
    t.false(
      server.requests.some(request => request.includes(key)),
      'the key is in no address',
    );
  t.false(notes.some(note => note.includes('uuid')));
}

async function testFault(
  t: ExecutionContext,
  path: string,
  file: Partial<DriveFile>,
  kind: FaultKind,
  message: RegExp,
  key?: string,
) {
  const { provider, folder } = await setUp(t, file, key, { key: 'right' });
  const fault = await t.throwsAsync(
    async () => {
      const remote = await provider.locate({ location: { path }, shape: 'zip' });
      await downloadFile(remote, fastOptions(join(folder, 'x.zip')));
    },
    { instanceOf: MirrorFault, message },
  );
  t.is(fault.kind, kind);
}

const LARGE = `zips/${FILE.name}`;
test('a large file comes through the virus-scan page', testRight, LARGE);
test('a small file comes at once', testRight, 'zips/small.zip');
test('connections cut after some bytes, each followed by a new warning page', testRight, LARGE, {
  cutAfter: 250_000,
});
test('a large file of a server that ignores ranges', testRight, LARGE, { ignoresRange: true });
test('with a key', testRight, LARGE, {}, 'secret-key');
test('with a key and cut connections', testRight, LARGE, { cutAfter: 250_000 }, 'secret-key');

test('over quota', testFault, LARGE, { trouble: 'quota' }, 'quota', /quota.*Too many users/);
test('private file', testFault, LARGE, { trouble: 'private' }, 'sign-in', /not shared/);
test('file gone', testFault, LARGE, { trouble: 'gone' }, 'gone', /does not have the file/);
test('robot page', testFault, LARGE, { trouble: 'robot' }, 'forbidden', /robot/);
test('no such file', testFault, 'zips/other.zip', {}, 'gone', /no file "zips\/other\.zip" \(there: a & b's/);
test('no such folder', testFault, 'nothing/other.zip', {}, 'gone', /no folder "nothing"/);
test('a document is no file', testFault, 'README', {}, 'gone', /no file "README"/);
test('an empty folder', testFault, 'empty/a.zip', {}, 'gone', /the folder is empty/);
test('a private folder', testFault, 'hidden/a.zip', {}, 'sign-in', /not shared/);
test('two files of one name', testFault, `twice/${FILE.name}`, {}, 'unsupported', /several files named/);
test(
  'over quota, with a key',
  testFault,
  LARGE,
  { trouble: 'quota' },
  'quota',
  /403: The download quota/,
  'right',
);
test('a wrong key', testFault, LARGE, {}, 'forbidden', /API key not valid/, 'wrong');
test('no such file, with a key', testFault, 'zips/x.zip', {}, 'gone', /no "zips\/x\.zip"/, 'right');
test(
  'two files of one name, with a key',
  testFault,
  `twice/${FILE.name}`,
  {},
  'unsupported',
  /several files named/,
  'right',
);

test('names that differ in case only are told apart over pages of the list', async t => {
  const { provider, server } = await setUp(t, {}, 'k', { key: 'k', pageSize: 1 });
  const remote = await provider.locate({ location: { path: 'case/A.zip' }, shape: 'zip' });
  t.is(remote.description, `Google Drive file ${id('third')}`);
  t.is(remote.sizeBytes, BYTES.length);
  t.is(server.requests.filter(request => request.includes('pageToken')).length, 2);
});

test('a folder of another id', async t => {
  const { server } = await setUp(t);
  const client = createHttpClient({ environment: {} });
  const provider = googleDrive.create(
    'drive',
    { provider: 'google-drive', title: '', folder: id('unknown'), base: server.drive, allow_http: true },
    { client, signal: new AbortController().signal, environment: {} },
  );
  await t.throwsAsync(provider.locate({ location: { path: 'a' }, shape: 'zip' }), {
    message: /has no folder unknown/,
  });
});

const PYTHON = process.env['GDOWN_PYTHON'] ?? 'python3';
const hasGdown = spawnSync(PYTHON, ['-c', 'import gdown']).status === 0;
const testWithGdown = hasGdown ? test : test.skip;

testWithGdown('the Drive server of these tests satisfies gdown', async t => {
  const folder = await makeTemporaryFolder(t);
  const server = await startDriveServer(
    { ...tree(), folders: tree().folders!.slice(0, 1), documents: [] },
    { realHosts: true },
  );
  t.teardown(() => server.close());
  const script = fileURLToPath(new URL('../helpers/run-gdown.py', import.meta.url));
  await promisify(execFile)(PYTHON, [script, server.drive, server.content, id('root'), join(folder, 'out')]);
  t.true((await readFile(join(folder, 'out/zips/small.zip'))).equals(BYTES));
  t.true(server.requests.some(request => request.includes('confirm=t')));
  // gdown makes file names safe in its own way.
  t.true((await readFile(join(folder, 'out/zips', FILE.name))).equals(BYTES));
});
