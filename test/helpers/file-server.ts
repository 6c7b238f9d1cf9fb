import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';

/** One way in which a server goes wrong for one request. */
export type ServerFault =
  | { readonly kind: 'none' }
  /** The connection is closed after so many body bytes. */
  | { readonly kind: 'cut'; readonly bytes: number }
  /** The body ends early and cleanly, with neither length nor chunks to tell. */
  | { readonly kind: 'short-without-length'; readonly bytes: number }
  | { readonly kind: 'no-length' }
  | { readonly kind: 'chunked' }
  /** Nothing more comes after so many bytes. */
  | { readonly kind: 'stall'; readonly bytes: number }
  | { readonly kind: 'drip' }
  | { readonly kind: 'reset' }
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly page?: string;
    }
  | { readonly kind: 'ignore-range' }
  | { readonly kind: 'wrong-start'; readonly by: number }
  | { readonly kind: 'wrong-total' }
  | { readonly kind: 'no-content-range' }
  | { readonly kind: 'extra-bytes' }
  | { readonly kind: 'gzip' }
  | { readonly kind: 'page'; readonly type: string; readonly page: string }
  | { readonly kind: 'page-as-file'; readonly page: string }
  | { readonly kind: 'redirect'; readonly location: string; readonly status?: number };

export interface ServedFile {
  readonly bytes: Buffer;
  /** null: none is sent. */
  readonly etag?: string | null;
  readonly lastModified?: string | null;
  readonly type?: string;
}

export interface SeenRequest {
  readonly path: string;
  readonly method: string;
  readonly range: string | undefined;
  readonly headers: IncomingMessage['headers'];
  sentBytes: number;
}

export interface TestServer {
  readonly url: string;
  readonly requests: SeenRequest[];
  readonly close: () => Promise<void>;
}

export async function startServer(
  listener: RequestListener,
): Promise<{ url: string; close: () => Promise<void> }> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A server of files with ranges, as a good one works, unless `faultOf` names a fault for the request. */
export async function startFileServer(
  files: (path: string) => ServedFile | undefined,
  faultOf: (request: SeenRequest, index: number) => ServerFault = () => ({ kind: 'none' }),
): Promise<TestServer> {
  const requests: SeenRequest[] = [];
  const server = await startServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname);
    const seen: SeenRequest = {
      path,
      method: request.method ?? '',
      range: request.headers.range,
      headers: request.headers,
      sentBytes: 0,
    };
    requests.push(seen);
    response.on('error', () => undefined);
    void answer(request, response, seen, files(path), faultOf(seen, requests.length - 1));
  });
  return { ...server, requests };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  seen: SeenRequest,
  file: ServedFile | undefined,
  fault: ServerFault,
): Promise<void> {
  if (fault.kind === 'reset') {
    response.socket?.resetAndDestroy();
    return;
  }
  if (fault.kind === 'redirect') {
    response.writeHead(fault.status ?? 302, { location: fault.location }).end();
    return;
  }
  if (fault.kind === 'status') {
    response.writeHead(fault.status, { 'content-type': 'text/html', ...fault.headers });
    response.end(fault.page ?? '<html><title>no</title></html>');
    return;
  }
  if (fault.kind === 'page') {
    response.writeHead(200, { 'content-type': fault.type }).end(fault.page);
    return;
  }
  if (file === undefined) {
    response.writeHead(404, { 'content-type': 'text/html' }).end('<html><title>404 Not Found</title></html>');
    return;
  }
  if (fault.kind === 'page-as-file') {
    response.writeHead(200, {
      'content-type': 'application/octet-stream',
      'content-length': fault.page.length,
    });
    response.end(fault.page);
    return;
  }
  await sendFile(request, response, seen, file, fault);
}

const NO_RANGES: readonly string[] = ['ignore-range', 'gzip', 'no-length', 'short-without-length'];

async function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  seen: SeenRequest,
  file: ServedFile,
  fault: ServerFault,
): Promise<void> {
  const etag = file.etag === undefined ? '"v1"' : file.etag;
  const lastModified = file.lastModified === undefined ? 'Mon, 19 Aug 2019 10:00:00 GMT' : file.lastModified;
  const headers: Record<string, string | number> = {
    'content-type': file.type ?? 'application/octet-stream',
  };
  if (etag !== null) headers['etag'] = etag;
  if (lastModified !== null) headers['last-modified'] = lastModified;
  const total = file.bytes.length;
  const wanted = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const ifRange = request.headers['if-range'];
  const isCurrent = ifRange === undefined || ifRange === etag || ifRange === lastModified;
  let body = file.bytes;
  let status = 200;
  if (wanted !== null && isCurrent && !NO_RANGES.includes(fault.kind)) {
    const start = Number(wanted[1]);
    const end = wanted[2] === '' ? total : Math.min(Number(wanted[2]) + 1, total);
    if (start >= total) {
      response.writeHead(416, { 'content-range': `bytes */${total}` }).end();
      return;
    }
    const shift = fault.kind === 'wrong-start' ? fault.by : 0;
    const from = Math.max(start + shift, 0);
    body = file.bytes.subarray(from, end);
    status = 206;
    const size = fault.kind === 'wrong-total' ? total + 1 : total;
    if (fault.kind !== 'no-content-range') headers['content-range'] = `bytes ${from}-${end - 1}/${size}`;
  }
  if (fault.kind === 'gzip') {
    body = gzipSync(body);
    headers['content-encoding'] = 'gzip';
  }
  const isOpenEnded = ['short-without-length', 'no-length', 'chunked'].includes(fault.kind);
  if (!isOpenEnded) headers['content-length'] = body.length;
  if (fault.kind === 'no-length' || fault.kind === 'short-without-length') {
    headers['connection'] = 'close';
    response.useChunkedEncodingByDefault = false;
  }
  response.writeHead(status, headers);
  const closed = new Promise(resolve => response.once('close', resolve));
  const limit = 'bytes' in fault ? Math.min(fault.bytes, body.length) : body.length;
  for (let at = 0; at < limit;) {
    const size = fault.kind === 'drip' ? 1 : Math.min(64 << 10, limit - at);
    if (response.destroyed) return;
    if (!response.write(body.subarray(at, at + size))) {
      await Promise.race([closed, new Promise(resolve => response.once('drain', resolve))]);
    }
    at += size;
    seen.sentBytes = at;
    if (fault.kind === 'drip') await sleep(20);
  }
  if (fault.kind === 'cut') {
    // Everything sent arrives; a reset would throw away what the client has not read yet.
    response.socket?.destroySoon();
  } else if (fault.kind === 'extra-bytes') {
    response.socket?.write('extra bytes after the end');
    response.end();
  } else if (fault.kind !== 'stall') response.end();
}
