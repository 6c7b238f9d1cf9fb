import type { IncomingHttpHeaders } from 'node:http';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { createMirror } from '../../pipeline/mirrors/registry.ts';
import { maySendSecret } from '../../pipeline/mirrors/secrets.ts';
import { createHttpClient } from '../../pipeline/net/client.ts';
import { MirrorFault } from '../../pipeline/net/mirror-fault.ts';
import { startServer } from '../helpers/file-server.ts';

const OWN = { own: ['example.org'] };

test('secrets go to own hosts and to given addresses, and never over plain http', t => {
  const given = 'https://lab.test:8443/x/';
  for (const url of ['https://example.org/a', 'https://cdn.example.org/a'])
    t.true(maySendSecret(url, OWN), url);
  for (const url of [
    'http://example.org/a',
    'https://example.org.evil.test/a',
    'https://evilexample.org/a',
    'https://user:example.org@evil.test/',
    'https://lab.test:8443/x/',
  ])
    t.false(maySendSecret(url, OWN), url);
  t.true(maySendSecret('https://lab.test:8443/y', { ...OWN, given }));
  t.false(maySendSecret('https://lab.test/y', { ...OWN, given }), 'another port is another server');
  t.false(maySendSecret('http://lab.test:8443/y', { ...OWN, given }));
  t.false(maySendSecret('http://lab.test/y', { ...OWN, given: 'http://lab.test/' }));
  t.true(maySendSecret('http://127.0.0.1:1/y', { ...OWN, given: 'http://127.0.0.1:1/' }));
  t.false(maySendSecret('http://127.0.0.1:1/y', OWN));
});

const SECRET = 'very-secret';
const ENTRIES = {
  huggingface: { repository: 'datasets/o/r' },
  'google-drive': { folder: 'f'.padEnd(28, 'x') },
  baidu: { share: 's', code: 'c' },
};

async function testKept(t: ExecutionContext, provider: keyof typeof ENTRIES) {
  const seen: IncomingHttpHeaders[] = [];
  const server = await startServer((request, response) => {
    seen.push(request.headers);
    response.writeHead(401, { 'content-type': 'text/html' }).end('<title>no</title>');
  });
  const client = createHttpClient({ environment: {} });
  t.teardown(async () => {
    client.close();
    await server.close();
  });
  const entry = { provider, title: '', base: server.url, allow_http: true, ...ENTRIES[provider] };
  const api = provider === 'google-drive' ? { api_base: server.url } : {};
  const mirror = createMirror(
    'theirs',
    { ...entry, ...api },
    {
      client,
      signal: new AbortController().signal,
      environment: { HF_TOKEN: SECRET, GOOGLE_API_KEY: SECRET, BAIDU_COOKIE: SECRET },
    },
  );
  const fault = await t.throwsAsync(mirror.locate({ location: { path: 'a.zip' }, shape: 'zip' }), {
    instanceOf: MirrorFault,
  });
  t.false(JSON.stringify(seen).includes(SECRET));
  t.false(fault.message.includes(SECRET));
  if (provider !== 'google-drive') t.regex(fault.message, /is not sent to 127\.0\.0\.1.*--base-url/);
}
test('an address that only a manifest names gets no token of Hugging Face', testKept, 'huggingface');
test('an address that only a manifest names gets no key of Google', testKept, 'google-drive');
test('an address that only a manifest names gets no session of Baidu', testKept, 'baidu');

test('a proxy address that cannot be used is refused without its password', t => {
  for (const proxy of ['http://user:secret@ho st:1', 'user:secret@host', 'socks5://user:secret@host:1']) {
    for (const name of ['HTTP_PROXY', 'https_proxy']) {
      const error = t.throws(() => createHttpClient({ environment: { [name]: proxy } }), {
        code: 'ERR_USAGE',
        message: new RegExp(name),
      });
      t.false(`${error.message} ${String(error.cause)}`.includes('secret'));
    }
  }
});
