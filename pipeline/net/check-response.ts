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
  checkEncoding(headers);
  const validator = readValidator(headers);
  checkValidator(known, validator);
  return status === 200
    ? acceptWhole(asked, known, validator, headers)
    : acceptPart(asked, known, validator, headers);
}

function checkEncoding(headers: IncomingHttpHeaders): void {
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding === 'identity') return;
  const message = `the server compresses the transfer (${encoding}) though asked not to`;
  throw new MirrorFault('unsupported', message);
}

function checkValidator(known: KnownFile, validator: string | undefined): void {
  if (known.validator === undefined || validator === undefined || validator === known.validator) return;
  const message = `the file on the server changed (${known.validator} became ${validator})`;
  throw new MirrorFault('changed', message);
}

/** A 200: the whole file from its start, whatever was asked for. */
function acceptWhole(
  asked: AskedRange,
  known: KnownFile,
  validator: string | undefined,
  headers: IncomingHttpHeaders,
): AcceptedRange {
  if (asked.start > 0) {
    const why = known.validator === undefined ? 'ignores ranges' : 'ignores ranges, or the file changed';
    throw new MirrorFault('changed', `the server sends the file from its start: it ${why}`);
  }
  const length = headers['content-length'];
  const total = length === undefined ? undefined : Number(length);
  checkTotal(known, total);
  return { start: 0, end: total, total, validator, ranged: false };
}

/** A 206: exactly the part that was asked for, or less of it. */
function acceptPart(
  asked: AskedRange,
  known: KnownFile,
  validator: string | undefined,
  headers: IncomingHttpHeaders,
): AcceptedRange {
  const stated = headers['content-range'] ?? 'none';
  const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(stated);
  if (range === null) throw new MirrorFault('unsupported', `206 without a usable Content-Range (${stated})`);
  const [start = NaN, last = NaN, total = NaN] = range.slice(1).map(Number);
  checkTotal(known, total);
  const wantedEnd = Math.min(asked.end ?? total, total);
  if (start !== asked.start || last + 1 > wantedEnd || last < start) {
    const message = `asked for bytes ${asked.start}-${wantedEnd - 1}, the server sends bytes ${start}-${last}`;
    throw new MirrorFault('unsupported', message);
  }
  return { start, end: last + 1, total, validator, ranged: true };
}

function checkTotal(known: KnownFile, total: number | undefined): void {
  if (total !== undefined && !Number.isSafeInteger(total))
    throw new MirrorFault('unsupported', `the server says that the file has ${total} bytes`);
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

const KINDS: ReadonlyMap<number, FaultKind> = new Map([
  ...[404, 410, 451].map(status => [status, 'gone'] as const),
  ...[401, 403, 407].map(status => [status, 'forbidden'] as const),
  ...[412, 416].map(status => [status, 'changed'] as const),
  ...[408, 425, 429].map(status => [status, 'busy'] as const),
  [501, 'unsupported'],
]);

function kindOfStatus(status: number): FaultKind {
  return KINDS.get(status) ?? (status >= 500 ? 'busy' : 'unsupported');
}

/** Hugging Face says when its limit ends as `ratelimit: "api";r=0;t=55`. */
function readRateLimitReset(headers: IncomingHttpHeaders): number | undefined {
  const seconds = /(?:^|;)\s*t=(\d+)/.exec(String(headers['ratelimit'] ?? ''))?.[1];
  return seconds === undefined ? undefined : (Number(seconds) + 1) * 1000;
}
