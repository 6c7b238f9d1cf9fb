import { basename } from 'node:path';
import { pipeline, Readable } from 'node:stream';
import { crc32, createInflateRaw } from 'node:zlib';
import { errorText, LxmertDataError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { openRandomAccess, type RandomAccess, readChunks } from './random-access.ts';
import { pickMember, readZipDirectory, type ZipEntry } from './zip-directory.ts';

const LOCAL_HEADER_BYTES = 30;
const LOCAL_HEADER_SIGNATURE = 0x04034b50;
const STORED = 0;
const DEFLATED = 8;
/** Large pieces keep the cost of handing them around small. */
const CHUNK_BYTES = 1 << 20;

/** A member of a zip archive (or of the parts of a split one) as a stream of its content, CRC-32 and length checked. */
export async function openZipMember(paths: readonly string[], member?: string): Promise<ByteSource> {
  const access = await openRandomAccess(paths);
  try {
    const entry = pickMember(await readZipDirectory(access), access.label, member);
    return await openEntry(access, entry);
  } catch (error) {
    await access.close();
    throw error;
  }
}

async function openEntry(access: RandomAccess, entry: ZipEntry): Promise<ByteSource> {
  const label = `${access.label}:${entry.path}`;
  checkSupported(entry, label);
  const begin = await findData(access, entry, label);
  const packed = readChunks(access, begin, begin + entry.compressedSize, CHUNK_BYTES);
  const content = unpack(packed, entry.method)[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array(0);
  let crc = 0;
  let length = 0;
  return {
    name: basename(entry.path),
    label,
    size: entry.uncompressedSize,
    async read(into) {
      while (rest.length === 0) {
        const next = await content.next().catch((error: unknown) => {
          throw damaged(
            label,
            'the compressed data cannot be unpacked',
            'a sound deflate stream',
            describe(error),
          );
        });
        if (next.done === true) return 0;
        rest = next.value;
        length += rest.length;
        crc = crc32(rest, crc);
        if (length > entry.uncompressedSize) {
          throw damaged(
            label,
            'the member is longer than it says',
            `${entry.uncompressedSize} bytes`,
            `${length} or more`,
          );
        }
      }
      const taken = Math.min(into.length, rest.length);
      into.set(rest.subarray(0, taken));
      rest = rest.subarray(taken);
      return taken;
    },
    // eslint-disable-next-line @typescript-eslint/require-await -- a source may need to wait here; this one does not
    async finish() {
      if (length !== entry.uncompressedSize) {
        throw damaged(label, 'the member is cut short', `${entry.uncompressedSize} bytes`, `${length} bytes`);
      }
      if (crc !== entry.crc32) {
        throw damaged(label, 'the member is damaged', `CRC-32 ${hex(entry.crc32)}`, `CRC-32 ${hex(crc)}`);
      }
    },
    async close() {
      await content.return?.();
      await access.close();
    },
  };
}

function unpack(packed: AsyncGenerator<Buffer>, method: number): AsyncIterable<Buffer> {
  if (method === STORED) return packed;
  const inflate = createInflateRaw({ chunkSize: CHUNK_BYTES });
  // Failures reach the reader through the inflater; the callback only keeps them from being unhandled.
  pipeline(
    Readable.from(packed, { objectMode: false, highWaterMark: CHUNK_BYTES }),
    inflate,
    () => undefined,
  );
  return inflate as AsyncIterable<Buffer>;
}

function checkSupported(entry: ZipEntry, label: string): void {
  const what = entry.encrypted
    ? 'the member is encrypted'
    : entry.method !== STORED && entry.method !== DEFLATED
      ? `the member is packed with method ${entry.method}`
      : undefined;
  if (what === undefined) return;
  const hint = 'unpack it with another tool and give the .tsv';
  throw new LxmertDataError('ERR_ZIP', { what, where: label, expected: 'stored or deflated data', hint });
}

async function findData(access: RandomAccess, entry: ZipEntry, label: string): Promise<number> {
  const header = Buffer.alloc(LOCAL_HEADER_BYTES);
  const read = await access.read(header, entry.localHeaderOffset);
  if (read < LOCAL_HEADER_BYTES || header.readUInt32LE(0) !== LOCAL_HEADER_SIGNATURE) {
    throw damaged(
      label,
      'the archive has no member where its directory says',
      `a header at byte ${entry.localHeaderOffset}`,
    );
  }
  const begin =
    entry.localHeaderOffset + LOCAL_HEADER_BYTES + header.readUInt16LE(26) + header.readUInt16LE(28);
  if (begin + entry.compressedSize > access.size) {
    const expected = `${entry.compressedSize} bytes from byte ${begin} on`;
    throw damaged(
      label,
      'the archive ends inside the member',
      expected,
      `an archive of ${access.size} bytes`,
    );
  }
  return begin;
}

function damaged(where: string, what: string, expected: string, got?: string): LxmertDataError {
  return new LxmertDataError('ERR_ZIP', { what, where, expected, got, hint: 'download the archive again' });
}

function describe(error: unknown): string {
  return errorText(error);
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}
