import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writev } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { describeWriteFailure } from '../files/checks.ts';
import { openOrCreateOwn } from '../files/open-checked.ts';
import { type FileDigests, FileHasher } from './file-hasher.ts';

const READ_BYTES = 4 << 20;

/** Files shorter than this are hashed when they are whole; a thread would cost more than it saves. */
const THREAD_BYTES = 64 << 20;

/** The partial file of a download. It is hashed behind the back of whoever writes it, as far as it is there from the start. */
export class PartialFile {
  readonly path: string;
  readonly #file: FileHandle;
  readonly #wantsMd5: boolean;
  #hasher: FileHasher | undefined;

  private constructor(path: string, file: FileHandle, wantsMd5: boolean) {
    this.path = path;
    this.#file = file;
    this.#wantsMd5 = wantsMd5;
  }

  static async open(path: string, wantsMd5: boolean): Promise<PartialFile> {
    return new PartialFile(path, await openOrCreateOwn(path), wantsMd5);
  }

  get handle(): FileHandle {
    return this.#file;
  }

  async size(): Promise<number> {
    return (await this.#file.stat()).size;
  }

  async write(chunks: readonly Buffer[], position: number): Promise<void> {
    try {
      let at = position;
      let rest = [...chunks];
      // writev may write less than asked for, as on a disk that fills up.
      while (rest.length > 0) {
        const bytesWritten = await writeBuffers(this.#file.fd, rest, at);
        at += bytesWritten;
        rest = dropBytes(rest, bytesWritten);
      }
    } catch (error) {
      throw await describeWriteFailure(this.path, 0, error);
    }
  }

  /** Tells that all bytes before `end` are written and will stay. */
  advanceTo(end: number): void {
    if (this.#hasher === undefined && end < THREAD_BYTES) return;
    this.#hasher ??= new FileHasher(this.#file.fd, this.#wantsMd5);
    this.#hasher.advanceTo(end);
  }

  async read(start: number, end: number): Promise<Buffer> {
    const bytes = Buffer.alloc(end - start);
    const { bytesRead } = await this.#file.read(bytes, 0, bytes.length, start);
    return bytes.subarray(0, bytesRead);
  }

  async startOver(): Promise<void> {
    await this.#file.truncate(0);
    await this.#hasher?.close();
    this.#hasher = undefined;
  }

  /** Digests of bytes 0 to `total`. */
  async digest(total: number, signal: AbortSignal): Promise<FileDigests> {
    signal.throwIfAborted();
    if (this.#hasher !== undefined) {
      // With several connections there may be gigabytes left to hash. Closing the file ends the thread.
      const aborted = once(signal, 'abort').then((): never => {
        signal.throwIfAborted();
        throw new Error('aborted');
      });
      return await Promise.race([this.#hasher.digest(total), aborted]);
    }
    const sha256 = createHash('sha256');
    const md5 = this.#wantsMd5 ? createHash('md5') : undefined;
    const bytes = Buffer.alloc(READ_BYTES);
    for (let position = 0; position < total;) {
      signal.throwIfAborted();
      const length = Math.min(bytes.length, total - position);
      const { bytesRead } = await this.#file.read(bytes, 0, length, position);
      if (bytesRead === 0) throw new Error(`${this.path} ends at ${position} of ${total} bytes`);
      sha256.update(bytes.subarray(0, bytesRead));
      md5?.update(bytes.subarray(0, bytesRead));
      position += bytesRead;
    }
    return { sha256: sha256.digest('hex'), md5: md5?.digest('hex') };
  }

  async close(): Promise<void> {
    await this.#hasher?.close();
    await this.#file.close();
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }
}

const writeBuffers = promisify(
  (
    fd: number,
    chunks: readonly Buffer[],
    position: number,
    done: (error: Error | null, written: number) => void,
  ) => writev(fd, chunks, position, done),
);

function dropBytes(chunks: readonly Buffer[], count: number): Buffer[] {
  const rest: Buffer[] = [];
  let left = count;
  for (const chunk of chunks) {
    if (left >= chunk.length) left -= chunk.length;
    else {
      rest.push(chunk.subarray(left));
      left = 0;
    }
  }
  return rest;
}
