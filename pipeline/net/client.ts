import { once } from 'node:events';
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import got from 'got';
import type { BeforeRedirectHook, Request as GotStream } from 'got';
import { CookieJar } from 'tough-cookie';
import { errorText, isErrno, LxmertDataError } from '../errors.ts';
import { createAgents, FastBody } from './fast-body.ts';
import type { HttpAgents } from './fast-body.ts';
import { StreamBody } from './http-body.ts';
import type { HttpBody } from './http-body.ts';
import { MirrorFault } from './mirror-fault.ts';
import { redactUrl } from './redact-url.ts';

export interface HttpRequest {
  readonly url: string;
  readonly method?: 'GET' | 'POST' | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly form?: Readonly<Record<string, string>> | undefined;
  readonly followRedirects?: boolean | undefined;
  /** Speak plain http, also after a redirect. */
  readonly allowHttp?: boolean | undefined;
  readonly cookies?: CookieJar | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Address of the last hop; may hold secrets, see redactUrl. */
  readonly url: string;
  readonly body: HttpBody;
}

export interface HttpPage {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly url: string;
  readonly text: string;
}

export interface HttpClient {
  /** Resolves when the headers are there. Any status is an answer; throws MirrorFault where there is no response. */
  request: (request: HttpRequest) => Promise<HttpResponse>;
  /** Like request, with the body as text, up to a limit. */
  readPage: (request: HttpRequest, maxBytes?: number) => Promise<HttpPage>;
  close: () => void;
}

/** Deadlines and ways that hold for all requests of a client. */
export interface ClientPolicy {
  readonly connectMs?: number | undefined;
  /** From the request to the headers of the response. */
  readonly responseMs?: number | undefined;
  /** HTTP_PROXY, HTTPS_PROXY and NO_PROXY are taken from here. */
  readonly environment?: NodeJS.ProcessEnv | undefined;
  /** Read large bodies past the HTTP parser (default); see fast-body.ts. */
  readonly isFast?: boolean | undefined;
}

export const PAGE_LIMIT_BYTES = 4 << 20;
const LENGTH_MISMATCH = 'ERR_HTTP_CONTENT_LENGTH_MISMATCH';
const PAGE_BUDGET_BYTES = 256 << 10;
const SECRET_HEADERS = ['cookie', 'authorization', 'x-goog-api-key', 'x-goog-drive-resource-keys'];

/**
 * The one place that speaks HTTP: redirects, proxies, cookies, deadlines. It does not retry; that is the caller's.
 * Throws ERR_USAGE where a proxy variable of the environment is not an address.
 */
export function createHttpClient(policy: ClientPolicy = {}): HttpClient {
  const proxyEnv = policy.environment ?? process.env;
  checkProxies(proxyEnv);
  const agents = createAgents({ keepAlive: true, proxyEnv }, policy.isFast ?? true);
  const request = async (asked: HttpRequest): Promise<HttpResponse> => {
    checkProtocol(asked.url, asked.allowHttp);
    return await awaitResponse(startRequest(asked, policy, agents), asked);
  };
  const readPage = async (asked: HttpRequest, maxBytes = PAGE_LIMIT_BYTES): Promise<HttpPage> => {
    const response = await request(asked);
    const text = await readBody(response, maxBytes, asked.signal);
    return { status: response.status, headers: response.headers, url: response.url, text };
  };
  const close = (): void => {
    agents.http.destroy();
    agents.https.destroy();
  };
  return { request, readPage, close };
}

function startRequest(asked: HttpRequest, policy: ClientPolicy, agents: HttpAgents): GotStream {
  return got.stream(asked.url, {
    method: asked.method ?? 'GET',
    // identity and decompress: byte offsets must count what the server stores.
    headers: { 'user-agent': 'lxmert-data', 'accept-encoding': 'identity', ...asked.headers },
    ...(asked.form === undefined ? {} : { form: { ...asked.form } }),
    ...(asked.cookies === undefined ? {} : { cookieJar: asked.cookies }),
    ...(asked.signal === undefined ? {} : { signal: asked.signal }),
    decompress: false,
    throwHttpErrors: false,
    followRedirect: asked.followRedirects ?? true,
    methodRewriting: true,
    retry: { limit: 0 },
    timeout: { connect: policy.connectMs ?? 30_000, response: policy.responseMs ?? 60_000 },
    agent: agents,
    hooks: { beforeRedirect: [guardRedirect(asked.allowHttp)] },
  });
}

/** Refuses redirects to other protocols, and sends no secrets to other hosts. */
function guardRedirect(allowHttp: boolean | undefined): BeforeRedirectHook {
  return (next, previous) => {
    const url = String(next.url);
    checkProtocol(url, allowHttp, redactUrl(previous.url));
    const [from, to] = [new URL(previous.url), new URL(url)];
    if (from.host === to.host && from.protocol === to.protocol) return;
    for (const name of SECRET_HEADERS) next.headers[name] = undefined;
  };
}

async function awaitResponse(stream: GotStream, { url, signal }: HttpRequest): Promise<HttpResponse> {
  const fast = new FastBody(error => stream.destroy(error));
  stream.on('request', (sent: ClientRequest) => {
    sent.prependOnceListener('response', response => {
      fast.consider(response);
      closeUnread(stream, response);
    });
    refuseUpgrade(stream, sent);
  });
  // Errors after the headers reach the reader of the body; without a listener an unread one would end the process.
  // The library counts only the bytes that it saw itself, which are none of a fast body.
  stream.on('error', error => fast.end(readCode(error) === LENGTH_MISMATCH ? undefined : error));
  stream.on('close', () => fast.end());
  try {
    const [response] = (await once(stream, 'response')) as [GotStream['response']];
    if (response === undefined) throw new Error('no response');
    const body = fast.take() ?? new StreamBody(stream);
    return { status: response.statusCode, headers: response.headers, url: response.url, body };
  } catch (error) {
    stream.destroy();
    throw describeFailure(error, url, signal);
  }
}

/** A response that is whole but unread would otherwise keep its connection until the client is closed. */
function closeUnread(stream: GotStream, response: IncomingMessage): void {
  stream.once('close', () => response.destroy());
}

/** Without this listener got never settles when a server switches protocols. */
function refuseUpgrade(stream: GotStream, sent: ClientRequest): void {
  sent.once('upgrade', (response, socket) => {
    socket.destroy();
    stream.destroy(
      new Error(`the server answers ${response.statusCode ?? ''} to switch to another protocol`),
    );
  });
}

const PROXY_VARIABLES = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy'];

/** Node names the address in full, password included, or ignores it and connects directly. */
function checkProxies(environment: NodeJS.ProcessEnv): void {
  for (const name of PROXY_VARIABLES) {
    const address = environment[name] ?? '';
    if (address === '') continue;
    if (URL.canParse(address) && /^https?:$/.test(new URL(address).protocol)) continue;
    throw new LxmertDataError('ERR_USAGE', {
      what: `the environment variable ${name} is not the address of a proxy`,
      expected: 'http://HOST:PORT or https://HOST:PORT, with special characters of a password as %XX',
    });
  }
}

/** The body as text, cut at the limit; for pages, never for files. */
export async function readBody(
  response: HttpResponse,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const piece of response.body.pieces(PAGE_BUDGET_BYTES)) {
      for (const chunk of piece) {
        // Pieces are overwritten by those that follow.
        chunks.push(Buffer.from(chunk));
        length += chunk.length;
      }
      if (length >= maxBytes) break;
    }
  } catch (error) {
    throw describeFailure(error, response.url, signal);
  } finally {
    response.body.destroy();
  }
  return Buffer.concat(chunks).subarray(0, maxBytes).toString('utf8');
}

/** Turns whatever the network threw into a fault with a message fit for the user; an abort stays an abort. */
export function describeFailure(error: unknown, url: string, signal?: AbortSignal): Error {
  if (signal?.aborted === true) return signal.reason instanceof Error ? signal.reason : new Error('aborted');
  if (error instanceof MirrorFault) return error;
  if (error instanceof Error && error.cause instanceof MirrorFault) return error.cause;
  const message = errorText(error);
  // The library's own error carries the request with its secret headers; the system's error below it does not.
  const cause = error instanceof Error ? error.cause : undefined;
  if (/certificate|self-signed|CERT_|ERR_TLS/i.test(`${message} ${isErrno(error) ? '' : readCode(error)}`)) {
    return new MirrorFault('insecure', `${redactUrl(url)}: ${message}`, { cause });
  }
  if (/unsupported protocol|protocol.*not supported/i.test(message)) {
    return new MirrorFault('insecure', `${redactUrl(url)} redirects away from http: ${message}`, { cause });
  }
  const kind = message.startsWith('Redirected') ? 'not-the-file' : 'network';
  return new MirrorFault(kind, `${redactUrl(url)}: ${message}`, { cause });
}

function readCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function checkProtocol(url: string, allowHttp: boolean | undefined, from?: string): void {
  const protocol = URL.canParse(url) ? new URL(url).protocol : '';
  if (protocol === 'https:' || (protocol === 'http:' && allowHttp === true)) return;
  const what = protocol === 'http:' ? 'plain http' : protocol === '' ? 'an invalid URL' : protocol;
  const via = from === undefined ? '' : `${from} redirects to `;
  throw new MirrorFault('insecure', `${via}${redactUrl(url)}: ${what} is not accepted here`);
}

export { CookieJar };
