import { basename } from 'node:path';
import { Readable } from 'node:stream';
import unzipper from 'unzipper';
import { LxmertDataError } from '../errors.ts';
import { type RandomAccess, readChunks } from './random-access.ts';

/** Longest archive comment plus the end record. */
const TAIL_BYTES = 65_535 + 22;
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
 * and are destroyed afterwards (an error on one of them would end the process), and its tail reaches over archive comments.
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
    const options = { tailSize: Math.min(access.size, TAIL_BYTES) };
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
