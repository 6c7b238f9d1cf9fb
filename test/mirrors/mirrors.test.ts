import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { RequestListener, ServerResponse } from 'node:http';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { createHttpClient } from '../../pipeline/net/client.ts';
import { downloadFile } from '../../pipeline/net/download-file.ts';
import { MirrorFault } from '../../pipeline/net/mirror-fault.ts';
import type { FaultKind } from '../../pipeline/net/mirror-fault.ts';
import { gcs as cloudStorage } from '../../pipeline/mirrors/gcs.ts';
import { directLink, dropbox } from '../../pipeline/mirrors/dropbox.ts';
import { huggingFace } from '../../pipeline/mirrors/huggingface.ts';
import type { MirrorContext, MirrorProvider } from '../../pipeline/mirrors/mirror.ts';
import { joinUrl } from '../../pipeline/mirrors/mirror.ts';
import { comparePartNames } from '../../pipeline/files/part-names.ts';
import { fastOptions, makeTemporaryFolder, makeZipLike } from '../helpers/downloads.ts';
import { startServer } from '../helpers/file-server.ts';

const BYTES = makeZipLike(300_000);

async function serve(t: ExecutionContext, listener: RequestListener): Promise<string> {
  const server = await startServer(listener);
  t.teardown(() => server.close());
  return server.url;
}

function makeLocateContext(t: ExecutionContext, environment: NodeJS.ProcessEnv = {}): MirrorContext {
  const client = createHttpClient({ environment: {} });
  t.teardown(() => client.close());
  return { client, environment, signal: new AbortController().signal };
}

function sendBytes(
  response: ServerResponse,
  range: string | undefined,
  headers: Record<string, string> = {},
): void {
  const [, start, end] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '')!;
  const body = BYTES.subarray(Number(start), end === '' ? undefined : Number(end) + 1);
  response.writeHead(206, {
    'content-length': body.length,
    'content-range': `bytes ${start}-${Number(start) + body.length - 1}/${BYTES.length}`,
    ...headers,
  });
  response.end(body);
}

async function fetchFrom(
  t: ExecutionContext,
  provider: MirrorProvider,
  location: { path?: string; link?: string },
) {
  const path = join(await makeTemporaryFolder(t), 'x.zip');
  const result = await downloadFile(await provider.locate({ location, shape: 'zip' }), fastOptions(path));
  t.true((await readFile(path)).equals(BYTES));
  return result;
}

async function testFault(
  t: ExecutionContext,
  make: (base: string, context: MirrorContext) => MirrorProvider,
  location: { path?: string; link?: string },
  listener: RequestListener,
  kind: FaultKind,
  message: RegExp,
) {
  const provider = make(await serve(t, listener), makeLocateContext(t));
  const fault = await t.throwsAsync(fetchFrom(t, provider, location), { instanceOf: MirrorFault, message });
  t.is(fault.kind, kind);
}

const send =
  (status: number, type: string, body: string, headers: Record<string, string> = {}): RequestListener =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': type, ...headers }).end(body);
  };

// Dropbox

const LINK = { link: 'https://www.dropbox.com/s/abc/x.zip?rlkey=k&dl=0' };
const makeDropbox = (base: string, context: MirrorContext): MirrorProvider =>
  dropbox.create('dropbox', { provider: 'dropbox', title: '', base, allow_http: true }, context);

test('a Dropbox link asks for the file and keeps its key', t => {
  t.is(directLink(LINK.link), 'https://www.dropbox.com/s/abc/x.zip?rlkey=k&dl=1');
  t.is(directLink('https://www.dropbox.com/s/abc/x?raw=1'), 'https://www.dropbox.com/s/abc/x?dl=1');
});

test('Dropbox: through two redirects to another host, with its cookie', async t => {
  const content = await serve(t, (request, response) => {
    t.is(request.headers.cookie, undefined, 'the cookie stays with its host');
    sendBytes(response, request.headers.range, { 'content-disposition': 'attachment; filename="x.zip"' });
  });
  const base = await serve(t, (request, response) => {
    if (request.url?.startsWith('/s/dl/') !== true) {
      t.regex(request.url ?? '', /\/s\/abc\/x\.zip\?rlkey=k&dl=1/);
      response.writeHead(302, { location: '/s/dl/abc/x.zip', 'set-cookie': 'gvc=1; path=/' }).end();
    } else {
      t.is(request.headers.cookie, 'gvc=1');
      response
        .writeHead(302, { location: `${content.replace('127.0.0.1', 'localhost')}cd/0/get/token/file` })
        .end();
    }
  });
  await fetchFrom(t, makeDropbox(base, makeLocateContext(t)), LINK);
});
test(
  'Dropbox: over the daily limit',
  testFault,
  makeDropbox,
  LINK,
  send(429, 'text/html', '<title>Error (429)</title>This link is temporarily disabled.'),
  'quota',
  /daily limit/,
);
test(
  'Dropbox: deleted',
  testFault,
  makeDropbox,
  LINK,
  send(404, 'text/html', '<title>404</title>'),
  'gone',
  /no longer has the file/,
);
test(
  'Dropbox: a preview page',
  testFault,
  makeDropbox,
  LINK,
  send(200, 'text/html', '<title>x.zip</title>'),
  'not-the-file',
  /preview page/,
);
test('Dropbox: restricted', testFault, makeDropbox, LINK, send(460, 'text/html', 'no'), 'unsupported', /460/);

// Google Cloud Storage

const PLACE = { path: 'dir/x y.zip' };
const makeGcs = (base: string, context: MirrorContext): MirrorProvider =>
  cloudStorage.create('gcs', { provider: 'gcs', title: '', bucket: 'b', base, allow_http: true }, context);
const md5 = (bytes: Buffer): string => createHash('md5').update(bytes).digest('base64');
const gcs =
  (object: object, requests: string[] = []): RequestListener =>
  (request, response) => {
    requests.push(request.url ?? '');
    if (request.url?.startsWith('/storage/v1/') === true) {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({ size: String(BYTES.length), generation: '7', md5Hash: md5(BYTES), ...object }),
      );
    } else sendBytes(response, request.headers.range, { 'x-goog-generation': '7' });
  };

test('Cloud Storage: metadata, then the pinned generation', async t => {
  const requests: string[] = [];
  await fetchFrom(t, makeGcs(await serve(t, gcs({}, requests)), makeLocateContext(t)), PLACE);
  t.deepEqual(requests, ['/storage/v1/b/b/o/dir%2Fx%20y.zip', '/b/dir/x%20y.zip?generation=7']);
});
test('Cloud Storage: composite objects have no md5', async t => {
  await fetchFrom(t, makeGcs(await serve(t, gcs({ md5Hash: undefined })), makeLocateContext(t)), PLACE);
});
test(
  'Cloud Storage: another md5',
  testFault,
  makeGcs,
  PLACE,
  gcs({ md5Hash: md5(Buffer.from('x')) }),
  'wrong-hash',
  /md5/,
);
test(
  'Cloud Storage: another size',
  testFault,
  makeGcs,
  PLACE,
  gcs({ size: '5' }),
  'wrong-size',
  /300000 bytes, expected 5/,
);
test(
  'Cloud Storage: stored compressed',
  testFault,
  makeGcs,
  PLACE,
  gcs({ contentEncoding: 'gzip' }),
  'unsupported',
  /gzip/,
);
test(
  'Cloud Storage: deleted bucket',
  testFault,
  makeGcs,
  PLACE,
  send(404, 'application/xml', '<?xml version="1.0"?><Error><Code>NoSuchBucket</Code></Error>'),
  'gone',
  /NoSuchBucket/,
);
test(
  'Cloud Storage: denied',
  testFault,
  makeGcs,
  PLACE,
  send(403, 'application/xml', '<Error><Code>AccessDenied</Code></Error>'),
  'forbidden',
  /AccessDenied/,
);

// Hugging Face

const makeHub = (base: string, context: MirrorContext): MirrorProvider =>
  huggingFace.create(
    'hub',
    { provider: 'huggingface', title: '', repository: 'datasets/o/r', base, allow_http: true },
    { ...context, givenBase: base },
  );
const RESOLVED = '/datasets/o/r/resolve/main/dir/x%20y.zip';

async function serveHub(t: ExecutionContext, sha256: string, expired = 0) {
  let left = expired;
  const cdn = await serve(t, (request, response) => {
    t.is(request.headers.authorization, undefined, 'the token stays with the hub');
    if (left-- > 0) response.writeHead(403, { 'content-type': 'application/xml' }).end('<Error/>');
    else sendBytes(response, request.headers.range, { etag: '"cdn"' });
  });
  return serve(t, (request, response) => {
    t.is(request.headers.authorization, 'Bearer secret');
    if (request.url !== RESOLVED) {
      response.writeHead(500).end();
      return;
    }
    const location = `${cdn.replace('127.0.0.1', 'localhost')}signed?token=t`;
    response
      .writeHead(302, {
        location,
        'x-linked-etag': `"${sha256}"`,
        'x-linked-size': String(BYTES.length),
        'x-repo-commit': 'c',
      })
      .end();
  });
}
const SHA256 = createHash('sha256').update(BYTES).digest('hex');

test('Hugging Face: size and sha256 from the hub, bytes from the storage host', async t => {
  const context = makeLocateContext(t, { HF_TOKEN: 'secret' });
  await fetchFrom(t, makeHub(await serveHub(t, SHA256), context), PLACE);
});
test('Hugging Face: a signed link that has run out is asked for again', async t => {
  const context = makeLocateContext(t, { HF_TOKEN: 'secret' });
  await fetchFrom(t, makeHub(await serveHub(t, SHA256, 2), context), PLACE);
});
test('Hugging Face: another sha256', async t => {
  const context = makeLocateContext(t, { HF_TOKEN: 'secret' });
  const provider = makeHub(await serveHub(t, '0'.repeat(64)), context);
  await t.throwsAsync(fetchFrom(t, provider, PLACE), { message: /sha256/ });
});
test('Hugging Face: a small file comes from the hub itself, after a relative redirect', async t => {
  const base = await serve(t, (request, response) => {
    if (request.url === RESOLVED) response.writeHead(307, { location: '/api/resolve-cache/x' }).end();
    else if (request.headers.range === undefined)
      response.writeHead(200, { etag: `"${'a'.repeat(40)}"` }).end(BYTES);
    else sendBytes(response, request.headers.range, { etag: `"${'a'.repeat(40)}"` });
  });
  await fetchFrom(t, makeHub(base, makeLocateContext(t)), PLACE);
});
test(
  'Hugging Face: gated',
  testFault,
  makeHub,
  PLACE,
  send(401, 'text/plain', '', { 'x-error-code': 'GatedRepo' }),
  'sign-in',
  /gated/,
);
test(
  'Hugging Face: missing',
  testFault,
  makeHub,
  PLACE,
  send(404, 'text/plain', '', { 'x-error-code': 'EntryNotFound' }),
  'gone',
  /EntryNotFound/,
);
test(
  'Hugging Face: private or missing',
  testFault,
  makeHub,
  PLACE,
  send(401, 'text/plain', ''),
  'sign-in',
  /401/,
);
test(
  'Hugging Face: limited for too long',
  testFault,
  makeHub,
  PLACE,
  send(429, 'text/plain', '', { ratelimit: '"api";r=0;t=55' }),
  'busy',
  /429/,
);

// Rules that all share

test('a proxy from the environment gets the whole address; one that wants a password is an answer of its own', async t => {
  const seen: string[] = [];
  const proxy = await serve(t, (request, response) => {
    seen.push(request.url ?? '');
    if (request.headers['proxy-authorization'] === undefined) response.writeHead(407).end();
    else response.writeHead(200).end('through the proxy');
  });
  const ask = async (address: string, noProxy?: string) => {
    const client = createHttpClient({
      environment: { HTTP_PROXY: address, ...(noProxy && { NO_PROXY: noProxy }) },
    });
    t.teardown(() => client.close());
    return client.readPage({ url: 'http://mirror.invalid/x', allowHttp: true });
  };
  const page = await ask(proxy.replace('http://', 'http://user:secret@'));
  t.deepEqual([page.status, page.text], [200, 'through the proxy']);
  t.is((await ask(proxy)).status, 407);
  t.deepEqual(seen, ['http://mirror.invalid/x', 'http://mirror.invalid/x']);
  await t.throwsAsync(ask(proxy, 'mirror.invalid'), { instanceOf: MirrorFault });
  t.is(seen.length, 2);
});

test('https through a proxy is asked for with CONNECT', async t => {
  const { createServer } = await import('node:http');
  const asked: string[] = [];
  const proxy = createServer();
  proxy.on('connect', (request, socket) => {
    asked.push(request.url ?? '');
    socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
  });
  await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve));
  t.teardown(() => proxy.close());
  const { port } = proxy.address() as { port: number };
  const client = createHttpClient({ environment: { HTTPS_PROXY: `http://127.0.0.1:${port}` } });
  t.teardown(() => client.close());
  const fault = await t.throwsAsync(client.readPage({ url: 'https://mirror.invalid/x' }), {
    instanceOf: MirrorFault,
  });
  t.is(fault.kind, 'network');
  t.deepEqual(asked, ['mirror.invalid:443']);
});

test('plain http is refused unless allowed, in redirects too', async t => {
  const base = await serve(t, (_request, response) =>
    response.writeHead(302, { location: 'http://127.0.0.1:1/s?sig=secret' }).end(),
  );
  const client = createHttpClient({ environment: {} });
  t.teardown(() => client.close());
  const fault = await t.throwsAsync(client.readPage({ url: `${base}x?key=secret` }), {
    instanceOf: MirrorFault,
  });
  t.is(fault.kind, 'insecure');
  t.false(fault.message.includes('secret'));
});

test('paths stay below their base', t => {
  t.is(joinUrl('https://h/data', 'a b/c?d#e.zip'), 'https://h/data/a%20b/c%3Fd%23e.zip');
  t.is(joinUrl('https://h/data/', '%2e%2e/x'), 'https://h/data/%252e%252e/x');
});

test('parts are joined in the order in which they were cut', t => {
  const sorted = (names: string[]): string[] => [...names].sort(comparePartNames);
  t.deepEqual(sorted(['x.zip.ab', 'x.zip.aa', 'x.zip.zaaa', 'x.zip.yz']), [
    'x.zip.aa',
    'x.zip.ab',
    'x.zip.yz',
    'x.zip.zaaa',
  ]);
  t.deepEqual(sorted(['x.zip.10', 'x.zip.9', 'x.zip.001']), ['x.zip.001', 'x.zip.9', 'x.zip.10']);
});
