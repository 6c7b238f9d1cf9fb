import { availableParallelism } from 'node:os';
import type { ByteSource } from '../../inputs/byte-source.ts';
import { WorkerPool } from '../../workers/pool.ts';
import { BlockPool } from './block-pool.ts';
import { type FeatureDtype, storedFeatureBytes } from '../feature-dtype.ts';
import { type LineBlock, readLineBlocks } from './line-blocks.ts';
import type { Problem, ProblemCode, RowProblem } from '../../problem.ts';
import type { BlockReply, BlockRequest, LineResult } from './row-messages.ts';
import { bufferOver, RECORD_BYTES, type RowRecord, rowRecordAt } from '../row-record.ts';
import { BUTD36, OBJ36, type RowShape } from '../row-shape.ts';
import { SourceHash } from './source-hash.ts';

/** One line of a TSV with its line number and offset, decoded if it is a valid row. */
export interface StreamedLine extends LineResult {
  readonly line: number;
  readonly offset: number;
}

/** Lines of one block in the order of the file, and the memory that valid rows were decoded to. */
export interface DecodedBlock {
  readonly lines: readonly StreamedLine[];
  readonly shape: RowShape;
  /** Exact problem counts by code, also those whose text was dropped. */
  readonly counts: ReadonlyMap<ProblemCode, number>;
  readonly problems: readonly Problem[];
  /** Features of `count` rows from `slot` on, in the decoder's dtype, without a copy. */
  features(slot: number, count: number): Buffer;
  /** Text of a line, line end included, without a copy. */
  text(index: number): Buffer;
  record(slot: number): RowRecord;
  records(slot: number, count: number): Buffer;
  /** Releases the memory; nothing of the block may be used afterwards. */
  release(): void;
}

export interface RowDecoderOptions {
  readonly dtype: FeatureDtype;
  readonly threads?: number | undefined;
  /** Chooses where in its memory a block's features begin, at most 4,096 bytes in. */
  readonly align?: ((memory: SharedArrayBuffer) => number) | undefined;
}

/** Threads that decode rows; the main thread reads, hashes and orders. */
function defaultThreads(): number {
  return Math.max(1, Math.min(4, availableParallelism() - 1));
}

/** More threads than cores only take memory, 38 MB each. */
function boundThreads(threads: number): number {
  return Math.min(threads, Math.max(4, availableParallelism()));
}

/** Decodes and checks TSVs on worker threads, in order, with flat memory. */
export class RowDecoder {
  readonly #dtype: FeatureDtype;
  readonly #workers: WorkerPool<BlockRequest, BlockReply>;
  readonly #hash = new SourceHash();
  readonly #blocks: BlockPool;
  readonly #depth: number;

  constructor({ dtype, threads = defaultThreads(), align }: RowDecoderOptions) {
    this.#dtype = dtype;
    const count = boundThreads(threads);
    this.#depth = 2 * count + 1;
    this.#workers = new WorkerPool(import.meta.url, './row-worker', count);
    // One block is being read, `depth` wait or are decoded, three are being hashed or written.
    this.#blocks = new BlockPool(this.#depth + 4, dtype, align);
  }

  async close(): Promise<void> {
    await Promise.all([this.#workers.close(), this.#hash.close()]);
  }

  /** sha256 of the source decoded last, once all of it was. */
  async digest(): Promise<string> {
    return await this.#hash.digest();
  }

  async *decode(source: ByteSource): AsyncGenerator<DecodedBlock> {
    const queue: Promise<DecodedBlock>[] = [];
    let shape: RowShape | undefined;
    try {
      for await (const lines of readLineBlocks(source, this.#blocks, this.#hash)) {
        shape ??= detectShape(lines);
        const decoded = this.#decodeBlock(lines, shape, source.label);
        decoded.catch(() => undefined);
        queue.push(decoded);
        if (queue.length >= this.#depth) yield await queue.shift()!;
      }
      while (queue.length > 0) yield await queue.shift()!;
    } finally {
      for (const decoded of queue) {
        decoded.then(
          block => block.release(),
          () => undefined,
        );
      }
    }
  }

  async #decodeBlock(lines: LineBlock, shape: RowShape, source: string): Promise<DecodedBlock> {
    const { block, spans, hashed } = lines;
    const request = { block, spans, shape: shape.name, dtype: this.#dtype };
    const reply = spans.length === 0 ? NO_LINES : await this.#workers.run(request);
    const placed: StreamedLine[] = [];
    let offset = lines.firstOffset;
    for (const [index, result] of reply.lines.entries()) {
      placed.push({ ...result, line: lines.firstLine + index, offset });
      offset += result.length;
    }
    const featureBytes = storedFeatureBytes(this.#dtype);
    const overlong = describeOverlong(lines, source);
    return {
      lines: placed,
      shape,
      counts: overlong.length === 0 ? reply.counts : countOneMore(reply.counts, 'length'),
      problems: [...overlong, ...placed.flatMap(line => locateProblems(line, source))],
      features: (slot, count) =>
        bufferOver(block.features, block.featuresAt + slot * featureBytes, count * featureBytes),
      text: index => bufferOver(block.text).subarray(spans[index * 2], spans[index * 2 + 1]),
      record: slot => rowRecordAt(block.records, slot * RECORD_BYTES),
      records: (slot, count) => bufferOver(block.records, slot * RECORD_BYTES, count * RECORD_BYTES),
      release: () => {
        const giveBack = (): void => this.#blocks.giveBack(block);
        void hashed.then(giveBack, giveBack);
      },
    };
  }
}

const NO_LINES: BlockReply = { lines: [], counts: new Map() };

function countOneMore(
  counts: ReadonlyMap<ProblemCode, number>,
  code: ProblemCode,
): ReadonlyMap<ProblemCode, number> {
  return new Map(counts).set(code, (counts.get(code) ?? 0) + 1);
}

/**
 * Six columns mean the original release, everything else is held against LXMERT's ten. A torn row may have six columns too, so a
 * whole row decides where there is one.
 */
function detectShape({ block, spans }: LineBlock): RowShape {
  const text = bufferOver(block.text);
  let torn: RowShape | undefined;
  for (let index = 0; index < spans.length; index += 2) {
    const line = text.subarray(spans[index], spans[index + 1]);
    const tabs = countTabs(line);
    if (tabs === 0) continue;
    const shape = tabs === BUTD36.columns.length - 1 ? BUTD36 : OBJ36;
    if (tabs === shape.columns.length - 1 && line.length > shape.restChars) return shape;
    torn ??= shape;
  }
  return torn ?? OBJ36;
}

function countTabs(line: Buffer): number {
  let tabs = 0;
  for (let at = line.indexOf(9); at >= 0; at = line.indexOf(9, at + 1)) tabs++;
  return tabs;
}

function locateProblems(line: StreamedLine, source: string): Problem[] {
  const location = { source, line: line.line, offset: line.offset, img_id: line.imgId };
  return (line.problems ?? []).map((problem: RowProblem) => ({ ...problem, ...location }));
}

function describeOverlong({ overlong }: LineBlock, source: string): Problem[] {
  if (overlong === undefined) return [];
  return [
    {
      code: 'length',
      severity: 'error',
      source,
      line: overlong.line,
      offset: overlong.offset,
      img_id: null,
      column: null,
      expected: 'a row of about 395 kB',
      got: `a line of ${overlong.bytes} bytes`,
      hint: 'line ends are missing, or this is not a feature TSV',
    },
  ];
}
