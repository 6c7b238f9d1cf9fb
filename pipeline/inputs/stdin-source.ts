import { fstatSync } from 'node:fs';
import { LxmertDataError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';

/** Names the standard input where commands take files. */
export const STDIN = '-';

/** A TSV that another program writes into this one; it is read once, and its size is unknown until it ends. */
export function openStandardInput(): ByteSource {
  if (process.stdin.isTTY) {
    throw new LxmertDataError('ERR_USAGE', {
      what: 'the standard input is a terminal',
      expected: 'rows from another program',
      hint: 'unzip -p train2014_obj36.zip | lxmert-data convert - --out train2014_obj36.safetensors',
    });
  }
  const chunks: AsyncIterator<Buffer, undefined> = process.stdin[Symbol.asyncIterator]();
  let chunk: Buffer = Buffer.alloc(0);
  return {
    name: 'stdin.tsv',
    label: 'standard input',
    // Of a file that is redirected the size is known.
    size: knownSize(),
    async read(into) {
      let filled = 0;
      while (filled < into.length) {
        if (chunk.length === 0) {
          const next = await chunks.next();
          if (next.done === true) break;
          chunk = next.value;
        }
        const length = Math.min(chunk.length, into.length - filled);
        into.set(chunk.subarray(0, length), filled);
        chunk = chunk.subarray(length);
        filled += length;
      }
      return filled;
    },
    async finish() {
      // A pipe cannot say whether its writer failed: the rows, and their number, must.
    },
    async close() {
      process.stdin.destroy();
      await Promise.resolve();
    },
  };
}

function knownSize(): number {
  try {
    return fstatSync(0).size;
  } catch {
    return 0;
  }
}
