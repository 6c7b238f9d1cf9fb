import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { createHttpClient } from '../../pipeline/net/client.ts';
import { downloadFile } from '../../pipeline/net/download-file.ts';
import { MirrorFault } from '../../pipeline/net/mirror-fault.ts';
import type { FaultKind } from '../../pipeline/net/mirror-fault.ts';
import { baidu } from '../../pipeline/mirrors/baidu.ts';
import { startBaiduServer } from '../helpers/baidu-server.ts';
import type { BaiduTrouble } from '../helpers/baidu-server.ts';
import { fastOptions, makeTemporaryFolder, makeZipLike } from '../helpers/downloads.ts';

const BYTES = makeZipLike(200_000);
const FILES = [
  { path: 'vqa/train.json', bytes: Buffer.from('[1]') },
  { path: 'mscoco/a.zip', bytes: BYTES },
  { path: 'mscoco/README.txt', bytes: Buffer.from('x') },
  { path: 'nlvr2/b.zip.ab', bytes: BYTES.subarray(150_000) },
  { path: 'nlvr2/b.zip.aa', bytes: BYTES.subarray(0, 150_000) },
  { path: 'nlvr2/README.txt', bytes: Buffer.from('cat') },
];

async function setUp(
  t: ExecutionContext,
  trouble: BaiduTrouble = {},
  more: { code?: string; cookie?: string } = {},
) {
  const server = await startBaiduServer(FILES, trouble);
  const client = createHttpClient({ environment: {} });
  t.teardown(async () => {
    client.close();
    await server.close();
  });
  const entry = { provider: 'baidu', title: '', share: '1abc', code: more.code ?? 'wwma' };
  const provider = baidu.create(
    'baidu',
    { ...entry, base: server.url, allow_http: true },
    {
      client,
      signal: new AbortController().signal,
      environment: { BAIDU_COOKIE: more.cookie ?? server.session },
      givenBase: server.url,
    },
  );
  return { provider, server, folder: await makeTemporaryFolder(t) };
}

async function testRight(t: ExecutionContext, trouble: BaiduTrouble) {
  const { provider, folder } = await setUp(t, trouble);
  const remote = await provider.locate({ location: { path: 'mscoco/a.zip' }, shape: 'zip' });
  t.is(remote.sizeBytes, BYTES.length);
  await downloadFile(remote, fastOptions(join(folder, 'a.zip')));
  t.true((await readFile(join(folder, 'a.zip'))).equals(BYTES));
}
test('a file of the share, over pages of the listing', testRight, {});
test('links that have run out are asked for again', testRight, { expiredLinks: 2 });

test('the parts of a cut archive come in order', async t => {
  const { provider, folder } = await setUp(t);
  const remotes = await provider.locateParts!('nlvr2/b.zip.*', 'zip');
  t.deepEqual(
    remotes.map(({ remote }) => remote.shape),
    ['zip', 'part'],
  );
  const parts: Buffer[] = [];
  for (const [index, { remote }] of remotes.entries()) {
    await downloadFile(remote, fastOptions(join(folder, String(index))));
    parts.push(await readFile(join(folder, String(index))));
  }
  t.true(Buffer.concat(parts).equals(BYTES));
});

test('an archive that was not cut is its own part', async t => {
  const { provider } = await setUp(t);
  const remotes = await provider.locateParts!('mscoco/a.zip.*', 'zip');
  t.deepEqual(
    remotes.map(({ remote }) => [remote.shape, remote.sizeBytes]),
    [['zip', BYTES.length]],
  );
});

async function testFault(
  t: ExecutionContext,
  path: string,
  trouble: BaiduTrouble,
  more: { code?: string; cookie?: string },
  kind: FaultKind,
  message: RegExp,
) {
  const { provider, folder } = await setUp(t, trouble, more);
  const fault = await t.throwsAsync(
    async () =>
      downloadFile(
        await provider.locate({ location: { path }, shape: 'zip' }),
        fastOptions(join(folder, 'x')),
      ),
    { instanceOf: MirrorFault, message },
  );
  t.is(fault.kind, kind);
  t.false(fault.message.includes('session='));
}
const A = 'mscoco/a.zip';
test('without a cookie', testFault, A, {}, { cookie: '' }, 'sign-in', /BAIDU_COOKIE is not set/);
test('a cookie that is not logged in', testFault, A, {}, { cookie: 'BDUSS=other' }, 'sign-in', /errno -6/);
test(
  'a wrong code',
  testFault,
  A,
  {},
  { code: 'xxxx' },
  'forbidden',
  /wrong access code \(errno -130, mispwd-9\)/,
);
test('no such file', testFault, 'mscoco/x.zip', {}, {}, 'gone', /there: a\.zip, README\.txt/);
test('no such folder', testFault, 'x/y.zip', {}, {}, 'gone', /no "x"/);
test('a captcha is wanted', testFault, A, { listErrno: -62 }, {}, 'forbidden', /captcha/);
test('the share is gone', testFault, A, { listErrno: 105 }, {}, 'gone', /does not exist/);
test('links are not given', testFault, A, { downloadErrno: -20 }, {}, 'forbidden', /saved to your own disk/);
test('the signature has always run out', testFault, A, { downloadErrno: 112 }, {}, 'expired', /run out/);
test('a refused link', testFault, A, { refuse: 'forbidden' }, {}, 'forbidden', /31362/);
test('a refusal with status 200', testFault, A, { refuse: 'json' }, {}, 'sign-in', /31326/);
