import type { RandomAccess } from '../../../inputs/random-access.ts';
import { PickleFault } from './pickle-globals.ts';
import type { LongText, PickleBytes } from './pickle-values.ts';

/** Longer bytes and texts are passed over and left in the file. */
const KEPT_BYTES = 1024;
const WINDOW_BYTES = 1 << 16;
/** The longest argument of an instruction that is read at once. */
const LOOKAHEAD_BYTES = 300;

/** Reads a pickle through a window of the file. */
export class PickleInput {
  readonly #access: RandomAccess;
  #window: Buffer = Buffer.alloc(0);
  #begin: number;
  #at = 0;

  constructor(access: RandomAccess, offset: number) {
    this.#access = access;
    this.#begin = offset;
  }

  /** Where the next byte lies in the file. */
  get offset(): number {
    return this.#begin + this.#at;
  }

  /** Makes sure that an instruction and its short arguments are at hand. */
  async fill(wanted = LOOKAHEAD_BYTES): Promise<void> {
    if (this.#window.length - this.#at >= wanted) return;
    this.#begin += this.#at;
    this.#at = 0;
    const window = Buffer.alloc(Math.max(WINDOW_BYTES, wanted));
    this.#window = window.subarray(0, await this.#access.read(window, this.#begin));
  }

  byte(): number {
    return this.#take(1)[0]!;
  }

  /** An unsigned number of 2, 4 or 8 bytes that counts something in the file. */
  length(bytes: 2 | 4 | 8): number {
    const taken = this.#take(bytes);
    const value = bytes === 8 ? Number(taken.readBigUInt64LE()) : taken.readUIntLE(0, bytes);
    if (!Number.isSafeInteger(value)) throw new PickleFault('a length beyond all files');
    return value;
  }

  int32(): number {
    return this.#take(4).readInt32LE();
  }

  double(): number {
    return this.#take(8).readDoubleBE();
  }

  /** A whole number in two's complement: a number where it is safe, else a bigint. */
  long(bytes: number): number | bigint {
    const taken = Buffer.from(this.#take(bytes)).reverse();
    if (bytes === 0) return 0;
    const value = BigInt.asIntN(8 * bytes, BigInt(`0x${taken.toString('hex')}`));
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  async text(length: number, encoding: 'utf8' | 'latin1'): Promise<string | LongText> {
    if (length > KEPT_BYTES) return { kind: 'long-text', offset: this.#skip(length), length };
    await this.fill(length);
    return this.#take(length).toString(encoding);
  }

  async bytes(length: number): Promise<PickleBytes> {
    const form = 'raw';
    if (length > KEPT_BYTES) return { kind: 'bytes', offset: this.#skip(length), length, form };
    await this.fill(length);
    const small = Buffer.from(this.#take(length));
    return { kind: 'bytes', offset: this.offset - length, length, form, small };
  }

  /** Up to a line feed, which is taken too. */
  async line(): Promise<string> {
    await this.fill();
    const end = this.#window.indexOf(0x0a, this.#at);
    if (end === -1 || end - this.#at > LOOKAHEAD_BYTES) throw new PickleFault('a name without an end');
    const line = this.#window.toString('utf8', this.#at, end);
    this.#at = end + 1;
    return line;
  }

  #take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#window.length)
      throw new PickleFault(`it ends at byte ${this.#begin + this.#window.length}`);
    const taken = this.#window.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  /** Passes over a run of bytes; returns where it begins. */
  #skip(length: number): number {
    const { offset } = this;
    if (offset + length > this.#access.size)
      throw new PickleFault(`${length} bytes at byte ${offset}, beyond the end of the file`);
    this.#begin = offset + length;
    this.#at = 0;
    this.#window = Buffer.alloc(0);
    return offset;
  }
}
