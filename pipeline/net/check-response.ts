import type { IncomingHttpHeaders } from 'node:http';
import { MirrorFault } from './mirror-fault.ts';
import type { FaultKind } from './mirror-fault.ts';
import { parseRetryAfter } from './retry-delay.ts';

/** What is known of the file on the server from earlier answers. */
export interface KnownFile {
  readonly total?: number | undefined;
  /** Strong ETag or Last-Modified. */
  readonly validator?: string | undefined;
}

export interface AskedRange {
  readonly start: number;
  /** Exclusive; absent means to the end. */
  readonly end?: number | undefined;
}

export interface AcceptedRange {
  readonly start: number;
  /** Exclusive; absent where the server did not say. */
  readonly end: number | undefined;
  readonly total: number | undefined;
  readonly validator: string | undefined;
  readonly ranged: boolean;
}

/**
 * Whether an answer continues the file exactly where asked. Throws MirrorFault: `changed` where the file must be started
 * over, others for the mirror's failure. Whether the bytes are the file at all is checkFirstBytes' question.
 */
export function checkRangeResponse(
  asked: AskedRange,
  known: KnownFile,
  status: number,
  headers: IncomingHttpHeaders,
): AcceptedRange {
  if (status !== 200 && status !== 206) throw faultOfStatus(status, headers);
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw new MirrorFault(
      'unsupported',
      `the server compresses the transfer (${encoding}) though asked not to`,
    );
  }
  const validator = readValidator(headers);
  if (known.validator !== undefined && validator !== undefined && validator !== known.validator) {
    throw new MirrorFault(
      'changed',
      `the file on the server changed (${known.validator} became ${validator})`,
    );
  }
  if (status === 200) {
    if (asked.start > 0) {
      const why = known.validator === undefined ? 'ignores ranges' : 'ignores ranges, or the file changed';
      throw new MirrorFault('changed', `the server sends the file from its start: it ${why}`);
    }
    const length = headers['content-length'];
    const total = length === undefined ? undefined : Number(length);
    if (total !== undefined && !Number.isSafeInteger(total)) {
      throw new MirrorFault('unsupported', `the server says that the file has ${total} bytes`);
    }
    checkTotal(known, total);
    return { start: 0, end: total, total, validator, ranged: false };
  }
  const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers['content-range'] ?? '');
  if (range === null) {
    throw new MirrorFault(
      'unsupported',
      `206 without a usable Content-Range (${headers['content-range'] ?? 'none'})`,
    );
  }
  const [start, last, total] = range.slice(1).map(Number) as [number, number, number];
  if (!Number.isSafeInteger(total)) {
    throw new MirrorFault('unsupported', `the server says that the file has ${total} bytes`);
  }
  checkTotal(known, total);
  const wantedEnd = Math.min(asked.end ?? total, total);
  if (start !== asked.start || last + 1 > wantedEnd || last < start) {
    const got = `bytes ${start}-${last}`;
    throw new MirrorFault(
      'unsupported',
      `asked for bytes ${asked.start}-${wantedEnd - 1}, the server sends ${got}`,
    );
  }
  return { start, end: last + 1, total, validator, ranged: true };
}

function checkTotal(known: KnownFile, total: number | undefined): void {
  if (known.total === undefined || total === undefined || total === known.total) return;
  throw new MirrorFault(
    'changed',
    `the file on the server changed its size from ${known.total} to ${total} bytes`,
  );
}

/** A weak ETag does not promise equal bytes. */
function readValidator(headers: IncomingHttpHeaders): string | undefined {
  const { etag } = headers;
  return etag?.startsWith('"') === true ? etag : headers['last-modified'];
}

/** The failure behind a status that brings no file. */
export function faultOfStatus(status: number, headers: IncomingHttpHeaders): MirrorFault {
  const retryAfterMs = parseRetryAfter(headers['retry-after'], Date.now()) ?? readRateLimitReset(headers);
  return new MirrorFault(kindOfStatus(status), `the server answers ${status}`, { retryAfterMs });
}

function kindOfStatus(status: number): FaultKind {
  if (status === 404 || status === 410 || status === 451) return 'gone';
  if (status === 401 || status === 403 || status === 407) return 'forbidden';
  if (status === 412 || status === 416) return 'changed';
  if (
    status === 408 ||
    status === 425 ||
    status === 429 ||
    status === 509 ||
    (status >= 500 && status !== 501)
  ) {
    return 'busy';
  }
  return 'unsupported';
}

/** Hugging Face says when its limit ends as `ratelimit: "api";r=0;t=55`. */
function readRateLimitReset(headers: IncomingHttpHeaders): number | undefined {
  const seconds = /(?:^|;)\s*t=(\d+)/.exec(String(headers['ratelimit'] ?? ''))?.[1];
  return seconds === undefined ? undefined : (Number(seconds) + 1) * 1000;
}
