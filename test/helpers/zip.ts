import { crc32, deflateRawSync } from 'node:zlib';

/** One member of a hand-made archive; every field of its headers can be made to lie. */
export interface ZipMember {
  readonly name: string;
  readonly content: Buffer;
  /** 0 stored, 8 deflated (at level 0, whose bytes are the same on every machine); anything else is written as deflated data with that number. */
  readonly method?: number;
  readonly flags?: number;
  readonly crc?: number;
  /** Packed bytes in place of the true ones. */
  readonly packed?: Buffer;
  readonly packedSize?: number;
  readonly size?: number;
  readonly offset?: number;
  readonly localSignature?: number;
  /** Puts sizes and offset into a ZIP64 extra field. */
  readonly zip64?: boolean;
  /** Sizes and CRC follow the data, as streaming writers do. */
  readonly streamed?: boolean;
}

export interface ZipEnd {
  readonly comment?: Buffer;
  readonly commentLength?: number;
  readonly records?: number;
  readonly directorySize?: number;
  readonly directoryOffset?: number;
  readonly disk?: number;
  /** Adds a ZIP64 end record; its numbers are those above. */
  readonly zip64?: boolean;
  readonly locatorOffset?: bigint;
  readonly locatorSignature?: number;
  readonly zip64Signature?: number;
}

const LIMIT_32 = 0xffffffff;
const LIMIT_16 = 0xffff;

/** Bytes of a zip archive, true where not told otherwise. */
export function makeZip(members: readonly ZipMember[], end: ZipEnd = {}): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  const add = (bytes: Buffer): void => {
    parts.push(bytes);
    at += bytes.length;
  };
  for (const member of members) {
    const entry = describeMember(member, at);
    add(localHeader(entry));
    add(entry.packed);
    if (member.streamed === true) add(dataDescriptor(entry));
    directory.push(centralHeader(entry));
  }
  const directoryAt = at;
  for (const record of directory) add(record);
  const plain = {
    records: end.records ?? members.length,
    size: end.directorySize ?? at - directoryAt,
    offset: end.directoryOffset ?? directoryAt,
  };
  if (end.zip64 === true) {
    const recordAt = at;
    add(zip64End(plain, end));
    add(zip64Locator(recordAt, end));
  }
  add(endRecord(plain, end));
  return Buffer.concat(parts);
}

interface Entry {
  readonly member: ZipMember;
  readonly name: Buffer;
  readonly method: number;
  readonly flags: number;
  readonly crc: number;
  readonly packed: Buffer;
  readonly packedSize: number;
  readonly size: number;
  readonly offset: number;
}

function describeMember(member: ZipMember, offset: number): Entry {
  const method = member.method ?? 8;
  const packed =
    member.packed ?? (method === 0 ? member.content : deflateRawSync(member.content, { level: 0 }));
  return {
    member,
    name: Buffer.from(member.name),
    method,
    flags: (member.flags ?? 0) | (member.streamed === true ? 8 : 0),
    crc: member.crc ?? crc32(member.content),
    packed,
    packedSize: member.packedSize ?? packed.length,
    size: member.size ?? member.content.length,
    offset: member.offset ?? offset,
  };
}

function localHeader(entry: Entry): Buffer {
  const streamed = entry.member.streamed === true;
  const header = Buffer.alloc(30);
  header.writeUInt32LE(entry.member.localSignature ?? 0x04034b50, 0);
  header.writeUInt16LE(20, 4);
  header.writeUInt16LE(entry.flags, 6);
  header.writeUInt16LE(entry.method, 8);
  header.writeUInt32LE(streamed ? 0 : entry.crc, 14);
  header.writeUInt32LE(streamed ? 0 : Math.min(entry.packedSize, LIMIT_32), 18);
  header.writeUInt32LE(streamed ? 0 : Math.min(entry.size, LIMIT_32), 22);
  header.writeUInt16LE(entry.name.length, 26);
  return Buffer.concat([header, entry.name]);
}

function dataDescriptor(entry: Entry): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32LE(0x08074b50, 0);
  bytes.writeUInt32LE(entry.crc, 4);
  bytes.writeUInt32LE(entry.packedSize, 8);
  bytes.writeUInt32LE(entry.size, 12);
  return bytes;
}

function centralHeader(entry: Entry): Buffer {
  const zip64 = entry.member.zip64 === true;
  const extra = zip64 ? zip64Extra(entry) : Buffer.alloc(0);
  const header = Buffer.alloc(46);
  header.writeUInt32LE(0x02014b50, 0);
  header.writeUInt16LE(45, 4);
  header.writeUInt16LE(45, 6);
  header.writeUInt16LE(entry.flags, 8);
  header.writeUInt16LE(entry.method, 10);
  header.writeUInt32LE(entry.crc, 16);
  header.writeUInt32LE(zip64 ? LIMIT_32 : entry.packedSize, 20);
  header.writeUInt32LE(zip64 ? LIMIT_32 : entry.size, 24);
  header.writeUInt16LE(entry.name.length, 28);
  header.writeUInt16LE(extra.length, 30);
  header.writeUInt32LE(zip64 ? LIMIT_32 : entry.offset, 42);
  return Buffer.concat([header, entry.name, extra]);
}

function zip64Extra(entry: Entry): Buffer {
  const extra = Buffer.alloc(28);
  extra.writeUInt16LE(1, 0);
  extra.writeUInt16LE(24, 2);
  extra.writeBigUInt64LE(BigInt(entry.size), 4);
  extra.writeBigUInt64LE(BigInt(entry.packedSize), 12);
  extra.writeBigUInt64LE(BigInt(entry.offset), 20);
  return extra;
}

interface DirectoryPlace {
  readonly records: number;
  readonly size: number;
  readonly offset: number;
}

function zip64End({ records, size, offset }: DirectoryPlace, end: ZipEnd): Buffer {
  const bytes = Buffer.alloc(56);
  bytes.writeUInt32LE(end.zip64Signature ?? 0x06064b50, 0);
  bytes.writeBigUInt64LE(44n, 4);
  bytes.writeUInt16LE(45, 12);
  bytes.writeUInt16LE(45, 14);
  bytes.writeBigUInt64LE(BigInt(records), 24);
  bytes.writeBigUInt64LE(BigInt(records), 32);
  bytes.writeBigUInt64LE(BigInt(size), 40);
  bytes.writeBigUInt64LE(BigInt(offset), 48);
  return bytes;
}

function zip64Locator(recordAt: number, end: ZipEnd): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt32LE(end.locatorSignature ?? 0x07064b50, 0);
  bytes.writeBigUInt64LE(end.locatorOffset ?? BigInt(recordAt), 8);
  bytes.writeUInt32LE(1, 16);
  return bytes;
}

function endRecord({ records, size, offset }: DirectoryPlace, end: ZipEnd): Buffer {
  const zip64 = end.zip64 === true;
  const comment = end.comment ?? Buffer.alloc(0);
  const bytes = Buffer.alloc(22);
  bytes.writeUInt32LE(0x06054b50, 0);
  bytes.writeUInt16LE(end.disk ?? 0, 4);
  bytes.writeUInt16LE(end.disk ?? 0, 6);
  bytes.writeUInt16LE(zip64 ? LIMIT_16 : records, 8);
  bytes.writeUInt16LE(zip64 ? LIMIT_16 : records, 10);
  bytes.writeUInt32LE(zip64 ? LIMIT_32 : size, 12);
  bytes.writeUInt32LE(zip64 ? LIMIT_32 : offset, 16);
  bytes.writeUInt16LE(end.commentLength ?? comment.length, 20);
  return Buffer.concat([bytes, comment]);
}
