import { basename } from 'node:path';
import yauzl from 'yauzl';
import { errorText, isErrno, LxmertDataError } from '../errors.ts';
import type { RandomAccess } from './random-access.ts';

/** Bounds what a hostile directory can make us keep. */
const MAX_ENTRIES = 100_000;

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

/** What yauzl reads the archive through; a failed read is passed on as it is. */
class ArchiveReader extends yauzl.RandomAccessReader {
  readonly #access: RandomAccess;

  constructor(access: RandomAccess) {
    super();
    this.#access = access;
  }

  override read(
    into: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytesRead?: number) => void,
  ): void {
    this.#access.read(into.subarray(offset, offset + length), position).then(
      bytesRead => callback(null, bytesRead),
      (error: unknown) => callback(error instanceof Error ? error : new Error(String(error))),
    );
  }
}

/** Reads the central directory with yauzl; names are taken as bytes in UTF-8 and sizes are checked later, per member. */
export async function readZipDirectory(access: RandomAccess): Promise<readonly ZipEntry[]> {
  try {
    const options = { autoClose: false, decodeStrings: false, validateEntrySizes: false };
    const archive = await yauzl.fromRandomAccessReaderPromise(
      new ArchiveReader(access),
      access.size,
      options,
    );
    const entries: ZipEntry[] = [];
    for await (const entry of archive.eachEntry()) {
      if (entries.length >= MAX_ENTRIES) throw new Error(`more than ${MAX_ENTRIES} members`);
      entries.push(toEntry(entry));
    }
    return entries.filter(entry => !entry.path.endsWith('/'));
  } catch (error) {
    if (isErrno(error, 'EIO', 'EBADF')) throw error;
    throw new LxmertDataError('ERR_ZIP', {
      what: 'the directory of this zip archive cannot be read',
      where: access.label,
      expected: 'a central directory at the end',
      got: `${errorText(error)} (${access.size} bytes)`,
      hint: 'the download is not complete, or this is no zip archive; download it again',
      cause: error,
    });
  }
}

function toEntry(entry: yauzl.Entry): ZipEntry {
  return {
    // Names are shown to people; control characters could speak to their terminal.
    path: entry.fileNameRaw.toString('utf8').replace(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd'),
    method: entry.compressionMethod,
    encrypted: (entry.generalPurposeBitFlag & 1) !== 0,
    crc32: entry.crc32,
    compressedSize: entry.compressedSize,
    uncompressedSize: entry.uncompressedSize,
    localHeaderOffset: entry.relativeOffsetOfLocalHeader,
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
