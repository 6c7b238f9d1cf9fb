import { LxmertDataError } from '../errors.ts';
import { Scanner, type TopLevelElement } from './top-level.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const SPACE: ReadonlySet<number> = new Set([0x20, 0x0a, 0x0d, 0x09]);
const OPENING: ReadonlySet<number> = new Set([0x5b, 0x7b]);
const CLOSING: ReadonlySet<number> = new Set([0x5d, 0x7d]);
const MAX_KEY_BYTES = 1024;

/**
 * Elements of the array that a JSON object has under `name`, in file order, as many at a time as a chunk holds. The
 * other members of the object are passed over. Throws ERR_INPUT with the offset where the file is not such an object,
 * ends early, or lacks the array.
 */
export async function* readNamedArray(
  label: string,
  name: string,
  chunks: AsyncIterable<Buffer>,
): AsyncGenerator<readonly TopLevelElement[]> {
  const members = new MemberScanner(label);
  const reader = new NamedArrayReader(label, name, members);
  for await (const chunk of chunks) {
    for (let rest: Buffer | undefined = chunk; rest !== undefined && rest.length > 0;) {
      const { elements, left } = reader.take(rest);
      if (elements.length > 0) yield elements;
      rest = left;
    }
  }
  if (!members.isClosed) throw failure(label, 'the file ends in the middle of the JSON', members.offset);
  if (!reader.found) throw failure(label, `the file has no list "${name}"`, members.offset);
}

/** Hands the bytes of the wanted array to a scanner of its own. */
class NamedArrayReader {
  readonly #label: string;
  readonly #name: string;
  readonly #members: MemberScanner;
  #array: Scanner | undefined;
  found = false;

  constructor(label: string, name: string, members: MemberScanner) {
    this.#label = label;
    this.#name = name;
    this.#members = members;
  }

  /** The elements that end in this chunk, and what is left of it after the array. */
  take(chunk: Buffer): { elements: readonly TopLevelElement[]; left: Buffer | undefined } {
    const begin =
      this.#array === undefined ? this.#members.find(chunk, this.found ? undefined : this.#name) : chunk;
    if (begin === undefined) return { elements: [], left: undefined };
    this.found = true;
    this.#array ??= new Scanner(this.#label, 'array', { nestedAt: this.#members.offset });
    const elements = this.#array.take(begin);
    const left = this.#array.rest;
    this.#members.offset += begin.length - (left?.length ?? 0);
    if (left !== undefined) this.#array = undefined;
    return { elements, left };
  }
}

/** Walks over the members of the outermost object. Keeps no more of them than a key. */
class MemberScanner {
  readonly #label: string;
  #depth = 0;
  #inString = false;
  #isEscaped = false;
  #key: number[] = [];
  /** The key before the colon, at depth 1. */
  #lastKey = '';
  /** After a key and its colon, where the value begins. */
  #afterColon = false;
  isClosed = false;
  offset = 0;

  constructor(label: string) {
    this.#label = label;
  }

  /** The bytes of `chunk` from the bracket of the wanted array on; undefined where it does not begin there. */
  find(chunk: Buffer, wanted: string | undefined): Buffer | undefined {
    for (const [index, byte] of chunk.entries()) {
      if (this.#inString) this.#takeString(byte);
      else if (byte === 0x5b && this.#afterColon && this.#depth === 1 && this.#lastKey === wanted) {
        this.offset += index;
        this.#afterColon = false;
        return chunk.subarray(index);
      } else this.#takeOther(byte, index);
    }
    this.offset += chunk.length;
    return undefined;
  }

  #takeString(byte: number): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === BACKSLASH) this.#isEscaped = true;
    else if (byte === QUOTE) {
      this.#inString = false;
      if (this.#depth === 1 && !this.#afterColon) this.#lastKey = Buffer.from(this.#key).toString('utf8');
      return;
    }
    if (this.#depth === 1 && !this.#afterColon && this.#key.length < MAX_KEY_BYTES) this.#key.push(byte);
  }

  #takeOther(byte: number, index: number): void {
    if (SPACE.has(byte)) return;
    if (this.#depth === 0) this.#checkOutside(byte, index);
    if (byte === QUOTE) {
      this.#inString = true;
      this.#key = [];
    } else if (OPENING.has(byte)) this.#depth++;
    else if (CLOSING.has(byte)) this.isClosed = --this.#depth === 0;
    else if (this.#depth === 1 && (byte === COLON || byte === COMMA)) this.#afterColon = byte === COLON;
  }

  #checkOutside(byte: number, index: number): void {
    if (!this.isClosed && byte === 0x7b) return;
    const what = this.isClosed ? 'something follows the end of the JSON' : 'the file does not begin with {';
    throw failure(this.#label, what, this.offset + index);
  }
}

function failure(label: string, what: string, offset: number): LxmertDataError {
  const expected = 'a JSON object with the list, as in the official file';
  return new LxmertDataError('ERR_INPUT', { what, where: `${label}, byte ${offset}`, expected });
}
