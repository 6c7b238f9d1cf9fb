import { LxmertDataError } from '../errors.ts';
import { Scanner, type TopLevelElement } from './top-level.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
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
  let array: Scanner | undefined;
  let found = false;
  for await (const chunk of chunks) {
    let rest: Buffer | undefined = chunk;
    while (rest !== undefined && rest.length > 0) {
      if (array === undefined) {
        rest = members.find(rest, found ? undefined : name);
        if (rest === undefined) break;
        found = true;
        array = new Scanner(label, 'array', { nestedAt: members.offset });
      }
      const given: number = rest.length;
      const elements = array.take(rest);
      if (elements.length > 0) yield elements;
      rest = array.rest;
      members.offset += given - (rest?.length ?? 0);
      if (rest !== undefined) array = undefined;
    }
  }
  if (!members.isClosed) throw failure(label, 'the file ends in the middle of the JSON', members.offset);
  if (!found) throw failure(label, `the file has no list "${name}"`, members.offset);
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
    if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) return;
    if (this.#depth === 0 && (this.isClosed || byte !== 0x7b)) {
      const what = this.isClosed ? 'something follows the end of the JSON' : 'the file does not begin with {';
      throw failure(this.#label, what, this.offset + index);
    }
    if (byte === QUOTE) {
      this.#inString = true;
      this.#key = [];
    } else if (byte === 0x7b || byte === 0x5b) this.#depth++;
    else if (byte === 0x7d || byte === 0x5d) this.isClosed = --this.#depth === 0;
    else if (byte === 0x3a && this.#depth === 1) this.#afterColon = true;
    else if (byte === 0x2c && this.#depth === 1) this.#afterColon = false;
  }
}

function failure(label: string, what: string, offset: number): LxmertDataError {
  const expected = 'a JSON object with the list, as in the official file';
  return new LxmertDataError('ERR_INPUT', { what, where: `${label}, byte ${offset}`, expected });
}
