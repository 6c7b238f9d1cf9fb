import type { Readable } from 'node:stream';

/** The body of an answer; read it with `pieces`, once, or destroy it. */
export interface HttpBody {
  /** Bytes that came from the network so far, handed on or not. */
  readonly receivedBytes: number;
  /**
   * The bytes in their order, some buffers at a time. A piece may be overwritten once the next one is asked for. At most
   * `budgetBytes` wait in memory, the piece handed out among them. After a break what came before it is handed out first,
   * and then the error thrown.
   */
  pieces: (budgetBytes: number) => AsyncGenerator<readonly Buffer[], void>;
  /** Closes the connection; whoever waits for pieces gets the error. */
  destroy: (error?: Error) => void;
}

/** A server may send chunks of one byte each; what manages a chunk is larger than that. */
const MAX_CHUNKS = 4096;

/** A body as the HTTP library hands it out. */
export class StreamBody implements HttpBody {
  readonly #stream: Readable;
  receivedBytes = 0;

  constructor(stream: Readable) {
    this.#stream = stream;
  }

  async *pieces(budgetBytes: number): AsyncGenerator<readonly Buffer[], void> {
    let chunks: Buffer[] = [];
    let length = 0;
    let failure: Error | undefined;
    try {
      const stream: AsyncIterable<Buffer> = this.#stream;
      for await (const chunk of stream) {
        this.receivedBytes += chunk.length;
        chunks.push(chunk);
        length += chunk.length;
        if (length < budgetBytes / 4 && chunks.length < MAX_CHUNKS) continue;
        yield chunks;
        chunks = [];
        length = 0;
      }
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
    }
    if (length > 0) yield chunks;
    if (failure !== undefined) throw failure;
  }

  destroy(error?: Error): void {
    this.#stream.destroy(error);
  }
}
