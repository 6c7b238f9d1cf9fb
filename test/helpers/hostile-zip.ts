import { deflateRawSync } from 'node:zlib';
import { seededRandom } from '../../pipeline/rows/synthetic-row.ts';
import { makeZip } from './zip.ts';

/** One kind of zip archive, whole bytes. */
export interface HostileZip {
  readonly title: string;
  readonly make: () => Buffer;
  readonly member?: string;
}

const random = seededRandom(5);
/** What the member holds; it does not shrink much, so that cuts hit its data. */
export const CONTENT = Buffer.from(
  Buffer.from(Array.from({ length: 60_000 }, () => random() * 256)).toString('base64'),
);
const row = { name: 'val2014_obj36.tsv', content: CONTENT };
const sound = makeZip([row]);
const stored = makeZip([{ ...row, method: 0 }]);
const packed = deflateRawSync(CONTENT, { level: 0 });
const dataAt = 30 + row.name.length;
const directoryAt = dataAt + packed.length;

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at]! ^= 1;
  return copy;
}

export const HOSTILE_ZIPS: readonly HostileZip[] = [
  { title: 'an empty file', make: () => Buffer.alloc(0) },
  { title: 'two letters', make: () => Buffer.from('PK') },
  { title: 'an HTML page', make: () => Buffer.from('<html><body>quota exceeded</body></html>') },
  { title: 'an archive without members', make: () => makeZip([]) },
  { title: 'cut inside the first header', make: () => sound.subarray(0, 20) },
  { title: 'cut inside the data', make: () => sound.subarray(0, dataAt + 1000) },
  { title: 'cut inside the directory', make: () => sound.subarray(0, directoryAt + 30) },
  { title: 'cut before the end record', make: () => sound.subarray(0, sound.length - 22) },
  { title: 'cut by one byte', make: () => sound.subarray(0, -1) },
  {
    title: 'bytes before the start',
    make: () => Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), sound]),
  },
  { title: 'the first bytes missing', make: () => sound.subarray(100) },
  { title: 'no TSV', make: () => makeZip([{ name: 'readme.txt', content: CONTENT }]) },
  {
    title: 'two TSVs, none named like the archive',
    make: () =>
      makeZip([
        { ...row, name: 'a.tsv' },
        { ...row, name: 'b.tsv' },
      ]),
  },
  { title: 'a terminal command in a name', make: () => makeZip([{ ...row, name: '\x1b[2J.txt' }]) },
  { title: 'the same member twice', make: () => makeZip([row, { ...row, name: `folder/${row.name}` }]) },
  { title: 'another member asked for', member: 'train2014_obj36.tsv', make: () => sound },
  {
    title: 'ten members, none asked for',
    make: () =>
      makeZip(
        Array.from({ length: 10 }, (_, index) => ({
          name: `${index}.tsv`,
          content: CONTENT.subarray(0, 10),
        })),
      ),
  },
  { title: 'an encrypted member', make: () => makeZip([{ ...row, flags: 1 }]) },
  { title: 'strong encryption', make: () => makeZip([{ ...row, flags: 0x41 }]) },
  { title: 'an unknown method', make: () => makeZip([{ ...row, method: 93 }]) },
  { title: 'a wrong CRC', make: () => makeZip([{ ...row, crc: 1 }]) },
  { title: 'a wrong CRC, stored', make: () => makeZip([{ ...row, method: 0, crc: 1 }]) },
  { title: 'a flipped bit in stored data', make: () => flipped(stored, dataAt + 5000) },
  { title: 'a size that is too small', make: () => makeZip([{ ...row, size: CONTENT.length - 1 }]) },
  { title: 'a size that is too large', make: () => makeZip([{ ...row, size: CONTENT.length + 1 }]) },
  {
    title: 'a packed size that is too small',
    make: () => makeZip([{ ...row, packedSize: packed.length - 10 }]),
  },
  {
    title: 'a packed size beyond the end',
    make: () => makeZip([{ ...row, packedSize: packed.length + 100_000 }]),
  },
  {
    title: 'a stored member shorter than it says',
    make: () => makeZip([{ ...row, method: 0, packedSize: 100 }]),
  },
  { title: 'a stored member longer than it says', make: () => makeZip([{ ...row, method: 0, size: 100 }]) },
  { title: 'damaged deflate data', make: () => makeZip([{ ...row, packed: Buffer.alloc(500, 0xff) }]) },
  { title: 'no deflate data', make: () => makeZip([{ ...row, packed: Buffer.alloc(0) }]) },
  {
    title: 'a bomb: 300 MB where 1 kB is announced',
    make: () => makeZip([{ ...row, packed: deflateRawSync(Buffer.alloc(300_000_000)), size: 1000 }]),
  },
  { title: 'no header where the directory says', make: () => makeZip([{ ...row, offset: 7 }]) },
  { title: 'a header place beyond the end', make: () => makeZip([{ ...row, offset: 4_000_000_000 }]) },
  { title: 'a header with another signature', make: () => makeZip([{ ...row, localSignature: 0x12345678 }]) },
  { title: 'more records than there are', make: () => makeZip([row], { records: 65_534 }) },
  { title: 'fewer records than there are', make: () => makeZip([row], { records: 0 }) },
  { title: 'four billion records', make: () => makeZip([row], { zip64: true, records: 4_294_967_295 }) },
  {
    title: 'more records than numbers can count',
    make: () => makeZip([row], { zip64: true, records: 2 ** 63 }),
  },
  { title: 'a directory beyond the end', make: () => makeZip([row], { directoryOffset: 1_000_000_000 }) },
  {
    title: 'a directory far beyond the end',
    make: () => makeZip([row], { zip64: true, directoryOffset: 2 ** 62 }),
  },
  { title: 'a directory inside the data', make: () => makeZip([row], { directoryOffset: dataAt + 10 }) },
  {
    title: 'a ZIP64 locator that points beyond the end',
    make: () => makeZip([row], { zip64: true, locatorOffset: 2n ** 63n }),
  },
  { title: 'a damaged ZIP64 locator', make: () => makeZip([row], { zip64: true, locatorSignature: 7 }) },
  { title: 'a damaged ZIP64 end record', make: () => makeZip([row], { zip64: true, zip64Signature: 7 }) },
  {
    title: 'a ZIP64 member of more bytes than there are',
    make: () => makeZip([{ ...row, zip64: true, packedSize: 2 ** 60 }], { zip64: true }),
  },
  { title: 'a comment shorter than it says', make: () => makeZip([row], { commentLength: 65_535 }) },
  { title: 'an end record inside the comment', make: () => makeZip([row], { comment: makeZip([]) }) },
  { title: 'the second part of a split archive', make: () => makeZip([row], { disk: 1 }) },
];

/** Archives that are unusual and valid: all of them must give CONTENT. */
export const VALID_ZIPS: readonly HostileZip[] = [
  { title: 'deflated', make: () => sound },
  { title: 'stored', make: () => stored },
  { title: 'in folders', make: () => makeZip([{ ...row, name: `data/mscoco_imgfeat/${row.name}` }]) },
  {
    title: 'beside other members',
    make: () =>
      makeZip([
        { name: '__MACOSX/._x.tsv', content: Buffer.from('x') },
        { name: 'mscoco_imgfeat/', content: Buffer.alloc(0), method: 0 },
        row,
        { name: 'notes.txt', content: Buffer.from('x') },
      ]),
  },
  { title: 'named like the archive among others', make: () => makeZip([{ ...row, name: 'other.tsv' }, row]) },
  { title: 'ZIP64', make: () => makeZip([{ ...row, zip64: true }], { zip64: true }) },
  { title: 'sizes behind the data', make: () => makeZip([{ ...row, streamed: true }]) },
  { title: 'the longest comment', make: () => makeZip([row], { comment: Buffer.alloc(65_535, 'c') }) },
  {
    title: 'the longest comment, ZIP64',
    make: () => makeZip([{ ...row, zip64: true }], { zip64: true, comment: Buffer.alloc(65_535, 'c') }),
  },
  {
    title: 'another archive inside, stored',
    make: () => makeZip([row, { name: 'inner.zip', content: makeZip([]), method: 0 }]),
  },
  { title: 'one byte after the end', make: () => Buffer.concat([sound, Buffer.alloc(1)]) },
  {
    title: 'a MIME boundary after the end',
    make: () => Buffer.concat([sound, Buffer.from('\n--boundary--\n')]),
  },
  {
    title: 'a comment longer than it says',
    make: () => makeZip([row], { comment: Buffer.alloc(50, 'x'), commentLength: 10 }),
  },
  {
    title: 'backslashes for slashes',
    make: () => makeZip([{ ...row, name: `mscoco_imgfeat\\${row.name}` }]),
  },
  {
    title: 'the resource fork of macOS beside it',
    make: () => makeZip([{ name: `._${row.name}`, content: Buffer.from('x') }, row]),
  },
  {
    title: 'the same name in two folders, one named in full',
    member: `b/${row.name}`,
    make: () =>
      makeZip([
        { name: `a/${row.name}`, content: Buffer.from('x') },
        { ...row, name: `b/${row.name}` },
      ]),
  },
  {
    title: 'another archive inside, stored last, so that its end record is near',
    make: () =>
      makeZip([row, { name: 'z.zip', content: makeZip([{ name: 'y.tsv', content: CONTENT }]), method: 0 }]),
  },
  {
    title: 'bytes behind the deflate data',
    make: () => makeZip([{ ...row, packed: Buffer.concat([packed, Buffer.alloc(9)]) }]),
  },
];
