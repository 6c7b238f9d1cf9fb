import type { RandomAccess } from '../../../inputs/random-access.ts';
import { denseStrides, type FileTensor, gatherValues } from './file-tensor.ts';
import { PickleFault } from './pickle-globals.ts';
import type { NumpyArray, PickleBytes } from './pickle-values.ts';

const TYPES: Readonly<Record<string, 'float32' | 'float64'>> = { f4: 'float32', f8: 'float64' };

/** An array of NumPy's in a pickle. */
export function readNumpyArray(array: NumpyArray, access: RandomAccess): FileTensor {
  const { shape, dtype, isFortran, bytes } = array;
  const code = (dtype?.code ?? '').replace(/^[<=|]/, '');
  const type = dtype?.order === '>' ? undefined : TYPES[code];
  return {
    type: type ?? `${dtype?.order ?? ''}${code}`,
    shape,
    read: async () => {
      if (type === undefined || bytes === undefined) throw new PickleFault('an array that is not of floats');
      const layout = { offset: 0, shape, strides: denseStrides(shape, isFortran) };
      return gatherValues(await readBytes(bytes, access), type, layout);
    },
  };
}

async function readBytes(bytes: PickleBytes, access: RandomAccess): Promise<Buffer> {
  if (bytes.small !== undefined) return bytes.small;
  const content = Buffer.allocUnsafeSlow(bytes.length);
  await access.read(content, bytes.offset);
  return bytes.form === 'raw' ? content : decodeLatin1(content);
}

/** UTF-8 of code points below 256: each is one byte. */
function decodeLatin1(text: Buffer): Buffer {
  const bytes = Buffer.allocUnsafeSlow(text.length);
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    const byte = text[at]!;
    if (byte < 0x80) bytes[length++] = byte;
    else {
      const next = text[++at];
      if ((byte & 0xfc) !== 0xc0 || next === undefined || (next & 0xc0) !== 0x80)
        throw new PickleFault('text that does not stand for bytes');
      bytes[length++] = ((byte & 3) << 6) | (next & 0x3f);
    }
  }
  return bytes.subarray(0, length);
}
