import { createHash } from 'node:crypto';
import { writeAtomically } from '../../files/atomic.ts';
import { listBlobs } from './network.ts';
import type { Weights } from './weights.ts';

const ALIGNMENT = 8;

export interface WrittenWeights {
  readonly sizeBytes: number;
  readonly sha256: string;
}

/**
 * Writes the detector's weights as safetensors with Caffe's names, in the network's order: the same bytes for the same
 * numbers, whichever file they came from. `check` sees size and hash before the file gets its name.
 */
export async function writeDetectorWeights(
  path: string,
  weights: Weights,
  { force = false, check }: { force?: boolean; check?: (written: WrittenWeights) => void } = {},
): Promise<WrittenWeights> {
  return await writeAtomically(
    path,
    'weights',
    async file => {
      const hash = createHash('sha256');
      let sizeBytes = 0;
      const write = async (bytes: Uint8Array): Promise<void> => {
        hash.update(bytes);
        await file.writeFile(bytes);
        sizeBytes += bytes.length;
      };
      await write(makeHeader());
      for (const blob of listBlobs().keys()) {
        const values = await weights.read(blob);
        await write(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
      }
      const written = { sizeBytes, sha256: hash.digest('hex') };
      check?.(written);
      return written;
    },
    { force },
  );
}

function makeHeader(): Buffer {
  let offset = 0;
  const tensors = [...listBlobs()].map(([blob, shape]) => {
    const begin = offset;
    offset += 4 * shape.reduce((product, size) => product * size, 1);
    return [blob, { dtype: 'F32', shape, data_offsets: [begin, offset] }] as const;
  });
  const metadata = { format: "lxmert-data's 36-box detector" };
  const text = Buffer.from(JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(tensors) }));
  const header = Buffer.alloc(8 + Math.ceil(text.length / ALIGNMENT) * ALIGNMENT, ' ');
  header.writeBigUInt64LE(BigInt(header.length - 8));
  text.copy(header, 8);
  return header;
}
