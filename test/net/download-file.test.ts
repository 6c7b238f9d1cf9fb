import { fork, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { unlinkSync } from 'node:fs';
import { readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { downloadFile } from '../../pipeline/net/download-file.ts';
import { MirrorFault } from '../../pipeline/net/mirror-fault.ts';
import type { FaultKind } from '../../pipeline/net/mirror-fault.ts';
import type { WatchdogOptions } from '../../pipeline/net/receive-range.ts';
import type { RemoteFile } from '../../pipeline/net/remote-file.ts';
import {
  FAST_WATCHDOG,
  fastOptions,
  makePlainRemote,
  makeTemporaryFolder,
  makeZipLike,
} from '../helpers/downloads.ts';
import { startFileServer, startServer } from '../helpers/file-server.ts';
import type { ServedFile, ServerFault } from '../helpers/file-server.ts';

const SIZE = 3_000_001;
const BYTES = makeZipLike(SIZE);

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

interface Case {
  readonly faults?: readonly ServerFault[];
  readonly file?: Partial<ServedFile>;
  readonly remote?: Partial<RemoteFile>;
  readonly connections?: number;
  readonly watchdog?: WatchdogOptions;
}

const WATCHED = { watchdog: FAST_WATCHDOG };

async function setUp(
  t: ExecutionContext,
  { faults = [], file = {}, remote = {}, connections = 1, watchdog }: Case,
) {
  const folder = await makeTemporaryFolder(t);
  const server = await startFileServer(
    () => ({ bytes: BYTES, ...file }),
    (_request, index) => faults[index] ?? { kind: 'none' },
  );
  t.teardown(() => server.close());
  const path = join(folder, 'a.zip');
  const notes: string[] = [];
  const options = fastOptions(path, { connections, watchdog, onNote: note => notes.push(note) });
  return { folder, server, path, notes, options, remote: makePlainRemote(t, `${server.url}a.zip`, remote) };
}

async function testRight(t: ExecutionContext, value: Case, requests?: number) {
  const { folder, server, path, options, remote } = await setUp(t, value);
  const result = await downloadFile(remote, options);
  const expected = value.file?.bytes ?? BYTES;
  t.deepEqual(result, { sizeBytes: expected.length, sha256: sha256(expected) });
  t.true((await readFile(path)).equals(expected));
  t.deepEqual(await readdir(folder), ['a.zip'], 'no partial file or journal is left');
  if (requests !== undefined) t.is(server.requests.length, requests);
}

async function testFault(t: ExecutionContext, value: Case, kind: FaultKind, message: RegExp) {
  const { folder, options, remote } = await setUp(t, value);
  const fault = await t.throwsAsync(downloadFile(remote, options), { instanceOf: MirrorFault, message });
  t.is(fault.kind, kind);
  t.false((await readdir(folder)).includes('a.zip'));
}

const cut = (bytes: number): ServerFault => ({ kind: 'cut', bytes });
const many = (fault: ServerFault): ServerFault[] => Array.from({ length: 50 }, () => fault);
const PAGE = '<!DOCTYPE html><html><title>Sorry</title></html>';

test('a file comes whole', testRight, {}, 1);
test('with four connections', testRight, { file: { bytes: makeZipLike(40 << 20) }, connections: 4 }, 3);
test(
  'a server that ignores ranges',
  testRight,
  { faults: many({ kind: 'ignore-range' }), connections: 4 },
  1,
);
test('a chunked answer', testRight, { faults: [{ kind: 'chunked' }] });
test('a connection cut in the body', testRight, { faults: [cut(1_000_000), cut(70_000)] }, 3);
test('a connection cut in the first bytes', testRight, { faults: [cut(3), cut(200)] });
test('a connection cut before the headers', testRight, { faults: [{ kind: 'reset' }, { kind: 'reset' }] }, 3);
test(
  'many cuts, each after some progress',
  testRight,
  { faults: Array.from({ length: 20 }, () => cut(100_000)) },
  21,
);
test('cuts on four connections', testRight, {
  file: { bytes: makeZipLike(40 << 20) },
  faults: Array.from({ length: 12 }, (_, i) => cut(i * 300_000)),
  connections: 4,
});
test('a stalled connection', testRight, { faults: [{ kind: 'stall', bytes: 500_000 }], ...WATCHED });
test('a stall before the first byte', testRight, { faults: [{ kind: 'stall', bytes: 0 }], ...WATCHED });
test('a slow drip is a stall', testRight, { faults: [{ kind: 'drip' }], ...WATCHED });
test(
  'busy, with Retry-After in seconds',
  testRight,
  { faults: [{ kind: 'status', status: 503, headers: { 'retry-after': '1' } }] },
  2,
);
test(
  'busy, without',
  testRight,
  {
    faults: [
      { kind: 'status', status: 429 },
      { kind: 'status', status: 500 },
    ],
  },
  3,
);
test('a break, then the server ignores the range', testRight, {
  faults: [cut(900_000), { kind: 'ignore-range' }],
});
test('a break, then 416', testRight, { faults: [cut(900_000), { kind: 'status', status: 416 }] });
test('no ETag, no date: what came before the break is compared', testRight, {
  file: { etag: null, lastModified: null },
  faults: [cut(900_000), cut(0), cut(300_000)],
});
test('a weak ETag', testRight, { file: { etag: 'W/"v1"', lastModified: null }, faults: [cut(900_000)] });
test('a tiny file', testRight, { file: { bytes: makeZipLike(5) } }, 1);
test('a known size and hashes', testRight, {
  remote: { sizeBytes: SIZE, sha256: sha256(BYTES), md5: createHash('md5').update(BYTES).digest('hex') },
  faults: [cut(1_000_000)],
});
test('no length, but a known size', testRight, {
  faults: [{ kind: 'no-length' }],
  remote: { sizeBytes: SIZE },
});
test('a clean but short end, with a known size', testRight, {
  faults: [{ kind: 'short-without-length', bytes: 1_000_000 }],
  remote: { sizeBytes: SIZE },
});
test('more bytes than announced are not taken', testRight, { faults: [{ kind: 'extra-bytes' }] });

test(
  'gone',
  testFault,
  { faults: many({ kind: 'status', status: 404 }) },
  'gone',
  /404 \(a page titled "no"\)/,
);
test('forbidden', testFault, { faults: many({ kind: 'status', status: 403 }) }, 'forbidden', /403/);
test('busy for ever', testFault, { faults: many({ kind: 'status', status: 503 }) }, 'busy', /503/);
test(
  'busy for an hour',
  testFault,
  { faults: many({ kind: 'status', status: 503, headers: { 'retry-after': '3600' } }) },
  'busy',
  /503/,
);
test('cut for ever without progress', testFault, { faults: many(cut(0)) }, 'network', /./);
test(
  'a page with status 200',
  testFault,
  { faults: many({ kind: 'page', type: 'text/html; charset=utf-8', page: PAGE }) },
  'not-the-file',
  /text\/html.*"Sorry"/,
);
test(
  'an error message with status 200',
  testFault,
  { faults: many({ kind: 'page', type: 'application/json', page: '{"errno": -6}' }) },
  'not-the-file',
  /application\/json/,
);
test(
  'a page named as a file',
  testFault,
  { faults: many({ kind: 'page-as-file', page: PAGE }) },
  'not-the-file',
  /a web page comes instead of a zip archive/,
);
test(
  'an error message named as a file',
  testFault,
  { faults: many({ kind: 'page-as-file', page: '{"error_code":31360}' }), remote: { shape: 'json' } },
  'not-the-file',
  /an error message comes/,
);
test(
  'other bytes than a zip',
  testFault,
  { file: { bytes: Buffer.alloc(9000, 7) } },
  'not-the-file',
  /something else/,
);
test(
  'an empty file',
  testFault,
  { file: { bytes: Buffer.alloc(0) }, faults: many({ kind: 'ignore-range' }) },
  'wrong-size',
  /empty/,
);
test(
  'another size than known',
  testFault,
  { remote: { sizeBytes: SIZE + 1 } },
  'wrong-size',
  /3000001 bytes, expected 3000002/,
);
test(
  'another hash than known',
  testFault,
  { remote: { sha256: '0'.repeat(64) } },
  'wrong-hash',
  /another one: sha256/,
);
test(
  'another md5 than known',
  testFault,
  { remote: { md5: '0'.repeat(32) } },
  'wrong-hash',
  /another one: md5/,
);
test(
  '206 from another start',
  testFault,
  { faults: [cut(900_000), ...many({ kind: 'wrong-start', by: -5 })] },
  'unsupported',
  /asked for bytes 900000|asked for bytes/,
);
test(
  '206 from a later start',
  testFault,
  { faults: many({ kind: 'wrong-start', by: 3 }) },
  'unsupported',
  /the server sends bytes 3-/,
);
test(
  '206 with another total',
  testFault,
  { faults: [cut(900_000), ...many({ kind: 'wrong-total' })].slice(0, 2), remote: { sizeBytes: SIZE + 5 } },
  'wrong-size',
  /expected/,
);
test(
  '206 without Content-Range',
  testFault,
  { faults: many({ kind: 'no-content-range' }) },
  'unsupported',
  /without a usable Content-Range/,
);
test('a compressed transfer', testFault, { faults: many({ kind: 'gzip' }) }, 'unsupported', /gzip/);
test('no length at all', testFault, { faults: many({ kind: 'no-length' }) }, 'unsupported', /how long/);
test(
  'a redirect to ftp',
  testFault,
  { faults: many({ kind: 'redirect', location: 'ftp://127.0.0.1/x' }) },
  'insecure',
  /ftp/,
);

test('a file that changes between two requests is started over', async t => {
  const changed = makeZipLike(SIZE + 10, 2);
  const folder = await makeTemporaryFolder(t);
  let count = 0;
  const server = await startFileServer(
    () => (count < 1 ? { bytes: BYTES, etag: '"old"' } : { bytes: changed, etag: '"new"' }),
    () => (count++ === 0 ? cut(2_000_000) : { kind: 'none' }),
  );
  t.teardown(() => server.close());
  const path = join(folder, 'a.zip');
  await downloadFile(makePlainRemote(t, `${server.url}a.zip`), fastOptions(path));
  t.true((await readFile(path)).equals(changed));
});

test('a file that changes without saying so is noticed by the bytes before the break', async t => {
  const changed = makeZipLike(SIZE, 2);
  const folder = await makeTemporaryFolder(t);
  let count = 0;
  const server = await startFileServer(
    () => ({ bytes: count < 1 ? BYTES : changed, etag: null, lastModified: null }),
    () => (count++ === 0 ? cut(2_000_000) : { kind: 'none' }),
  );
  t.teardown(() => server.close());
  const path = join(folder, 'a.zip');
  await downloadFile(makePlainRemote(t, `${server.url}a.zip`), fastOptions(path));
  t.true((await readFile(path)).equals(changed));
});

test('without a version named by the server, pieces are not fetched side by side, so that no two versions are mixed', async t => {
  const old = makeZipLike(40 << 20);
  const changed = makeZipLike(40 << 20, 2);
  const folder = await makeTemporaryFolder(t);
  let count = 0;
  const server = await startFileServer(() => ({
    bytes: count++ < 1 ? old : changed,
    etag: null,
    lastModified: null,
  }));
  t.teardown(() => server.close());
  const path = join(folder, 'a.zip');
  await downloadFile(makePlainRemote(t, `${server.url}a.zip`), fastOptions(path, { connections: 4 }));
  t.true((await readFile(path)).equals(changed));
});

test('a wrong total does not mix two versions either', async t => {
  const changed = makeZipLike(SIZE + 1, 2);
  const folder = await makeTemporaryFolder(t);
  let count = 0;
  const server = await startFileServer(
    () => ({ bytes: count < 1 ? BYTES : changed, etag: null, lastModified: null }),
    () => (count++ === 0 ? { kind: 'wrong-total' } : { kind: 'none' }),
  );
  t.teardown(() => server.close());
  const path = join(folder, 'a.zip');
  await downloadFile(makePlainRemote(t, `${server.url}a.zip`), fastOptions(path));
  t.true((await readFile(path)).equals(changed));
});

/** A server that does not say how long the file is, and breaks off once; later it answers ranges, or it does not. */
async function downloadUnknown(t: ExecutionContext, knowsRanges: boolean) {
  const ranges: (string | undefined)[] = [];
  const notes: string[] = [];
  const server = await startServer((request, response) => {
    ranges.push(request.headers.range);
    const start = Number(/bytes=([1-9]\d*)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    if (start > 0 && knowsRanges) {
      const range = `bytes ${start}-${BYTES.length - 1}/${BYTES.length}`;
      response.writeHead(206, { 'content-range': range, etag: '"v1"' }).end(BYTES.subarray(start));
      return;
    }
    response.writeHead(200, { etag: '"v1"' });
    if (ranges.length > 1) response.end(BYTES);
    else response.write(BYTES.subarray(0, 2_000_000), () => response.socket?.destroySoon());
  });
  t.teardown(() => server.close());
  const path = join(await makeTemporaryFolder(t), 'a.zip');
  const onNote = (message: string): number => notes.push(message);
  await downloadFile(makePlainRemote(t, `${server.url}a.zip`), fastOptions(path, { onNote }));
  t.true((await readFile(path)).equals(BYTES));
  return { ranges, notes };
}

/** The second request goes on after what the first one brought: on a busy machine that may be less than was sent. */
function checkResumed(t: ExecutionContext, ranges: readonly (string | undefined)[]): void {
  t.is(ranges[0], 'bytes=0-');
  const start = Number(/^bytes=(\d+)-$/.exec(ranges[1] ?? '')?.[1]);
  t.true(start > 0 && start <= 2_000_000, ranges[1]);
}

test('a file of unknown length goes on where the server can send its rest', async t => {
  const { ranges } = await downloadUnknown(t, true);
  t.is(ranges.length, 2);
  checkResumed(t, ranges);
});

test('a file of unknown length on a server without ranges begins anew, and says why', async t => {
  const { ranges, notes } = await downloadUnknown(t, false);
  t.is(ranges.length, 3);
  checkResumed(t, ranges);
  t.is(ranges[2], 'bytes=0-');
  t.regex(notes.at(-1) ?? '', /^this server cannot continue the file \(.*ignores ranges/);
});

test('a large file on a server without ranges: what a break would cost is said at once', async t => {
  const notes: string[] = [];
  const { path, options, remote } = await setUp(t, {
    file: { bytes: makeZipLike(17 << 20) },
    faults: many({ kind: 'ignore-range' }),
  });
  await downloadFile(remote, { ...options, onNote: message => notes.push(message) });
  t.deepEqual(notes, [
    'this server sends files only from their start: after a break all of it is fetched again',
  ]);
  t.is((await stat(path)).size, 17 << 20);
});

test('nothing is fetched twice over ten broken connections', async t => {
  const { server, path, options, remote } = await setUp(t, {
    faults: Array.from({ length: 10 }, () => cut(200_000)),
  });
  await downloadFile(remote, options);
  t.true((await readFile(path)).equals(BYTES));
  const ranges = server.requests.map(request => /bytes=(\d+)-(\d*)/.exec(request.range ?? '')!);
  const sent = server.requests.map(request => request.sentBytes);
  t.deepEqual(
    ranges.map(range => Number(range[1])),
    sent.map((_bytes, index) => sent.slice(0, index).reduce((sum, bytes) => sum + bytes, 0)),
    'each request goes on exactly where the one before ended',
  );
});

test('an abort stops at once and a later run goes on', async t => {
  const abort = new AbortController();
  const { server, path, options, remote, folder } = await setUp(t, {
    faults: [{ kind: 'stall', bytes: 2_000_000 }],
  });
  const first = downloadFile(remote, {
    ...options,
    onProgress: doneBytes => {
      if (doneBytes >= 1_500_000) abort.abort(new Error('stop'));
    },
    signal: abort.signal,
  });
  await t.throwsAsync(first, { message: 'stop' });
  t.deepEqual((await readdir(folder)).sort(), ['a.zip.partial', 'a.zip.partial-journal']);
  await downloadFile(remote, options);
  t.true((await readFile(path)).equals(BYTES));
  const start = Number(/bytes=(\d+)-/.exec(server.requests[1]?.range ?? '')?.[1]);
  t.true(start > 2_000_000 - (1 << 20) && start <= 2_000_000, `went on at ${start}`);
});

for (const connections of [1, 4]) {
  test(`kill -9 loses less than 1 MiB with ${connections} connection(s)`, async t => {
    const bytes = makeZipLike(48 << 20);
    const folder = await makeTemporaryFolder(t);
    let isSecondRun = false;
    const server = await startFileServer(
      () => ({ bytes }),
      request =>
        isSecondRun || request.range?.startsWith('bytes=0-') === true
          ? { kind: 'none' }
          : { kind: 'stall', bytes: 5_000_000 },
    );
    t.teardown(() => server.close());
    const path = join(folder, 'a.zip');
    const child = fork(fileURLToPath(new URL('../helpers/download-child.ts', import.meta.url)), [
      `${server.url}a.zip`,
      path,
      String(connections),
    ]);
    const received = await new Promise<number>(resolve => {
      let last = 0;
      child.on('message', (done: number) => {
        last = done;
        if (done > (connections === 1 ? 20 << 20 : (16 << 20) + 4_000_000)) {
          child.kill('SIGKILL');
          child.removeAllListeners('message');
          resolve(last);
        }
      });
    });
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    isSecondRun = true;
    const before = server.requests.length;
    await downloadFile(makePlainRemote(t, `${server.url}a.zip`), fastOptions(path, { connections }));
    t.true((await readFile(path)).equals(bytes));
    const again = server.requests.slice(before).reduce((sum, request) => {
      const [, start, end] = /bytes=(\d+)-(\d+)/.exec(request.range ?? '')!;
      return sum + Number(end) + 1 - Number(start);
    }, 0);
    t.true(
      again - (bytes.length - received) < 1 << 20,
      `${again} bytes asked for, ${bytes.length - received} missing`,
    );
  });
}

test('a disk that takes no more: an error of our own, and a later run goes on', async t => {
  const bytes = makeZipLike(20 << 20);
  const folder = await makeTemporaryFolder(t);
  const server = await startFileServer(() => ({ bytes }));
  t.teardown(() => server.close());
  const path = join(folder, 'a.zip');
  const child = fileURLToPath(new URL('../helpers/download-child.ts', import.meta.url));
  // Files of at most 6,000 KiB, as a stand-in for a full disk.
  const words = [
    '-c',
    'ulimit -f 6000; exec "$@"',
    'bash',
    process.execPath,
    child,
    `${server.url}a.zip`,
    path,
    '1',
  ];
  const run = spawn('bash', words, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  run.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
  const [code] = (await once(run, 'close')) as [number];
  t.not(code, 0);
  t.regex(stderr, /writing failed: the file is larger/);
  t.deepEqual((await readdir(folder)).sort(), ['a.zip.partial', 'a.zip.partial-journal']);
  await downloadFile(makePlainRemote(t, `${server.url}a.zip`), fastOptions(path));
  t.true((await readFile(path)).equals(bytes));
  t.regex(server.requests[1]?.range ?? '', /^bytes=[1-9]/);
});

test('a partial file taken away is not published', async t => {
  const bytes = makeZipLike(100 << 20);
  const folder = await makeTemporaryFolder(t);
  const server = await startFileServer(() => ({ bytes }));
  t.teardown(() => server.close());
  const path = join(folder, 'a.zip');
  let isAway = false;
  const takeAway = (done: number): void => {
    if (done < 70 << 20 || isAway) return;
    isAway = true;
    unlinkSync(`${path}.partial`);
  };
  await t.throwsAsync(
    downloadFile(makePlainRemote(t, `${server.url}a.zip`), fastOptions(path, { onProgress: takeAway })),
    { code: 'ERR_IO' },
  );
  t.deepEqual(await readdir(folder), ['a.zip.partial-journal']);
});

test('the partial file of another mirror is not continued', async t => {
  const { path, options, remote } = await setUp(t, { faults: many(cut(500_000)).slice(0, 6) });
  const none = { ...options, retry: { ...options.retry!, attempts: 1 } };
  await t.throwsAsync(downloadFile(remote, none));
  const other = makeZipLike(SIZE, 3);
  const server = await startFileServer(() => ({ bytes: other }));
  t.teardown(() => server.close());
  await downloadFile(makePlainRemote(t, `${server.url}a.zip`, { identity: 'other' }), options);
  t.true((await readFile(path)).equals(other));
});

async function testDamagedPartial(t: ExecutionContext, damage: (path: string) => Promise<void>) {
  const { path, options, remote } = await setUp(t, { faults: [cut(2_000_000)] });
  await t.throwsAsync(downloadFile(remote, { ...options, retry: { ...options.retry!, attempts: 1 } }));
  await damage(path);
  await downloadFile(remote, options);
  t.true((await readFile(path)).equals(BYTES));
}

test('a shortened partial file is not trusted', testDamagedPartial, (path: string) =>
  truncate(`${path}.partial`, 1000),
);
test('a journal of rubbish is not trusted', testDamagedPartial, (path: string) =>
  writeFile(`${path}.partial-journal`, 'x'.repeat(9000)),
);
test('a cut journal is not trusted', testDamagedPartial, (path: string) =>
  truncate(`${path}.partial-journal`, 4096),
);

test('after another boot only synced bytes count', async t => {
  const { path, options, remote, server } = await setUp(t, { faults: [cut(2_000_000)] });
  await t.throwsAsync(downloadFile(remote, { ...options, retry: { ...options.retry!, attempts: 1 } }));
  const journal = await readFile(`${path}.partial-journal`);
  const text = journal
    .toString('latin1')
    .replace(/"boot":"[^"]*"/, match => `"boot":"${'0'.repeat(match.length - 9)}"`);
  await writeFile(`${path}.partial-journal`, Buffer.from(text, 'latin1'));
  t.true((await stat(`${path}.partial`)).size > 1_000_000);
  await downloadFile(remote, options);
  t.is(server.requests.at(-1)?.range, 'bytes=0-3000000');
  t.true((await readFile(path)).equals(BYTES));
});
