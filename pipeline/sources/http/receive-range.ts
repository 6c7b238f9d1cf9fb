import type { Readable } from 'node:stream';
import { describeFailure, readBody } from './client.ts';
import type { HttpResponse } from './client.ts';
import { checkRangeResponse, faultOfStatus } from './check-response.ts';
import type { AcceptedRange, AskedRange, KnownFile } from './check-response.ts';
import { checkContentType } from './file-shape.ts';
import { MirrorFault } from './mirror-fault.ts';
import { redactUrl } from './redact-url.ts';
import type { RemoteFile } from './remote-file.ts';

/** A page that comes instead of the file is read up to here to find the mirror's reason. */
const PAGE_BYTES = 256 << 10;

export interface WatchdogOptions {
  /** A connection that brings less than `minBytes` in this time is given up. */
  readonly idleMs: number;
  readonly minBytes: number;
}

export interface OpenedRange {
  readonly accepted: AcceptedRange;
  readonly body: Readable;
  readonly url: string;
  /** The end of the body is told by the protocol even where no length is. */
  readonly isChunked: boolean;
}

/** Asks for a range and accepts the answer only where it is exactly that. Throws MirrorFault. */
export async function openRange(
  remote: RemoteFile,
  asked: AskedRange,
  known: KnownFile,
  options: { readonly fresh: boolean; readonly signal: AbortSignal },
): Promise<OpenedRange> {
  const headers: Record<string, string> = {
    range: `bytes=${asked.start}-${asked.end === undefined ? '' : asked.end - 1}`,
  };
  if (known.validator !== undefined && known.total !== undefined) headers['if-range'] = known.validator;
  const response = await remote.open({ headers, signal: options.signal, fresh: options.fresh });
  try {
    if (response.status === 200 || response.status === 206) checkContentType(response.headers, remote.shape);
    const accepted = checkRangeResponse(asked, known, response.status, response.headers);
    const isChunked = response.headers['transfer-encoding']?.includes('chunked') === true;
    return { accepted, body: response.body, url: response.url, isChunked };
  } catch (error) {
    const fault = await explainFault(remote, response, error, options.signal);
    response.body.destroy();
    throw fault;
  }
}

async function explainFault(
  remote: RemoteFile,
  response: HttpResponse,
  error: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  if (!(error instanceof MirrorFault) || error.kind === 'changed' || error.kind === 'unsupported')
    return error;
  const type = response.headers['content-type'] ?? '';
  if (!/html|json|xml|text/.test(type)) return error;
  const text = await readBody(response, PAGE_BYTES, signal).catch(() => '');
  const explained = remote.explainPage?.(text, response.status);
  if (explained !== undefined) return explained;
  if (/accounts\.google\.com|\/login\b|signin/i.test(redactUrl(response.url))) {
    return new MirrorFault('sign-in', `${redactUrl(response.url)} asks to sign in`);
  }
  const title = /<title[^>]*>([^<]*)/i.exec(text)?.[1]?.trim() ?? '';
  if (title === '') return error;
  return new MirrorFault(
    error.kind,
    `${error.message} (a page titled ${JSON.stringify(title.slice(0, 120))})`,
    {
      retryAfterMs: error.retryAfterMs ?? faultOfStatus(response.status, response.headers).retryAfterMs,
    },
  );
}

/**
 * Hands the body on in pieces of about `pieceBytes`, and gives the connection up when too little arrives. Time that
 * `take` needs is not held against the server.
 */
export async function receiveBody(
  opened: OpenedRange,
  pieceBytes: number,
  watchdog: WatchdogOptions,
  signal: AbortSignal,
  take: (chunks: readonly Buffer[], length: number) => Promise<void>,
): Promise<void> {
  let received = 0;
  let seen = 0;
  let isTaking = false;
  const timer = setInterval(() => {
    if (!isTaking && received - seen < watchdog.minBytes) {
      const seconds = watchdog.idleMs / 1000;
      const what = `only ${received - seen} bytes came in ${seconds} s`;
      opened.body.destroy(new MirrorFault('stalled', `${redactUrl(opened.url)}: ${what}`));
    }
    seen = received;
  }, watchdog.idleMs);
  try {
    let chunks: Buffer[] = [];
    let length = 0;
    const flush = async (): Promise<void> => {
      if (length === 0) return;
      isTaking = true;
      await take(chunks, length);
      isTaking = false;
      chunks = [];
      length = 0;
    };
    try {
      for await (const chunk of opened.body as AsyncIterable<Buffer>) {
        received += chunk.length;
        chunks.push(chunk);
        length += chunk.length;
        if (length >= pieceBytes) await flush();
      }
    } catch (error) {
      // What came before the break is good: keep it.
      if (!(error instanceof TakeError)) await flush();
      throw error;
    }
    await flush();
  } catch (error) {
    if (error instanceof TakeError) throw error.cause;
    throw describeFailure(error, opened.url, signal);
  } finally {
    clearInterval(timer);
    opened.body.destroy();
  }
}

/** Marks a failure of our own side, so that it is not taken for the network's. */
export class TakeError extends Error {}
