import { WorkerPool } from '../../workers/pool.ts';

/** A piece of shared memory to add, or a request for the digest. */
export type HashRequest =
  { readonly memory: SharedArrayBuffer; readonly begin: number; readonly length: number } | 'digest';
export type HashReply = string;

/**
 * sha256 of a source, in a thread of its own: SHA-256 cannot be spread over threads and is slower than everything else that is done to a byte,
 * so nothing else should wait for its turn behind it.
 */
export class SourceHash {
  readonly #worker = new WorkerPool<HashRequest, HashReply>(import.meta.url, './hash-worker', 1);

  /** Adds bytes; they must stay as they are until the promise is fulfilled. */
  async update(memory: SharedArrayBuffer, begin: number, length: number): Promise<void> {
    await this.#worker.run({ memory, begin, length });
  }

  /** Digest of all bytes added, in hex; the next update begins a new hash. */
  async digest(): Promise<string> {
    return await this.#worker.run('digest');
  }

  async close(): Promise<void> {
    await this.#worker.close();
  }
}
