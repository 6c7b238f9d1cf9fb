import { type PublishOptions, writeAtomically } from '../files/atomic.ts';
import { type Html, markupOf } from './html.ts';

/**
 * Writes a page piece by piece, whole or not at all; returns its size in bytes. Throws ERR_OUTPUT_EXISTS where the file
 * exists and `force` is not set.
 */
export async function writePage(
  path: string,
  pieces: AsyncIterable<Html> | Iterable<Html>,
  options: PublishOptions,
): Promise<number> {
  return await writeAtomically(
    path,
    'page',
    async file => {
      let size = 0;
      for await (const piece of pieces) {
        const bytes = Buffer.from(markupOf(piece));
        await file.writeFile(bytes);
        size += bytes.length;
      }
      return size;
    },
    options,
  );
}

/** Writes a file whose content is known, whole or not at all. Throws ERR_OUTPUT_EXISTS as `writePage` does. */
export async function writeWhole(path: string, content: Uint8Array, options: PublishOptions): Promise<void> {
  await writeAtomically(path, 'page', file => file.writeFile(content), options);
}
