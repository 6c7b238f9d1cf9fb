import { crc32 } from 'node:zlib';
import { LxmertDataError } from '../errors.ts';
import { DATA_ALIGNMENT, LENGTH_BYTES, type TensorSpan } from './layout.ts';
import type { RawMetadata } from './metadata.ts';

export const FORMAT_NAME = 'lxmert-data/obj36';
export const FORMAT_VERSION = 1;
/** Nothing that grows with the rows stands in the header. */
export const MAX_HEADER_BYTES = 1 << 20;
const NO_CRC = '00000000';

export function hexCrc(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}

/** Header bytes, length field included, padded with spaces to exactly `dataStart`. */
export function encodeHeader(
  tensors: readonly TensorSpan[],
  metadata: RawMetadata,
  dataStart: number,
): Buffer {
  const entries: Record<string, unknown> = { __metadata__: { ...metadata, header_crc32: NO_CRC } };
  for (const { name, dtype, shape, begin, end } of tensors) {
    entries[name] = { dtype, shape, data_offsets: [begin, end] };
  }
  const json = Buffer.from(JSON.stringify(entries));
  if (LENGTH_BYTES + json.length > dataStart) {
    throw new LxmertDataError('ERR_INTERNAL', {
      what: 'the header does not fit',
      expected: `at most ${dataStart - LENGTH_BYTES} bytes`,
      got: `${json.length} bytes`,
    });
  }
  const header = Buffer.alloc(dataStart, ' ');
  header.writeBigUInt64LE(BigInt(dataStart - LENGTH_BYTES));
  json.copy(header, LENGTH_BYTES);
  header.write(hexCrc(crc32(header)), crcPlace(header)!, 'latin1');
  return header;
}

/** CRC-32 that a header should name: over all its bytes with the digits themselves read as zeros. */
export function headerCrc(header: Buffer): string | undefined {
  const at = crcPlace(header);
  if (at === undefined) return undefined;
  const blank = Buffer.from(header);
  blank.write(NO_CRC, at, 'latin1');
  return hexCrc(crc32(blank));
}

function crcPlace(header: Buffer): number | undefined {
  const key = '"header_crc32":"';
  const at = header.indexOf(key, LENGTH_BYTES, 'latin1');
  return at < 0 ? undefined : at + key.length;
}

/** Start of the data section, chosen before the header's content is known. `textBytes` bounds the part that varies. */
export function planDataStart(textBytes: number): number {
  const needed = LENGTH_BYTES + 4096 + textBytes;
  const dataStart = Math.ceil(needed / DATA_ALIGNMENT) * DATA_ALIGNMENT;
  if (dataStart - LENGTH_BYTES <= MAX_HEADER_BYTES) return dataStart;
  throw new LxmertDataError('ERR_INPUT', {
    what: 'a store cannot name so many inputs in its header',
    expected: `about ${MAX_HEADER_BYTES} bytes of names and sums`,
    got: `${needed} bytes`,
    hint: 'join the inputs first: cat a.tsv b.tsv > all.tsv',
  });
}
