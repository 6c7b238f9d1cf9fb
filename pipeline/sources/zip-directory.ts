import { basename } from 'node:path';
import { Readable } from 'node:stream';
import unzipper from 'unzipper';
import { LxmertDataError } from '../errors.ts';
import { type RandomAccess, readChunks } from './random-access.ts';

const END_SIGNATURE = 0x06054b50;
const END_RECORD_BYTES = 22;
/** Longest archive comment plus the end record. */
const TAIL_BYTES = 65_535 + END_RECORD_BYTES;
/** Bounds what a hostile directory can make us read. */
const MAX_DIRECTORY_BYTES = 64 << 20;
const CHUNK_BYTES = 64 << 10;

/** An entry of a zip archive, as its central directory has it. */
export interface ZipEntry {
  readonly path: string;
  readonly method: number;
  readonly encrypted: boolean;
  readonly crc32: number;
  readonly compressedSize: number;
  readonly uncompressedSize: number;
  readonly localHeaderOffset: number;
}

/**
 * Reads the central directory with unzipper's `Open`. Its source is guarded: the streams it gets never fail, are bounded
 * and are destroyed afterwards (an error on one of them would end the process), and it is told where the end record is, since it would
 * take the first four bytes that look like one.
 */
export async function readZipDirectory(access: RandomAccess): Promise<readonly ZipEntry[]> {
  const streams: Readable[] = [];
  let failure: unknown;
  const guarded = {
    size: () => Promise.resolve(access.size),
    stream: (offset: number) => {
      const begin = Math.min(Math.max(0, offset), access.size);
      const end = Math.min(access.size, begin + MAX_DIRECTORY_BYTES);
      const chunks = async function* () {
        try {
          yield* readChunks(access, begin, end, CHUNK_BYTES);
        } catch (error) {
          failure = error;
        }
      };
      const stream = Readable.from(chunks(), { objectMode: false });
      streams.push(stream);
      return stream;
    },
  };
  try {
    const options = { tailSize: await findEndRecord(access) };
    const open = unzipper.Open.custom as (
      source: typeof guarded,
      options: object,
    ) => Promise<unzipper.CentralDirectory>;
    const directory = await open(guarded, options);
    return directory.files.filter(file => file.type === 'File').map(toEntry);
  } catch (error) {
    if (failure instanceof Error) throw failure;
    throw new LxmertDataError('ERR_ZIP', {
      what: 'the end of this zip archive cannot be read',
      where: access.label,
      expected: 'a central directory at the end',
      got: error instanceof Error ? `${error.message} (${access.size} bytes)` : String(error),
      hint: 'the download is not complete, or this is no zip archive; download it again',
      cause: error,
    });
  } finally {
    for (const stream of streams) stream.destroy();
  }
}

/**
 * Distance of the end record from the end of the archive. Packed data can hold its signature by chance, so the last one
 * counts whose comment reaches exactly to the end. Without one, the distance lets unzipper fail in its own words.
 */
async function findEndRecord(access: RandomAccess): Promise<number> {
  const tail = Buffer.alloc(Math.min(access.size, TAIL_BYTES));
  const read = await access.read(tail, access.size - tail.length);
  for (let at = read - END_RECORD_BYTES; at >= 0; at--) {
    if (tail.readUInt32LE(at) !== END_SIGNATURE) continue;
    if (at + END_RECORD_BYTES + tail.readUInt16LE(at + 20) === read) return read - at;
  }
  return Math.min(access.size, END_RECORD_BYTES);
}

function toEntry(file: unzipper.File): ZipEntry {
  return {
    path: file.path,
    method: file.compressionMethod,
    encrypted: (file.flags & 1) !== 0,
    crc32: file.crc32,
    compressedSize: file.compressedSize,
    uncompressedSize: file.uncompressedSize,
    localHeaderOffset: file.offsetToLocalFileHeader,
  };
}

/**
 * Picks the member by base name, since the published archives disagree about folders: `wanted` where given, else the only
 * TSV, else the one named like the archive.
 */
export function pickMember(entries: readonly ZipEntry[], archive: string, wanted?: string): ZipEntry {
  const names = entries.map(entry => entry.path);
  const tsvs = entries.filter(entry => entry.path.endsWith('.tsv') && !entry.path.startsWith('__MACOSX/'));
  const stem = basename(archive).replace(/\.zip.*$/, '');
  const target = wanted ?? (tsvs.length === 1 ? basename(tsvs[0]!.path) : `${stem}.tsv`);
  const found = entries.filter(entry => basename(entry.path) === basename(target));
  if (found.length === 1) return found[0]!;
  const listed = names.slice(0, 8).join(', ') + (names.length > 8 ? `, and ${names.length - 8} more` : '');
  throw new LxmertDataError('ERR_ZIP', {
    what:
      found.length === 0 ? 'the archive has no such member' : 'the archive has this member more than once',
    where: archive,
    expected: `one member named ${basename(target)}`,
    got: names.length === 0 ? 'an empty archive' : listed,
    hint: 'name the member with --member',
  });
}
