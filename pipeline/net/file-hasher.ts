import { WorkerPool } from '../workers/pool.ts';

export interface FileHashRequest {
  /** Descriptor of the file: threads share those of their process. */
  readonly fd: number;
  /** Hash on, up to this byte. */
  readonly end: number;
  readonly wantsMd5: boolean;
  /** Reply with the digests and begin anew. */
  readonly isLast: boolean;
}

export interface FileDigests {
  readonly sha256: string;
  readonly md5: string | undefined;
}

/** Asked for at a time: each question wakes a thread. */
const STEP_BYTES = 16 << 20;

export type FileHashReply = FileDigests | undefined;

/** Hashes a growing file in a thread of its own, as far as it is there, so that little is left to do when its end comes. */
export class FileHasher {
  readonly #fd: number;
  readonly #wantsMd5: boolean;
  readonly #worker = new WorkerPool<FileHashRequest, FileHashReply>(import.meta.url, './file-hash-worker', 1);
  #wanted = 0;
  #asked = 0;
  #work: Promise<unknown> = Promise.resolve();
  #isBusy = false;

  constructor(fd: number, wantsMd5: boolean) {
    this.#fd = fd;
    this.#wantsMd5 = wantsMd5;
  }

  /** Tells that all bytes before `end` are in the file and will stay as they are. */
  advanceTo(end: number): void {
    this.#wanted = Math.max(this.#wanted, end);
    if (this.#isBusy || this.#wanted - this.#asked < STEP_BYTES) return;
    this.#isBusy = true;
    this.#asked = this.#wanted;
    this.#work = this.#ask(this.#asked, false).then(() => {
      this.#isBusy = false;
      this.advanceTo(this.#wanted);
    });
    // A failure is met again when the digest is asked for.
    this.#work.catch(() => undefined);
  }

  /** Digests of bytes 0 to `total`. */
  async digest(total: number): Promise<FileDigests> {
    this.#isBusy = true;
    await this.#work;
    return (await this.#ask(total, true))!;
  }

  async close(): Promise<void> {
    await this.#worker.close();
  }

  async #ask(end: number, isLast: boolean): Promise<FileHashReply> {
    return await this.#worker.run({ fd: this.#fd, end, wantsMd5: this.#wantsMd5, isLast });
  }
}
