import type { RandomAccess } from '../../../inputs/random-access.ts';
import { isJsonObject, parseJson } from '../../../json.ts';
import { v } from '../../../schema.ts';
import { denseStrides, type FileTensor, gatherValues, type TensorFile } from './file-tensor.ts';
import { PickleFault } from './pickle-globals.ts';

const MAX_HEADER_BYTES = 16 << 20;
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const entrySchema = v.object({
  dtype: v.string(),
  shape: v.array(count),
  data_offsets: v.tuple([count, count]),
});
const TYPES: Readonly<Record<string, 'float32' | 'float64'>> = { F32: 'float32', F64: 'float64' };

/** Whether a file can be safetensors: a length, then the beginning of a JSON object. */
export function looksLikeSafetensors(head: Buffer, size: number): boolean {
  if (head.length < 9 || head[8] !== 0x7b) return false;
  const length = Number(head.readBigUInt64LE());
  return length > 1 && length <= Math.min(MAX_HEADER_BYTES, size - 8);
}

/** The tensors of a safetensors file. */
export async function readSafetensors(access: RandomAccess): Promise<TensorFile> {
  const head = Buffer.alloc(8);
  await access.read(head, 0);
  const length = Number(head.readBigUInt64LE());
  const text = Buffer.alloc(length);
  await access.read(text, 8);
  const header = parseJson(text.toString('utf8'));
  if (!isJsonObject(header)) throw new PickleFault('a header that is not an object');
  const tensors = new Map<string, FileTensor>();
  for (const [name, raw] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const { dtype, shape, data_offsets: offsets } = v.parse(entrySchema, raw);
    const [begin, end] = offsets;
    if (end < begin || 8 + length + end > access.size)
      throw new PickleFault(`tensor ${name} lies beyond the end of the file`);
    const type = TYPES[dtype];
    tensors.set(name, {
      type: type ?? dtype,
      shape,
      read: async () => {
        const bytes = Buffer.allocUnsafeSlow(end - begin);
        await access.read(bytes, 8 + length + begin);
        return gatherValues(bytes, type ?? 'float32', { offset: 0, shape, strides: denseStrides(shape) });
      },
    });
  }
  return tensors;
}
