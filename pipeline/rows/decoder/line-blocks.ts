import { bufferOver } from '../row-record.ts';
import { LxmertDataError } from '../../errors.ts';
import type { ByteSource } from '../../inputs/byte-source.ts';
import type { SourceHash } from './source-hash.ts';
import { type Block, type BlockPool, CARRY_BYTES, READ_BYTES } from './block-pool.ts';

const LF = 10;
/** A block of feature rows has about twenty lines; whatever has so many is something else. */
const MAX_LINES = 20_000;

/** A line that is longer than any row could be; its bytes are not kept. */
export interface OverlongLine {
  readonly line: number;
  readonly offset: number;
  readonly bytes: number;
}

/** Whole lines of a TSV, found but not decoded. */
export interface LineBlock {
  readonly block: Block;
  /** Begin and end of each line in the block's text, line ends included. */
  readonly spans: Int32Array;
  /** Number of the first line, from 1, and its byte offset in the TSV. */
  readonly firstLine: number;
  readonly firstOffset: number;
  readonly overlong?: OverlongLine;
  /** Fulfilled when the block's bytes are hashed; not before may it be given back. */
  readonly hashed: Promise<void>;
}

/** Finds lines in blocks that follow each other; remembers the unfinished line in between. */
class LineCutter {
  readonly #label: string;
  #line = 1;
  #offset = 0;
  #carry = Buffer.alloc(0);
  #dropping = 0;

  constructor(label: string) {
    this.#label = label;
  }

  /** `text` holds new bytes from CARRY_BYTES to `end`; the unfinished line is put right before them. */
  cut(text: Buffer, end: number, last: boolean): Omit<LineBlock, 'block' | 'hashed'> {
    let begin = CARRY_BYTES - this.#carry.length;
    this.#carry.copy(text, begin);
    let search = CARRY_BYTES;
    let overlong: OverlongLine | undefined;
    if (this.#dropping > 0) {
      const stop = indexOfLineFeed(text, search, end);
      begin = search = stop < 0 ? end : stop + 1;
      this.#dropping += begin - CARRY_BYTES;
      if (stop >= 0 || last) overlong = this.#endOverlong();
    }
    const firstLine = this.#line;
    const firstOffset = this.#offset;
    const spans: number[] = [];
    const origin = begin;
    for (let stop = indexOfLineFeed(text, search, end); stop >= 0; stop = indexOfLineFeed(text, begin, end)) {
      if (spans.length >= 2 * MAX_LINES) throw this.#tooManyLines(firstLine);
      spans.push(begin, stop + 1);
      begin = stop + 1;
    }
    if (last && begin < end) {
      spans.push(begin, end);
      begin = end;
    }
    this.#offset += begin - origin;
    this.#line += spans.length / 2;
    if (end - begin > CARRY_BYTES) {
      this.#dropping = end - begin;
      begin = end;
    }
    this.#carry = Buffer.from(text.subarray(begin, end));
    return {
      spans: Int32Array.from(spans),
      firstLine,
      firstOffset,
      ...(overlong === undefined ? {} : { overlong }),
    };
  }

  #tooManyLines(firstLine: number): LxmertDataError {
    return new LxmertDataError('ERR_INPUT', {
      what: 'this is not a feature TSV',
      where: this.#label,
      expected: 'rows of about 395 kB',
      got: `more than ${MAX_LINES} lines within 8 MB, from line ${firstLine} on`,
    });
  }

  #endOverlong(): OverlongLine {
    const overlong = { line: this.#line, offset: this.#offset, bytes: this.#dropping };
    this.#offset += this.#dropping;
    this.#line++;
    this.#dropping = 0;
    return overlong;
  }
}

function indexOfLineFeed(text: Buffer, from: number, end: number): number {
  const at = from < end ? text.indexOf(LF, from) : -1;
  return at < end ? at : -1;
}

async function fill(source: ByteSource, into: Uint8Array): Promise<number> {
  let filled = 0;
  while (filled < into.length) {
    const read = await source.read(into.subarray(filled));
    if (read === 0) break;
    filled += read;
  }
  return filled;
}

interface FilledBlock {
  readonly block: Block;
  readonly text: Buffer;
  readonly length: number;
}

async function fillBlock(source: ByteSource, pool: BlockPool): Promise<FilledBlock> {
  const block = await pool.take();
  const text = bufferOver(block.text);
  try {
    return { block, text, length: await fill(source, text.subarray(CARRY_BYTES)) };
  } catch (error) {
    pool.giveBack(block);
    throw error;
  }
}

/**
 * Cuts a byte source into blocks of whole lines and hashes it. The next block is read while the caller works on this one.
 * The caller gives each block back to the pool.
 */
export async function* readLineBlocks(
  source: ByteSource,
  pool: BlockPool,
  hash: SourceHash,
): AsyncGenerator<LineBlock> {
  const cutter = new LineCutter(source.label);
  let ahead: Promise<FilledBlock> | undefined = fillBlock(source, pool);
  try {
    while (ahead !== undefined) {
      const filled: FilledBlock = await ahead;
      const { block, text, length } = filled;
      const last = length < READ_BYTES;
      ahead = last ? undefined : fillBlock(source, pool);
      // A failed read is seen when it is awaited; until then it must not count as unhandled.
      ahead?.catch(() => undefined);
      const hashed = hash.update(block.text, CARRY_BYTES, length);
      hashed.catch(() => undefined);
      yield { block, hashed, ...cutter.cut(text, CARRY_BYTES + length, last) };
    }
  } finally {
    // Reached with a read under way only if the caller stopped early.
    void ahead?.then(
      filled => pool.giveBack(filled.block),
      () => undefined,
    );
  }
}
