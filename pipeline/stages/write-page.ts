import { open, rm } from 'node:fs/promises';
import { describeWriteFailure, partialPath, publish, removeStalePartials } from '../files.ts';
import { type Html, markupOf } from '../report/html.ts';

/** Writes a page piece by piece, whole or not at all; returns its size in bytes. */
export async function writePage(path: string, pieces: AsyncIterable<Html> | Iterable<Html>): Promise<number> {
  await removeStalePartials(path);
  const partial = partialPath(path, 'page');
  let bytes = 0;
  try {
    const file = await open(partial, 'w');
    try {
      for await (const piece of pieces) {
        const text = Buffer.from(markupOf(piece));
        bytes += text.length;
        await file.writeFile(text);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await publish(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw await describeWriteFailure(path, 0, error);
  }
  return bytes;
}

/** Writes a finished file, whole or not at all. */
export async function writeWhole(path: string, content: Uint8Array): Promise<void> {
  await removeStalePartials(path);
  const partial = partialPath(path, 'page');
  try {
    const file = await open(partial, 'w');
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await publish(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw await describeWriteFailure(path, content.length, error);
  }
}
