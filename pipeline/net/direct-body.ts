import type { HttpBody } from './http-body.ts';

/** Memory that a socket reads into; bytes `taken` to `filled` wait for the consumer. */
interface Block {
  readonly memory: Buffer;
  taken: number;
  filled: number;
}

interface DirectBodyOptions {
  /** As the server announced. */
  readonly length: number;
  /** The bytes that came together with the headers. */
  readonly first: Buffer;
  readonly resume: () => void;
  readonly destroy: (error?: Error) => void;
}

/**
 * A body of known length that a socket reads straight into memory of ours, past the HTTP parser and its streams. Reading
 * goes on while a piece is being written.
 */
export class DirectBody implements HttpBody {
  readonly #options: DirectBodyOptions;
  /** In order; the socket reads into the rest of the last one. */
  readonly #blocks: Block[];
  #lent: Block[] = [];
  #free: Buffer[] = [];
  #waitingBytes: number;
  #lentBytes = 0;
  #budgetBytes = 0;
  #readBytes = 64 << 10;
  #isStopped = true;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  receivedBytes: number;

  constructor(options: DirectBodyOptions) {
    this.#options = options;
    const { first } = options;
    this.#blocks = [{ memory: first, taken: 0, filled: first.length }];
    this.#waitingBytes = first.length;
    this.receivedBytes = first.length;
  }

  /** Where the socket reads next: never memory with bytes that the consumer has yet to see, however often it is called. */
  nextMemory(): Buffer {
    const last = this.#blocks.at(-1)!;
    if (last.memory.length - last.filled >= this.#readBytes / 2) return last.memory.subarray(last.filled);
    const memory = this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#readBytes);
    this.#blocks.push({ memory, taken: 0, filled: 0 });
    return memory;
  }

  /** The socket has read so many bytes into `nextMemory`. Returns whether it is to read on. */
  accept(length: number): boolean {
    // Discards bytes beyond Content-Length.
    const wanted = Math.min(length, this.#options.length - this.receivedBytes);
    this.#blocks.at(-1)!.filled += wanted;
    this.#waitingBytes += wanted;
    this.receivedBytes += wanted;
    this.#isStopped = this.#isWhole || !this.#hasRoom;
    if (this.#isReady) this.#wake?.();
    return !this.#isStopped;
  }

  /** The connection broke; without an error, at its end. */
  fail(error?: Error): void {
    if (this.#isWhole) return;
    this.#failure ??=
      error ??
      new Error(`the connection ended at ${this.receivedBytes} of ${this.#options.length} announced bytes`);
    this.#wake?.();
  }

  async *pieces(budgetBytes: number): AsyncGenerator<readonly Buffer[], void> {
    this.#budgetBytes = budgetBytes;
    this.#readBytes = Math.ceil(budgetBytes / 4);
    for (;;) {
      this.#takeBack();
      if (this.#isStopped && !this.#isWhole && this.#hasRoom) {
        this.#isStopped = false;
        this.#options.resume();
      }
      while (!this.#isReady) await new Promise<void>(resolve => (this.#wake = resolve));
      if (this.#waitingBytes > 0) yield this.#lend();
      else if (this.#failure !== undefined) throw this.#failure;
      else return;
    }
  }

  destroy(error?: Error): void {
    if (error !== undefined) this.fail(error);
    this.#options.destroy(error);
  }

  get #isWhole(): boolean {
    return this.receivedBytes === this.#options.length;
  }

  /** The next read may bring as much as a block holds. */
  get #hasRoom(): boolean {
    return this.#waitingBytes + this.#lentBytes + this.#readBytes <= this.#budgetBytes;
  }

  get #isReady(): boolean {
    return this.#waitingBytes >= this.#readBytes || this.#isWhole || this.#failure !== undefined;
  }

  #lend(): readonly Buffer[] {
    const pieces: Buffer[] = [];
    for (const block of this.#blocks) {
      if (block.filled > block.taken) pieces.push(block.memory.subarray(block.taken, block.filled));
      block.taken = block.filled;
    }
    this.#lent = this.#blocks.splice(0, this.#blocks.length - 1);
    this.#lentBytes = this.#waitingBytes;
    this.#waitingBytes = 0;
    return pieces;
  }

  #takeBack(): void {
    const fit = this.#lent.filter(({ memory }) => memory.length === this.#readBytes);
    this.#free = [...this.#free, ...fit.map(({ memory }) => memory)].slice(0, 4);
    this.#lent = [];
    this.#lentBytes = 0;
  }
}
