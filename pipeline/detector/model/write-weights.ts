import { writeAtomically } from '../../files/atomic.ts';
import { listBlobs } from './network.ts';
import type { Weights } from './weights.ts';

const ALIGNMENT = 8;

/**
 * Writes the detector's weights as safetensors with Caffe's names, in the network's order: the same bytes for the same
 * numbers, whichever file they came from.
 */
export async function writeDetectorWeights(
  path: string,
  weights: Weights,
  { force = false }: { force?: boolean } = {},
): Promise<void> {
  await writeAtomically(
    path,
    'weights',
    async file => {
      await file.writeFile(makeHeader());
      for (const blob of listBlobs().keys()) {
        const values = await weights.read(blob);
        await file.writeFile(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
      }
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
