import { open, rm } from 'node:fs/promises';
import { partialPath, publish, removeStalePartials } from '../files/atomic.ts';
import { describeWriteFailure } from '../files/checks.ts';
import { type Html, markupOf } from './html.ts';

/** Writes a page piece by piece, whole or not at all; returns its size in bytes. */
export async function writePage(path: string, pieces: AsyncIterable<Html> | Iterable<Html>): Promise<number> {
  return await writeFinished(path, async write => {
    for await (const piece of pieces) await write(Buffer.from(markupOf(piece)));
  });
}

/** Writes a file whose content is known, whole or not at all. */
export async function writeWhole(path: string, content: Uint8Array): Promise<void> {
  await writeFinished(path, async write => await write(content));
}

type Fill = (write: (bytes: Uint8Array) => Promise<void>) => Promise<void>;

async function writeFinished(path: string, fill: Fill): Promise<number> {
  await removeStalePartials(path);
  const partial = partialPath(path, 'page');
  let bytes = 0;
  try {
    const file = await open(partial, 'w');
    try {
      await fill(async piece => {
        await file.writeFile(piece);
        bytes += piece.length;
      });
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
