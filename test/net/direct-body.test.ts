import { fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer as createTlsServer } from 'node:https';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { createHttpClient } from '../../pipeline/net/client.ts';
import type { HttpResponse } from '../../pipeline/net/client.ts';
import { DirectBody } from '../../pipeline/net/direct-body.ts';
import { StreamBody } from '../../pipeline/net/http-body.ts';
import { makeTemporaryFolder, makeZipLike } from '../helpers/downloads.ts';

const BODY = makeZipLike(3_000_000);
const HEAD = `HTTP/1.1 200 OK\r\ncontent-length: ${BODY.length}\r\n\r\n`;

/** A server that answers every connection as `answer` does, byte by byte under its control. */
async function ask(
  t: ExecutionContext,
  answer: (socket: Socket) => Promise<void> | void,
): Promise<HttpResponse> {
  const server = createServer({ noDelay: true }, socket => {
    socket.on('error', () => undefined);
    socket.once('data', () => void answer(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = createHttpClient({ environment: {} });
  t.teardown(() => {
    client.close();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return client.request({ url: `http://127.0.0.1:${port}/a.zip`, allowHttp: true });
}

async function collect(response: HttpResponse): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const piece of response.body.pieces(1 << 20))
    all.push(...piece.map(chunk => Buffer.from(chunk)));
  response.body.destroy();
  return Buffer.concat(all);
}

async function testWhole(
  t: ExecutionContext,
  packets: readonly (string | Buffer)[],
  kind?: typeof DirectBody | typeof StreamBody,
) {
  const response = await ask(t, async socket => {
    for (const packet of packets) {
      socket.write(packet);
      await sleep(20);
    }
  });
  if (kind !== undefined) t.true(response.body instanceof kind);
  t.true((await collect(response)).equals(BODY));
}

const WHOLE = Buffer.concat([Buffer.from(HEAD), BODY]);
test('headers and body in one', testWhole, [WHOLE], DirectBody);
test('headers, then the body', testWhole, [HEAD, BODY], DirectBody);
test(
  'the first byte of the body with the headers',
  testWhole,
  [WHOLE.subarray(0, HEAD.length + 1), WHOLE.subarray(HEAD.length + 1)],
  DirectBody,
);
test(
  'headers that end in the second packet',
  testWhole,
  [WHOLE.subarray(0, HEAD.length - 20), WHOLE.subarray(HEAD.length - 20)],
  DirectBody,
);
// Where the bytes at hand do not show where the headers end, the parser keeps the body; a slow machine reads both at once.
test('headers cut in their last line break', testWhole, [
  WHOLE.subarray(0, HEAD.length - 1),
  WHOLE.subarray(HEAD.length - 1),
]);
test(
  'early hints before the answer',
  testWhole,
  [`HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${HEAD}`, BODY],
  DirectBody,
);
test(
  'more than was announced',
  testWhole,
  [WHOLE, 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nmore'],
  DirectBody,
);
test(
  'chunked',
  testWhole,
  [
    `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${BODY.length.toString(16)}\r\n`,
    BODY,
    '\r\n0\r\n\r\n',
  ],
  StreamBody,
);

test('bytes that look like the end of headers, all through the body', async t => {
  const body = Buffer.alloc(1_000_000, '\r\n\r\n');
  const response = await ask(t, socket => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`);
    socket.write(body);
  });
  t.true((await collect(response)).equals(body));
});

test('a break hands out what came before it, then the error', async t => {
  const response = await ask(t, socket => {
    socket.write(WHOLE.subarray(0, HEAD.length + 1_234_567));
    socket.end();
  });
  const all: Buffer[] = [];
  const error = await t.throwsAsync(async () => {
    for await (const piece of response.body.pieces(1 << 20))
      all.push(...piece.map(chunk => Buffer.from(chunk)));
  });
  t.is(error.message, 'the connection ended at 1234567 of 3000000 announced bytes');
  t.true(Buffer.concat(all).equals(BODY.subarray(0, 1_234_567)));
});

test('a slow taker holds the server back, and no piece changes while it is his', async t => {
  const size = 40 << 20;
  const body = makeZipLike(size, 5);
  let sent = 0;
  const response = await ask(t, async socket => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`);
    for (; sent < size && !socket.destroyed; sent += 1 << 20) {
      if (!socket.write(body.subarray(sent, sent + (1 << 20)))) await once(socket, 'drain');
    }
  });
  let taken = 0;
  for await (const piece of response.body.pieces(256 << 10)) {
    const before = piece.map(chunk => Buffer.from(chunk));
    // Somebody else on the same connection may make it read: what is wanted must not be overwritten all the same.
    if (taken < 4 << 20) await sleep(5);
    t.true(response.body.receivedBytes - taken <= 256 << 10);
    for (const [index, chunk] of piece.entries()) {
      if (!chunk.equals(before[index]!) || !chunk.equals(body.subarray(taken, taken + chunk.length))) {
        t.fail(`other bytes at ${taken}`);
        return;
      }
      taken += chunk.length;
    }
  }
  t.is(taken, size);
});

test('a body that nobody reads is let go', async t => {
  const { promise: closed, resolve } = Promise.withResolvers<string>();
  const response = await ask(t, socket => {
    socket.on('close', () => resolve('closed'));
    socket.write(WHOLE);
  });
  response.body.destroy();
  t.is(await closed, 'closed');
});

test('reading that goes on against our will overwrites nothing', async t => {
  const body = new DirectBody({
    length: 1 << 20,
    first: Buffer.from('first'),
    resume: () => undefined,
    destroy: () => undefined,
  });
  const expected = [Buffer.from('first')];
  for (let number = 0; number < 5; number++) {
    const memory = body.nextMemory();
    memory.fill(number);
    expected.push(Buffer.from(memory));
    t.false(body.accept(memory.length), 'no pieces are asked for yet');
  }
  const { value } = await body.pieces(1 << 20).next();
  t.true(Buffer.concat(value as Buffer[]).equals(Buffer.concat(expected)));
});

const testWithOpenssl = spawnSync('openssl', ['version']).status === 0 ? test : test.skip;
testWithOpenssl('over TLS, with one connection and with four', async t => {
  const folder = await makeTemporaryFolder(t);
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const words = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '2',
  ];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  t.is(spawnSync('openssl', [...words, ...names, '-keyout', key, '-out', cert]).status, 0);
  const bytes = makeZipLike(40 << 20, 9);
  const server = createTlsServer(
    { key: readFileSync(key), cert: readFileSync(cert) },
    (request, response) => {
      const [, start, end] = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? '')!;
      const last = end === '' ? bytes.length - 1 : Math.min(Number(end), bytes.length - 1);
      const part = bytes.subarray(Number(start), last + 1);
      const range = `bytes ${start}-${last}/${bytes.length}`;
      response.writeHead(206, { 'content-length': part.length, 'content-range': range, etag: '"1"' });
      response.end(part);
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  for (const connections of [1, 4]) {
    const path = join(folder, `${connections}.zip`);
    const child = fork(
      fileURLToPath(new URL('../helpers/download-child.ts', import.meta.url)),
      [`https://127.0.0.1:${port}/a.zip`, path, String(connections)],
      { env: { ...process.env, NODE_EXTRA_CA_CERTS: cert } },
    );
    const [code] = (await once(child, 'exit')) as [number];
    t.is(code, 0);
    t.true((await readFile(path)).equals(bytes));
  }
});
