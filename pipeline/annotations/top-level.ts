import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { errorText, LxmertDataError } from '../errors.ts';

/** One element of the outermost array, or one `"key": value` of the outermost object, as it stands in the file. */
export interface TopLevelElement {
  readonly text: string;
  readonly offset: number;
}

export interface TopLevelOptions {
  readonly signal?: AbortSignal | undefined;
  /** Largest element; a file that is one endless value must not fill the memory. */
  readonly maxElementBytes?: number | undefined;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN = { 0x5b: 'array', 0x7b: 'object' } as const;
const CHUNK_BYTES = 1 << 20;
const MAX_ELEMENT_BYTES = 64 << 20;

/**
 * Splits a JSON file of any size at the commas of its outermost array or object, in file order, a batch of elements a
 * chunk. JSON.parse could not: it takes at most half a gigabyte, and it moves keys that look like numbers to the front.
 * Throws ERR_INPUT with the offset where the file is not such a container or ends early.
 */
export async function* readTopLevel(
  path: string,
  container: 'array' | 'object',
  options: TopLevelOptions = {},
): AsyncGenerator<readonly TopLevelElement[]> {
  const maxElementBytes = options.maxElementBytes ?? MAX_ELEMENT_BYTES;
  const stream = createReadStream(path, { highWaterMark: CHUNK_BYTES, signal: options.signal });
  let pending: Buffer = Buffer.alloc(0);
  let base = 0; // file offset of pending[0]
  let at = 0; // next byte of pending to look at
  let depth = 0;
  let inString = false;
  let elements = 0;
  let closed = false;
  const fail = (what: string, offset: number, cause?: unknown): LxmertDataError =>
    new LxmertDataError('ERR_INPUT', {
      what,
      where: `${path}, byte ${offset}`,
      expected: `a JSON ${container}`,
      cause,
    });

  for await (const chunk of stream as AsyncIterable<Buffer>) {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    const batch: TopLevelElement[] = [];
    let elementStart = 0;
    while (at < pending.length) {
      if (inString) {
        const quote = pending.indexOf(QUOTE, at);
        if (quote < 0) {
          at = pending.length;
          break;
        }
        at = quote + 1;
        inString = isEscaped(pending, quote, elementStart);
        continue;
      }
      const byte = pending[at]!;
      if (closed || depth === 0) {
        if (!isSpace(byte)) {
          if (closed) throw fail('something follows the end of the JSON', base + at);
          if (OPEN[byte as keyof typeof OPEN] !== container) {
            throw fail(`the file does not begin with ${container === 'array' ? '[' : '{'}`, base + at);
          }
          depth = 1;
          elementStart = at + 1;
        }
        at++;
        continue;
      }
      if (byte === QUOTE) inString = true;
      else if (byte === 0x5b || byte === 0x7b) depth++;
      else if (byte === 0x5d || byte === 0x7d) {
        depth--;
        if (depth === 0) {
          if ((byte === 0x5d) !== (container === 'array'))
            throw fail('the wrong bracket closes the JSON', base + at);
          const text = decodeText(pending.subarray(elementStart, at), base + elementStart, fail);
          if (elements > 0 || text.trim() !== '') batch.push({ text, offset: base + elementStart });
          closed = true;
          elementStart = at + 1;
        }
      } else if (byte === COMMA && depth === 1) {
        batch.push({
          text: decodeText(pending.subarray(elementStart, at), base + elementStart, fail),
          offset: base + elementStart,
        });
        elements++;
        elementStart = at + 1;
      }
      at++;
    }
    if (depth === 0) elementStart = at;
    base += elementStart;
    pending = pending.subarray(elementStart);
    at -= elementStart;
    if (pending.length > maxElementBytes)
      throw fail(`an element is longer than ${maxElementBytes} bytes`, base);
    if (batch.length > 0) yield batch;
  }
  if (!closed) throw fail('the file ends in the middle of the JSON', base + pending.length);
}

/** Parses one element; for an object the result is its `[key, value]`. Throws ERR_INPUT with file and offset. */
export function parseElement(path: string, element: TopLevelElement): unknown {
  try {
    return JSON.parse(element.text) as unknown;
  } catch (cause) {
    throw notJson(path, element, cause);
  }
}

export function parseEntry(path: string, element: TopLevelElement): [key: string, value: unknown] {
  try {
    const entry = Object.entries(JSON.parse(`{${element.text}}`) as Record<string, unknown>)[0];
    if (entry === undefined) throw new SyntaxError('nothing between two commas');
    return entry;
  } catch (cause) {
    throw notJson(path, element, cause);
  }
}

function notJson(path: string, element: TopLevelElement, cause: unknown): LxmertDataError {
  const got = errorText(cause);
  return new LxmertDataError('ERR_INPUT', {
    what: 'not valid JSON',
    where: `${path}, element at byte ${element.offset}`,
    got,
    cause,
  });
}

/** A quote is part of the string when an odd number of backslashes stands before it. */
function isEscaped(bytes: Buffer, quote: number, start: number): boolean {
  let first = quote;
  while (first > start && bytes[first - 1] === BACKSLASH) first--;
  return (quote - first) % 2 === 1;
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function decodeText(
  bytes: Buffer,
  offset: number,
  fail: (what: string, offset: number) => LxmertDataError,
): string {
  if (!isUtf8(bytes)) throw fail('not UTF-8', offset);
  return bytes.toString('utf8');
}
