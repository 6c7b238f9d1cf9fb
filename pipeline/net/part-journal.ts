import { isJsonObject, parseJson } from '../json.ts';
import { readFileSync, writeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { isErrno } from '../errors.ts';
import { writeAtomically } from '../files/atomic.ts';
import { openOwn } from '../files/open-checked.ts';

/** A stretch of the file that one connection fetches; `done` is the next byte to fetch. */
export interface Segment {
  readonly start: number;
  readonly end: number;
  done: number;
}

export interface JournalHead {
  /** Mirror and location: bytes from one are never continued with bytes from another. */
  readonly identity: string;
  readonly total: number;
  readonly validator: string | undefined;
}

const HEAD_BYTES = 4096;
const SLOT_BYTES = 32;
const VERSION = 1;
/** Of the largest file's journal, and far more. */
const MAX_BYTES = 1 << 20;

/**
 * Which bytes of a partial file are there. Each segment has a slot of four u64: start, end, bytes handed to the system,
 * bytes known to be on disk. After a killed process the third counts, after a crash of the machine (another boot) only
 * the fourth, since the system may have lost what it had not yet written.
 */
export class PartJournal {
  readonly head: JournalHead;
  readonly segments: readonly Segment[];
  readonly #file: FileHandle;
  readonly #slot = Buffer.alloc(8);

  private constructor(head: JournalHead, segments: readonly Segment[], file: FileHandle) {
    this.head = head;
    this.segments = segments;
    this.#file = file;
  }

  /** Replaces whatever journal is there. */
  static async create(path: string, head: JournalHead, segments: readonly Segment[]): Promise<PartJournal> {
    const json = JSON.stringify({ version: VERSION, boot: readBootId(), ...head });
    const bytes = Buffer.alloc(HEAD_BYTES + segments.length * SLOT_BYTES);
    if (Buffer.byteLength(json) >= HEAD_BYTES) throw new RangeError('the journal head is too long');
    bytes.write(json);
    for (const [index, { start, end, done }] of segments.entries()) {
      [start, end, done, done].forEach((value, field) => {
        bytes.writeBigUInt64LE(BigInt(value), HEAD_BYTES + index * SLOT_BYTES + field * 8);
      });
    }
    await writeAtomically(path, 'journal', file => file.writeFile(bytes), { force: true });
    return new PartJournal(head, segments, await openOwn(path, { write: true }));
  }

  /** The journal of an earlier run, or undefined if there is no usable one. */
  static async load(path: string): Promise<{ head: JournalHead; segments: Segment[] } | undefined> {
    let bytes: Buffer;
    try {
      const file = await openOwn(path, { maxBytes: MAX_BYTES });
      bytes = await file.readFile().finally(() => file.close());
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
    const head = parseHead(bytes);
    const count = (bytes.length - HEAD_BYTES) / SLOT_BYTES;
    if (head === undefined || !Number.isInteger(count) || count < 1) return undefined;
    const doneField = head.boot !== '' && head.boot === readBootId() ? 2 : 3;
    const segments = Array.from({ length: count }, (_, index): Segment => {
      const field = (number: number): number =>
        Number(bytes.readBigUInt64LE(HEAD_BYTES + index * SLOT_BYTES + number * 8));
      return { start: field(0), end: field(1), done: field(doneField) };
    });
    const isWhole = segments.every(({ start, end, done }, index) => {
      return start === (segments[index - 1]?.end ?? 0) && start <= done && done <= end;
    });
    if (!isWhole || segments.at(-1)!.end !== head.total) return undefined;
    return { head: { identity: head.identity, total: head.total, validator: head.validator }, segments };
  }

  /** Notes that the segment's bytes up to `done` are with the system. */
  note(segment: Segment, done: number): void {
    segment.done = done;
    this.#write(segment, 2, done);
  }

  /** Syncs the data, then notes as on disk what was written before. */
  async sync(data: FileHandle): Promise<void> {
    const before = this.segments.map(segment => segment.done);
    await data.datasync();
    for (const [index, segment] of this.segments.entries()) this.#write(segment, 3, before[index]!);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  // Synchronous: eight bytes into the page cache take microseconds, and no other note can come between.
  #write(segment: Segment, field: number, value: number): void {
    this.#slot.writeBigUInt64LE(BigInt(value));
    const position = HEAD_BYTES + this.segments.indexOf(segment) * SLOT_BYTES + field * 8;
    writeSync(this.#file.fd, this.#slot, 0, 8, position);
  }
}

export async function removeJournal(path: string): Promise<void> {
  await rm(path, { force: true });
}

function parseHead(bytes: Buffer): (JournalHead & { boot: string }) | undefined {
  if (bytes.length < HEAD_BYTES) return undefined;
  const text = bytes.subarray(0, HEAD_BYTES).toString('utf8');
  try {
    const value = parseJson(text.replace(/\0+$/, ''));
    if (!isJsonObject(value)) return undefined;
    const { version, boot, identity, total, validator } = value;
    if (version !== VERSION || typeof boot !== 'string' || typeof identity !== 'string') return undefined;
    if (typeof total !== 'number' || !Number.isSafeInteger(total)) return undefined;
    if (validator !== undefined && typeof validator !== 'string') return undefined;
    return { boot, identity, total, validator };
  } catch {
    return undefined;
  }
}

/** Linux names each boot; elsewhere nothing but synced bytes is trusted. */
function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}
