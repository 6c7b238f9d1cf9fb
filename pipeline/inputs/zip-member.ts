import { basename } from 'node:path';
import { pipeline, Readable } from 'node:stream';
import { promisify } from 'node:util';
import { crc32, createInflateRaw, inflateRaw } from 'node:zlib';
import { errorText, LxmertDataError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { openRandomAccess, type RandomAccess, readChunks } from './random-access.ts';
import { pickMember } from './pick-member.ts';
import { readZipDirectory, type ZipEntry } from './zip-directory.ts';

const inflateRawAsync = promisify(inflateRaw);
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
    const { entries, trailingBytes } = await readZipDirectory(access);
    const source = await openEntry(access, pickMember(entries, access.label, member));
    if (trailingBytes === 0) return source;
    const warning = `${access.label}: ${trailingBytes} bytes after the end of the archive are ignored`;
    return { ...source, warnings: [warning] };
  } catch (error) {
    await access.close();
    throw error;
  }
}

/** The content of a small member, its length and CRC-32 checked. Fails with ERR_ZIP. */
export async function readEntry(access: RandomAccess, entry: ZipEntry): Promise<Buffer> {
  const label = `${access.label}:${entry.path}`;
  checkSupported(entry, label);
  const begin = await findData(access, entry, label);
  const packed = Buffer.allocUnsafeSlow(entry.compressedSize);
  await access.read(packed, begin);
  const content = entry.method === STORED ? packed : await inflateWhole(packed, entry, label);
  const found = crc32(content);
  if (content.length === entry.uncompressedSize && found === entry.crc32) return content;
  throw damaged(label, 'the member is damaged', {
    expected: `${entry.uncompressedSize} bytes, CRC-32 ${hex(entry.crc32)}`,
    got: `${content.length} bytes, CRC-32 ${hex(found)}`,
  });
}

async function inflateWhole(packed: Buffer, { uncompressedSize }: ZipEntry, label: string): Promise<Buffer> {
  try {
    return await inflateRawAsync(packed, { maxOutputLength: Math.max(1, uncompressedSize) });
  } catch (error) {
    const found = { expected: `a deflate stream of ${uncompressedSize} bytes`, got: errorText(error) };
    throw damaged(label, 'the compressed data cannot be unpacked', found);
  }
}

async function openEntry(access: RandomAccess, entry: ZipEntry): Promise<ByteSource> {
  const label = `${access.label}:${entry.path}`;
  checkSupported(entry, label);
  const begin = await findData(access, entry, label);
  const packed = readChunks(access, begin, begin + entry.compressedSize, CHUNK_BYTES);
  const content = new MemberContent(entry, label, unpack(packed, entry.method));
  return {
    name: basename(entry.path),
    label,
    size: entry.uncompressedSize,
    read: async into => await content.read(into),
    // eslint-disable-next-line @typescript-eslint/require-await -- a source may need to wait here; this one does not
    finish: async () => content.check(),
    async close() {
      await content.close();
      await access.close();
    },
  };
}

/** The unpacked bytes of a member, counted and summed as they are read. */
class MemberContent {
  readonly #entry: ZipEntry;
  readonly #label: string;
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Uint8Array = new Uint8Array(0);
  #crc = 0;
  #length = 0;

  constructor(entry: ZipEntry, label: string, chunks: AsyncIterable<Buffer>) {
    this.#entry = entry;
    this.#label = label;
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  async read(into: Uint8Array): Promise<number> {
    while (this.#rest.length === 0) {
      const next = await this.#next();
      if (next === undefined) return 0;
      this.#rest = next;
    }
    const taken = Math.min(into.length, this.#rest.length);
    into.set(this.#rest.subarray(0, taken));
    this.#rest = this.#rest.subarray(taken);
    return taken;
  }

  /** Fails with ERR_ZIP where length or CRC-32 are not those of the directory. Call after the last byte. */
  check(): void {
    const { uncompressedSize, crc32: crc } = this.#entry;
    if (this.#length !== uncompressedSize) {
      const found = { expected: `${uncompressedSize} bytes`, got: `${this.#length} bytes` };
      throw damaged(this.#label, 'the member is cut short', found);
    }
    if (this.#crc !== crc) {
      const found = { expected: `CRC-32 ${hex(crc)}`, got: `CRC-32 ${hex(this.#crc)}` };
      throw damaged(this.#label, 'the member is damaged', found);
    }
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #next(): Promise<Buffer | undefined> {
    const next = await this.#chunks.next().catch((error: unknown) => {
      const found = { expected: 'a valid deflate stream', got: errorText(error) };
      throw damaged(this.#label, 'the compressed data cannot be unpacked', found);
    });
    if (next.done === true) return undefined;
    this.#length += next.value.length;
    this.#crc = crc32(next.value, this.#crc);
    const { uncompressedSize } = this.#entry;
    if (this.#length <= uncompressedSize) return next.value;
    const found = { expected: `${uncompressedSize} bytes`, got: `${this.#length} or more` };
    throw damaged(this.#label, 'the member is longer than the directory says', found);
  }
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
  return inflate;
}

/** Names of methods that people meet and we do not read. */
const METHODS: ReadonlyMap<number, string> = new Map([
  [9, 'Deflate64'],
  [12, 'bzip2'],
  [14, 'LZMA'],
  [93, 'Zstandard'],
  [95, 'XZ'],
]);

function checkSupported({ encrypted, method, path }: ZipEntry, label: string): void {
  const what = encrypted
    ? 'the member is encrypted'
    : method !== STORED && method !== DEFLATED
      ? `the member is compressed with ${METHODS.get(method) ?? `method ${method}`}`
      : undefined;
  if (what === undefined) return;
  const archive = label.slice(0, -path.length - 1);
  throw new LxmertDataError('ERR_ZIP', {
    what,
    where: label,
    expected: 'stored or deflated data',
    hint: `unpack it first and give the .tsv: 7z x ${archive}`,
  });
}

async function findData(access: RandomAccess, entry: ZipEntry, label: string): Promise<number> {
  const { localHeaderOffset: offset, compressedSize } = entry;
  const header = Buffer.alloc(LOCAL_HEADER_BYTES);
  const read = await access.read(header, offset);
  if (read < LOCAL_HEADER_BYTES || header.readUInt32LE(0) !== LOCAL_HEADER_SIGNATURE) {
    const found = { expected: `a local header at byte ${offset}` };
    throw damaged(label, 'the archive has no member where its directory says', found);
  }
  const begin = offset + LOCAL_HEADER_BYTES + header.readUInt16LE(26) + header.readUInt16LE(28);
  if (begin + compressedSize > access.size) {
    const expected = `${compressedSize} bytes from byte ${begin} on`;
    const got = `an archive of ${access.size} bytes`;
    throw damaged(label, 'the archive ends inside the member', { expected, got });
  }
  return begin;
}

function damaged(
  where: string,
  what: string,
  found: { readonly expected: string; readonly got?: string },
): LxmertDataError {
  return new LxmertDataError('ERR_ZIP', { what, where, ...found, hint: 'download the archive again' });
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}
