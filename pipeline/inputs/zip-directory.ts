import { Readable } from 'node:stream';
import { type File as UnzipperFile, Open } from 'unzipper';
import { errorText, isErrno } from '../errors.ts';
import { type RandomAccess, readChunks } from './random-access.ts';
import { findZipBounds, unreadable, type ZipBounds } from './zip-guard.ts';

declare module 'unzipper' {
  // Missing from the published types: where the end record is looked for.
  // eslint-disable-next-line @typescript-eslint/no-namespace
  namespace Open {
    function custom(
      source: { size: () => Promise<number>; stream: (offset: number) => Readable },
      options: { readonly tailSize: number },
    ): Promise<CentralDirectory>;
  }
}

/** An entry of a zip archive, as its central directory has it. */
export interface ZipEntry {
  /** With forward slashes, whatever the archive has. */
  readonly path: string;
  readonly method: number;
  readonly encrypted: boolean;
  readonly crc32: number;
  readonly compressedSize: number;
  readonly uncompressedSize: number;
  readonly localHeaderOffset: number;
}

export interface ZipDirectory {
  /** Members that are not folders. */
  readonly entries: readonly ZipEntry[];
  /** Bytes after the end of the archive, which are not part of it. */
  readonly trailingBytes: number;
}

const RECORD_SIGNATURE = 0x02014b50;
const SIZES = ['compressedSize', 'uncompressedSize', 'offsetToLocalFileHeader'] as const;
const CHUNK_BYTES = 64 * 1024;

/**
 * Reads the central directory with unzipper. Names are taken as UTF-8; sizes are checked later, for each member.
 * Fails with ERR_ZIP where the directory cannot be read.
 */
export async function readZipDirectory(access: RandomAccess): Promise<ZipDirectory> {
  const bounds = await findZipBounds(access);
  const files = await openDirectory(access, bounds);
  if (files.some(({ signature }) => signature !== RECORD_SIGNATURE))
    throw unreadable(access, 'a record without its signature');
  // unzipper leaves out sizes that a ZIP64 field should hold and does not.
  if (files.some(file => !SIZES.every(name => Number.isSafeInteger(file[name]))))
    throw unreadable(access, 'a record without its sizes');
  return {
    entries: files.map(toEntry).filter(({ path }) => !path.endsWith('/')),
    trailingBytes: access.size - bounds.end,
  };
}

/** Runs unzipper on streams of our own, so that a failing read ends it and no stream outlives it. */
async function openDirectory(
  access: RandomAccess,
  { endRecord, end }: ZipBounds,
): Promise<readonly UnzipperFile[]> {
  const streams: Readable[] = [];
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  const stream = (offset: number): Readable => {
    const bytes = Readable.from(readChunks(access, offset, end, CHUNK_BYTES), { objectMode: false });
    bytes.on('error', failed.reject);
    streams.push(bytes);
    return bytes;
  };
  try {
    const source = { size: () => Promise.resolve(end), stream };
    const opened = Open.custom(source, { tailSize: end - endRecord });
    return (await Promise.race([opened, failed.promise])).files;
  } catch (error) {
    if (isErrno(error, 'EIO', 'EBADF')) throw error;
    throw unreadable(access, errorText(error), error);
  } finally {
    for (const bytes of streams) bytes.destroy();
  }
}

function toEntry(file: UnzipperFile): ZipEntry {
  return {
    // Some Windows programs write backslashes. Names are shown to people, so control characters are replaced.
    path: file.pathBuffer
      .toString('utf8')
      .replaceAll('\\', '/')
      .replace(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd'),
    method: file.compressionMethod,
    encrypted: (file.flags & 1) !== 0,
    crc32: file.crc32,
    compressedSize: file.compressedSize,
    uncompressedSize: file.uncompressedSize,
    localHeaderOffset: file.offsetToLocalFileHeader,
  };
}
