import type { FileHandle } from 'node:fs/promises';
import { openFile } from './open-file.ts';

/** Bytes that can be read anywhere: one file, or the parts of a split one, joined without a copy. */
export interface RandomAccess {
  readonly label: string;
  readonly size: number;
  /** Fills `into` from `position` on; returns the bytes read, fewer only at the end. */
  read(into: Uint8Array, position: number): Promise<number>;
  close(): Promise<void>;
}

interface Part {
  readonly file: FileHandle;
  readonly begin: number;
  readonly end: number;
}

/** Opens files as one run of bytes, in the given order. */
export async function openRandomAccess(paths: readonly string[]): Promise<RandomAccess> {
  const parts: Part[] = [];
  let size = 0;
  try {
    for (const path of paths) {
      const { file, stat } = await openFile(path, 'a .tsv or .zip file');
      parts.push({ file, begin: size, end: size + stat.size });
      size += stat.size;
    }
  } catch (error) {
    await closeAll(parts);
    throw error;
  }
  return {
    label: paths.length > 1 ? `${paths[0]} to ${paths.at(-1)}` : paths.join(),
    size,
    read: async (into, position) => await readParts(parts, into, position),
    close: async () => await closeAll(parts),
  };
}

async function readParts(parts: readonly Part[], into: Uint8Array, position: number): Promise<number> {
  let done = 0;
  for (const part of parts) {
    while (done < into.length && position + done >= part.begin && position + done < part.end) {
      const at = position + done - part.begin;
      const length = Math.min(into.length - done, part.end - part.begin - at);
      const { bytesRead } = await part.file.read(into, done, length, at);
      if (bytesRead === 0) return done;
      done += bytesRead;
    }
  }
  return done;
}

async function closeAll(parts: readonly Part[]): Promise<void> {
  await Promise.all(parts.map(async part => await part.file.close()));
}

/** Sequential chunks of [begin, end), each in its own memory. */
export async function* readChunks(
  access: RandomAccess,
  begin: number,
  end: number,
  chunkBytes: number,
): AsyncGenerator<Buffer> {
  for (let position = begin; position < end;) {
    const chunk = Buffer.allocUnsafeSlow(Math.min(chunkBytes, end - position));
    const read = await access.read(chunk, position);
    if (read === 0) return;
    yield chunk.subarray(0, read);
    position += read;
  }
}
