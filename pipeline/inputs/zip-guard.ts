import { LxmertDataError } from '../errors.ts';
import type { RandomAccess } from './random-access.ts';

/*
 * unzipper reads the directories of zip archives, but it must not see any archive unchecked (0.12.5):
 * - it makes a list of as many records as the archive claims, so one that claims four billion keeps it busy without end;
 * - it looks for the end record in a tail of fixed length and takes the first signature in it, so an archive stored inside
 *   an archive is read in place of the outer one, and a long comment hides the end record;
 * - it does not listen to errors of its second and later streams, so a failing read kills the process or never ends.
 * This file deals with the first two: it finds the end record and bounds what it claims. zip-directory.ts owns the streams.
 */

/** Where the directory of an archive is, checked against the size of the file. */
export interface ZipBounds {
  /** Offset of the end record. */
  readonly endRecord: number;
  /** End of the archive; bytes after it belong to something else. */
  readonly end: number;
  readonly records: number;
}

const END_BYTES = 22;
const MAX_COMMENT = 65_535;
const LOCATOR_BYTES = 20;
const RECORD_BYTES = 46;
const SIGNATURE = { end: 0x06054b50, locator: 0x07064b50, end64: 0x06064b50, record: 0x02014b50 } as const;
/** Bounds what a hostile directory can make us keep; GQA's images are 148,854 files in one archive. */
const MAX_RECORDS = 500_000;

/** Finds and checks the end record of an archive. Fails with ERR_ZIP where unzipper could not read the directory. */
export async function findZipBounds(access: RandomAccess): Promise<ZipBounds> {
  const tailBytes = Math.min(access.size, END_BYTES + MAX_COMMENT);
  const tail = await readExactly(access, access.size - tailBytes, tailBytes);
  const found = findEndRecord(tail);
  if (found === undefined) throw unreadable(access, 'no end record');
  const endRecord = access.size - tailBytes + found.offset;
  const end = endRecord + END_BYTES + found.commentBytes;
  const record = tail.subarray(found.offset);
  const claimed = isZip64(record)
    ? await readZip64(access, endRecord)
    : {
        disk: record.readUInt16LE(4),
        records: record.readUInt16LE(10),
        directory: record.readUInt32LE(16),
      };
  checkClaims(access, claimed, endRecord);
  const { records, directory } = claimed;
  const signature = records === 0 ? SIGNATURE.record : await readSignature(access, directory);
  if (signature !== SIGNATURE.record) throw unreadable(access, `no directory at byte ${directory}`);
  return { endRecord, end, records };
}

/** The last end record whose comment fits; one whose comment ends with the file is preferred. */
function findEndRecord(tail: Buffer): { readonly offset: number; readonly commentBytes: number } | undefined {
  let fallback: { readonly offset: number; readonly commentBytes: number } | undefined;
  for (let offset = tail.length - END_BYTES; offset >= 0; offset--) {
    if (tail.readUInt32LE(offset) !== SIGNATURE.end) continue;
    const commentBytes = tail.readUInt16LE(offset + 20);
    const rest = tail.length - offset - END_BYTES;
    if (commentBytes === rest) return { offset, commentBytes };
    if (commentBytes < rest) fallback ??= { offset, commentBytes };
  }
  return fallback;
}

interface Claims {
  readonly disk: number;
  readonly records: number;
  readonly directory: number;
}

/** The fields that unzipper looks at to decide it. */
function isZip64(record: Buffer): boolean {
  return (
    record.readUInt16LE(4) === 0xffff ||
    record.readUInt16LE(10) === 0xffff ||
    record.readUInt32LE(16) === 0xffffffff
  );
}

async function readZip64(access: RandomAccess, endRecord: number): Promise<Claims> {
  if (endRecord < LOCATOR_BYTES) throw unreadable(access, 'no ZIP64 locator');
  const locator = await readExactly(access, endRecord - LOCATOR_BYTES, LOCATOR_BYTES);
  const at = Number(locator.readBigUInt64LE(8));
  if (locator.readUInt32LE(0) !== SIGNATURE.locator || at + 56 > endRecord)
    throw unreadable(access, 'a damaged ZIP64 locator');
  const record = await readExactly(access, at, 56);
  if (record.readUInt32LE(0) !== SIGNATURE.end64) throw unreadable(access, 'a damaged ZIP64 end record');
  return {
    disk: record.readUInt32LE(16),
    records: Number(record.readBigUInt64LE(32)),
    directory: Number(record.readBigUInt64LE(48)),
  };
}

function checkClaims(access: RandomAccess, { disk, records, directory }: Claims, endRecord: number): void {
  if (disk !== 0) throw splitArchive(access);
  if (records > MAX_RECORDS) throw unreadable(access, `${records} members, more than ${MAX_RECORDS}`);
  if (directory + records * RECORD_BYTES > endRecord)
    throw unreadable(access, `a directory of ${records} members at byte ${directory}, beyond its end`);
}

async function readSignature(access: RandomAccess, offset: number): Promise<number> {
  return (await readExactly(access, offset, 4)).readUInt32LE(0);
}

async function readExactly(access: RandomAccess, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const read = await access.read(bytes, offset);
  if (read < length) throw unreadable(access, `${read} bytes at byte ${offset}`);
  return bytes;
}

export function unreadable(access: RandomAccess, got: string, cause?: unknown): LxmertDataError {
  return new LxmertDataError('ERR_ZIP', {
    what: 'the directory of this zip archive cannot be read',
    where: access.label,
    expected: 'a central directory at the end',
    got: `${got} (${access.size} bytes)`,
    hint: 'the download is incomplete, or this is not a zip archive; download it again',
    cause,
  });
}

function splitArchive({ label }: RandomAccess): LxmertDataError {
  return new LxmertDataError('ERR_ZIP', {
    what: 'this is the last part of a split archive (.z01, .z02, …)',
    where: label,
    expected: 'a whole archive',
    hint: `join the parts first: zip -s 0 ${label} --out whole.zip`,
  });
}
