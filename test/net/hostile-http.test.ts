import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import fc from 'fast-check';
import { createHttpClient } from '../../pipeline/net/client.ts';
import { downloadFile } from '../../pipeline/net/download-file.ts';
import { StreamBody } from '../../pipeline/net/http-body.ts';
import { MirrorFault } from '../../pipeline/net/mirror-fault.ts';
import { receiveBody } from '../../pipeline/net/receive-range.ts';
import { fastOptions, makePlainRemote, makeTemporaryFolder, makeZipLike } from '../helpers/downloads.ts';
import { ROOT } from '../helpers/cli.ts';
import { startFileServer } from '../helpers/file-server.ts';
import { canTrace, traceScript } from '../helpers/trace.ts';

/** A server that answers each request, whose head it is given, with bytes of the test's own. */
async function startRawServer(
  t: ExecutionContext,
  answer: (socket: Socket, head: string) => Promise<void> | void,
) {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, socket => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', head => void answer(socket, head.toString('latin1')));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/a.zip`, sockets };
}

function makeClient(t: ExecutionContext) {
  const client = createHttpClient({ environment: {} });
  t.teardown(() => client.close());
  return client;
}

test('an answer that switches protocols is an error, not a silence', async t => {
  const { url } = await startRawServer(t, socket => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: other\r\nconnection: upgrade\r\n\r\nother');
  });
  const request = makeClient(t).request({ url, allowHttp: true });
  await t.throwsAsync(request, {
    instanceOf: MirrorFault,
    message: /answers 101 to switch to another protocol/,
  });
});

test('the connection of a whole answer that nobody reads is closed', async t => {
  const { url, sockets } = await startRawServer(t, socket => {
    socket.write('HTTP/1.1 416 Range Not Satisfiable\r\ncontent-length: 3\r\n\r\nno\n');
  });
  const client = makeClient(t);
  for (let number = 0; number < 5; number++) {
    const { body } = await client.request({ url, allowHttp: true });
    const closed = Promise.all([...sockets].map(socket => once(socket, 'close')));
    body.destroy();
    await closed;
  }
  t.is(sockets.size, 0);
});

test('the connection of an answer that was read to its end is used again', async t => {
  const seen = new Set<Socket>();
  const { url } = await startRawServer(t, socket => {
    seen.add(socket);
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes');
  });
  const client = makeClient(t);
  for (let number = 0; number < 5; number++) {
    t.is((await client.readPage({ url, allowHttp: true })).text, 'yes');
    await sleep(5);
  }
  t.is(seen.size, 1);
});

test('time that a slow disk takes is not held against the server', async t => {
  const bytes = makeZipLike(300_000);
  const first = 280_000;
  const { promise: wasTaken, resolve: taken } = Promise.withResolvers<boolean>();
  const { url } = await startRawServer(t, async socket => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${bytes.length}\r\n\r\n`);
    socket.write(bytes.subarray(0, first));
    await wasTaken;
    await sleep(100);
    socket.write(bytes.subarray(first));
  });
  const { body } = await makeClient(t).request({ url, allowHttp: true });
  const accepted = { start: 0, end: 300_000, total: 300_000, validator: undefined, ranged: false };
  const opened = { accepted, body, url, isChunked: false };
  const all: Buffer[] = [];
  const { signal } = new AbortController();
  const options = { budgetBytes: 1 << 20, watchdog: { idleMs: 600, minBytes: 1000 }, signal };
  await receiveBody(opened, options, async chunks => {
    // Into the second interval, of which the server then has only the rest.
    if (all.length === 0) await sleep(1100);
    all.push(...chunks.map(chunk => Buffer.from(chunk)));
    taken(true);
  });
  t.true(Buffer.concat(all).equals(bytes));
});

test('tiny chunks do not pile up', async t => {
  const chunks = Array.from({ length: 10_000 }, (_, index) => Buffer.from([index & 255]));
  const lengths: number[] = [];
  for await (const piece of new StreamBody(Readable.from(chunks)).pieces(1 << 20)) lengths.push(piece.length);
  t.deepEqual(lengths, [4096, 4096, 1808]);
});

test('an abort between two tries gives its own reason', async t => {
  const server = await startFileServer(
    () => undefined,
    () => ({ kind: 'status', status: 503 }),
  );
  t.teardown(() => server.close());
  const abort = new AbortController();
  const options = fastOptions(join(await makeTemporaryFolder(t), 'a.zip'), {
    signal: abort.signal,
    retry: { attempts: 9, firstDelayMs: 60_000, maxDelayMs: 60_000, maxRetryAfterMs: 60_000 },
    onNote: () => setTimeout(() => abort.abort(new Error('enough')), 10),
  });
  await t.throwsAsync(downloadFile(makePlainRemote(t, `${server.url}a.zip`), options), { message: 'enough' });
});

test('a size beyond all numbers is the mirror’s fault', async t => {
  const { url } = await startRawServer(t, socket => {
    const range = `bytes 0-999999/${'9'.repeat(400)}`;
    socket.write(`HTTP/1.1 206 Partial\r\ncontent-length: 1000000\r\ncontent-range: ${range}\r\n\r\n`);
  });
  const options = fastOptions(join(await makeTemporaryFolder(t), 'a.zip'));
  const fault = await t.throwsAsync(downloadFile(makePlainRemote(t, url), options), {
    instanceOf: MirrorFault,
  });
  t.is(fault.kind, 'unsupported');
});

test('a sync that failed on the way is not forgotten', async t => {
  if (!canTrace(t)) return;
  const folder = await makeTemporaryFolder(t);
  const at = (path: string): string => JSON.stringify(join(ROOT, 'pipeline', 'net', path));
  const script = `
    import { JournalledFile } from ${at('journalled-file.ts')};
    import { PartJournal } from ${at('part-journal.ts')};
    import { PartialFile } from ${at('partial-file.ts')};
    const path = ${JSON.stringify(join(folder, 'a.zip.partial'))};
    const data = await PartialFile.open(path, false);
    const total = 70 << 20;
    const segments = [{ start: 0, end: 1, done: 0 }, { start: 1, end: total, done: 1 }];
    const journal = await PartJournal.create(path + '-journal', { identity: 'x', total, validator: undefined }, segments);
    const file = new JournalledFile(data, journal, 'part');
    const keep = file.keeper({ segment: segments[1], overlap: 0, end: total });
    const piece = Buffer.alloc(1 << 20);
    for (let number = 0; number < 66; number++) await keep([piece], piece.length);
    const code = await file.settle().then(() => 'none', error => error.code);
    console.log(code, file.hasLostBytes);
    await file.close();
    await data.close();`;
  const { stdout } = await traceScript(script, 'fdatasync', ['fdatasync:error=EIO']);
  t.is(stdout, 'ERR_IO true\n');
});

interface Wire {
  readonly size: number;
  /** What the body is made of: bytes like any, or such as look like headers. */
  readonly looksLikeHead: boolean;
  readonly hasVersion: boolean;
  readonly answers: readonly Answer[];
}

interface Answer {
  readonly splits: readonly number[];
  readonly fault:
    'none' | 'cut' | 'reset' | 'surplus' | 'short length' | 'long length' | 'hints' | 'no ranges';
  readonly at: number;
}

const fraction = fc.double({ min: 0, max: 1, noNaN: true });
const answers = fc.record<Answer>({
  splits: fc.array(fc.oneof(fraction, fc.constant(0.001)), { maxLength: 6 }),
  fault: fc.constantFrom(
    'none',
    'cut',
    'reset',
    'surplus',
    'short length',
    'long length',
    'hints',
    'no ranges',
  ),
  at: fraction,
});
const wires = fc.record<Wire>({
  // Around the size from which on bodies are taken past the parser, and around that of one read.
  size: fc.oneof(
    fc.integer({ min: 1, max: 700 }),
    fc.integer({ min: 65_000, max: 66_000 }),
    fc.integer({ min: 262_140, max: 262_150 }),
    fc.integer({ min: 200_000, max: 900_000 }),
  ),
  looksLikeHead: fc.boolean(),
  hasVersion: fc.boolean(),
  answers: fc.array(answers, { maxLength: 5 }),
});

const HEAD_LIKE = Buffer.alloc(1_000_000, '\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n');
const PLAIN = makeZipLike(1_000_000, 77);

async function sendAnswer(socket: Socket, head: string, body: Buffer, wire: Wire, answer: Answer) {
  const { fault, at, splits } = answer;
  const [, first, last] = /range: bytes=(\d+)-(\d*)/i.exec(head)!;
  const ranged = fault !== 'no ranges';
  const start = ranged ? Number(first) : 0;
  const end = ranged && last !== '' ? Math.min(Number(last) + 1, body.length) : body.length;
  const part = body.subarray(start, end);
  let length = part.length;
  if (fault === 'short length') length = Math.max(1, Math.floor(length * at));
  if (fault === 'long length') length += 1 + Math.floor(at * 300_000);
  const lines = [ranged ? 'HTTP/1.1 206 Partial' : 'HTTP/1.1 200 OK', `content-length: ${length}`];
  if (ranged) lines.push(`content-range: bytes ${start}-${end - 1}/${body.length}`);
  if (wire.hasVersion) lines.push('etag: "1"');
  const hints = fault === 'hints' ? 'HTTP/1.1 103 Early Hints\r\nlink: </b>\r\n\r\n' : '';
  const headers = Buffer.from(`${hints}${lines.join('\r\n')}\r\n\r\n`);
  const surplus = fault === 'surplus' ? Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil') : [];
  const bytes = Buffer.concat([headers, part.subarray(0, length), Buffer.from(surplus)]);
  const stop = fault === 'cut' || fault === 'reset' ? Math.floor(at * bytes.length) : bytes.length;
  // Small shares cut the headers and what comes right after them.
  const cuts = splits.map(split =>
    Math.floor(split < 0.5 ? split * 2 * (headers.length + 8) : split * bytes.length),
  );
  let sent = 0;
  for (const cut of [...cuts.filter(cut => cut < stop).sort((a, b) => a - b), stop]) {
    socket.write(bytes.subarray(sent, cut));
    sent = cut;
    await sleep(1);
  }
  if (fault === 'cut' || fault === 'long length') socket.destroySoon();
  if (fault === 'reset') socket.resetAndDestroy();
}

test('whatever the splits and faults: the right bytes', async t => {
  t.timeout(240_000);
  let serve: (socket: Socket, head: string) => Promise<void>;
  const { url } = await startRawServer(t, (socket, head) => serve(socket, head));
  const folder = await makeTemporaryFolder(t);
  const remote = { ...makePlainRemote(t, url), shape: 'part' as const };
  const path = join(folder, 'a.zip');
  const check = fc.asyncProperty(wires, async wire => {
    const body = (wire.looksLikeHead ? HEAD_LIKE : PLAIN).subarray(0, wire.size);
    const left = [...wire.answers];
    serve = (socket, head) =>
      sendAnswer(socket, head, body, wire, left.shift() ?? { splits: [], fault: 'none', at: 0 });
    const { sha256 } = await downloadFile(remote, {
      ...fastOptions(path),
      watchdog: { idleMs: 2000, minBytes: 1 },
    });
    const bytes = await readFile(path);
    return (
      bytes.equals(body) &&
      sha256 === createHash('sha256').update(body).digest('hex') &&
      (await readdir(folder)).length === 1
    );
  });
  await fc.assert(check, { numRuns: 200 });
  t.pass();
});
