import { titleOf } from '../html-document.ts';
import { describeFailure, readBody } from './client.ts';
import type { HttpResponse } from './client.ts';
import { checkRangeResponse, faultOfStatus } from './check-response.ts';
import type { AcceptedRange, AskedRange, KnownFile } from './check-response.ts';
import type { HttpBody } from './http-body.ts';
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
  readonly body: HttpBody;
  readonly url: string;
  /** The protocol marks the end of the body even without a length. */
  readonly isChunked: boolean;
}

export interface ReceiveOptions {
  /** Most bytes that were received and not yet taken. */
  readonly budgetBytes: number;
  readonly watchdog: WatchdogOptions;
  readonly signal: AbortSignal;
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
  if (known.validator !== undefined) headers['if-range'] = known.validator;
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

/** Reads the page that came in place of the file, for a better reason than its status. */
async function explainFault(
  remote: RemoteFile,
  response: HttpResponse,
  error: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  if (!(error instanceof MirrorFault) || error.kind === 'changed' || error.kind === 'unsupported')
    return error;
  if (!/html|json|xml|text/.test(response.headers['content-type'] ?? '')) return error;
  const text = await readBody(response, PAGE_BYTES, signal).catch(() => '');
  return remote.explainPage?.(text, response.status) ?? explainPage(text, response, error);
}

/** What any page says of itself: that it asks to sign in, or its title. */
function explainPage(text: string, response: HttpResponse, fault: MirrorFault): MirrorFault {
  const url = redactUrl(response.url);
  if (/accounts\.google\.com|\/login\b|signin/i.test(url))
    return new MirrorFault('sign-in', `${url} asks to sign in`);
  const title = titleOf(text);
  if (title === undefined) return fault;
  const message = `${fault.message} (a page titled ${JSON.stringify(title.slice(0, 120))})`;
  const { retryAfterMs } = fault.retryAfterMs === undefined ? faultOfResponse(response) : fault;
  return new MirrorFault(fault.kind, message, { retryAfterMs });
}

function faultOfResponse({ status, headers }: HttpResponse): MirrorFault {
  return faultOfStatus(status, headers);
}

/**
 * Hands the body on piece by piece, and gives the connection up when too little arrives. Time that `take` needs is not
 * held against the server. A piece is valid only until `take` has settled.
 */
export async function receiveBody(
  opened: OpenedRange,
  { budgetBytes, watchdog, signal }: ReceiveOptions,
  take: (chunks: readonly Buffer[], length: number) => Promise<void>,
): Promise<void> {
  const { body, url } = opened;
  let seen = 0;
  let isTaking = false;
  const timer = setInterval(() => {
    const received = body.receivedBytes - seen;
    if (!isTaking && received < watchdog.minBytes) {
      const what = `only ${received} bytes came in ${watchdog.idleMs / 1000} s`;
      body.destroy(new MirrorFault('stalled', `${redactUrl(url)}: ${what}`));
    }
    seen = body.receivedBytes;
  }, watchdog.idleMs);
  try {
    for await (const chunks of body.pieces(budgetBytes)) {
      isTaking = true;
      await take(
        chunks,
        chunks.reduce((sum, { length }) => sum + length, 0),
      ).catch((error: unknown) => {
        throw new TakeError('not the network', { cause: error });
      });
      isTaking = false;
      seen = body.receivedBytes;
      timer.refresh();
    }
  } catch (error) {
    if (error instanceof TakeError) throw error.cause;
    throw describeFailure(error, url, signal);
  } finally {
    clearInterval(timer);
    body.destroy();
  }
}

/** Marks a failure of our own side, so that it is not taken for the network's. */
class TakeError extends Error {}
