import { createHash } from 'node:crypto';
import { open, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { describeWriteFailure } from '../../files.ts';

const READ_BYTES = 4 << 20;

/**
 * The partial file of a download. Bytes that arrive in order from the start are hashed as they pass; what came out of
 * order or from an earlier run is hashed from the disk at the end.
 */
export class PartialFile {
  readonly path: string;
  readonly #file: FileHandle;
  #sha256 = createHash('sha256');
  #md5 = createHash('md5');
  readonly #wantsMd5: boolean;
  #hashedBytes = 0;

  private constructor(path: string, file: FileHandle, wantsMd5: boolean) {
    this.path = path;
    this.#file = file;
    this.#wantsMd5 = wantsMd5;
  }

  static async open(path: string, wantsMd5: boolean): Promise<PartialFile> {
    const exists = (await stat(path).catch(() => undefined)) !== undefined;
    return new PartialFile(path, await open(path, exists ? 'r+' : 'w+'), wantsMd5);
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
        const { bytesWritten } = await this.#file.writev(rest, at);
        at += bytesWritten;
        rest = dropBytes(rest, bytesWritten);
      }
    } catch (error) {
      throw await describeWriteFailure(this.path, 0, error);
    }
    let at = position;
    for (const chunk of chunks) {
      if (at === this.#hashedBytes) this.#hash(chunk);
      at += chunk.length;
    }
  }

  async read(start: number, end: number): Promise<Buffer> {
    const bytes = Buffer.alloc(end - start);
    const { bytesRead } = await this.#file.read(bytes, 0, bytes.length, start);
    return bytes.subarray(0, bytesRead);
  }

  async startOver(): Promise<void> {
    await this.#file.truncate(0);
    this.#sha256 = createHash('sha256');
    this.#md5 = createHash('md5');
    this.#hashedBytes = 0;
  }

  /** Digests of bytes 0 to `total`. */
  async digest(total: number, signal: AbortSignal): Promise<{ sha256: string; md5: string | undefined }> {
    const bytes = Buffer.alloc(READ_BYTES);
    while (this.#hashedBytes < total) {
      signal.throwIfAborted();
      const length = Math.min(bytes.length, total - this.#hashedBytes);
      const { bytesRead } = await this.#file.read(bytes, 0, length, this.#hashedBytes);
      if (bytesRead === 0) throw new Error(`${this.path} ends at ${this.#hashedBytes} of ${total} bytes`);
      this.#hash(bytes.subarray(0, bytesRead));
    }
    return { sha256: this.#sha256.digest('hex'), md5: this.#wantsMd5 ? this.#md5.digest('hex') : undefined };
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }

  #hash(bytes: Buffer): void {
    this.#sha256.update(bytes);
    if (this.#wantsMd5) this.#md5.update(bytes);
    this.#hashedBytes += bytes.length;
  }
}

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
