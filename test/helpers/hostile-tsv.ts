import { gzipSync } from 'node:zlib';
import { BUTD36 } from '../../pipeline/rows/row-shape.ts';
import { joinLine, makeLines, splitLine } from './rows.ts';
import { makeZip } from './zip.ts';

/** One kind of broken TSV. */
export interface HostileTsv {
  readonly title: string;
  readonly make: () => Buffer;
  /** Where the name is part of the case. */
  readonly name?: string;
  readonly dtype?: 'f16' | 'bf16';
}

const COLUMN = {
  id: 0,
  height: 1,
  width: 2,
  objects: 3,
  objectsConf: 4,
  attrs: 5,
  attrsConf: 6,
  count: 7,
  boxes: 8,
  features: 9,
} as const;

const [first, second, third] = makeLines(3) as [string, string, string];
const sixColumns = makeLines(1, 5, BUTD36)[0]!;

/** The second of three rows with one field changed. */
function withField(column: keyof typeof COLUMN, change: (field: string) => string): Buffer {
  const fields = splitLine(second);
  fields[COLUMN[column]] = change(fields[COLUMN[column]]!);
  return text(first, joinLine(fields), third);
}

function text(...lines: readonly string[]): Buffer {
  return Buffer.from(lines.join(''), 'latin1');
}

/** The second row with values of one array changed. */
function withFloats(
  column: 'objectsConf' | 'attrsConf' | 'boxes' | 'features',
  edits: Record<number, number>,
): Buffer {
  return withField(column, field => {
    const bytes = Buffer.from(field, 'base64');
    for (const [index, value] of Object.entries(edits)) bytes.writeFloatLE(value, Number(index) * 4);
    return bytes.toString('base64');
  });
}

function withIds(column: 'objects' | 'attrs', edits: Record<number, bigint>): Buffer {
  return withField(column, field => {
    const bytes = Buffer.from(field, 'base64');
    for (const [index, value] of Object.entries(edits)) bytes.writeBigInt64LE(value, Number(index) * 8);
    return bytes.toString('base64');
  });
}

function withId(id: Buffer): Buffer {
  const rest = second.slice(second.indexOf('\t'));
  return Buffer.concat([text(first), id, text(rest, third)]);
}

/** Rows cut at a byte: what a broken download or a full disk leaves. */
function cutAt(bytes: number): Buffer {
  return text(first, second).subarray(0, first.length + bytes);
}

/** Place behind the `count`-th tab of the second row. */
function behindTab(count: number): number {
  let at = 0;
  for (let seen = 0; seen < count; seen++) at = second.indexOf('\t', at) + 1;
  return at;
}

/** A row of 40 boxes, as the adaptive release has them. */
function adaptiveRow(): string {
  const boxes = (bytes: number): string => Buffer.alloc(40 * bytes).toString('base64');
  return joinLine([
    'ADAPTIVE_1',
    '480',
    '640',
    boxes(8),
    boxes(4),
    boxes(8),
    boxes(4),
    '40',
    boxes(16),
    boxes(8192),
  ]);
}

const PNG = Buffer.from('89504e470d0a1a0a0000000d494844520000000100000001080600000', 'hex');

export const HOSTILE_TSVS: readonly HostileTsv[] = [
  { title: 'an empty file', make: () => Buffer.alloc(0) },
  { title: 'blank lines only', make: () => text('\r\n', '\n', '  \t \r\n') },
  { title: 'a single zero byte', make: () => Buffer.from([0]) },
  {
    title: 'a torn row in the middle, its rest missing',
    make: () => text(first.slice(0, 5000), '\r\n', second),
  },
  { title: 'a torn row glued to the next one', make: () => text(first.slice(0, 200_000), second, third) },
  {
    title: 'a first row torn at its sixth column',
    make: () => text(first.slice(0, behindTab(5) + 20), '\r\n', second),
  },
  { title: 'two whole rows glued together', make: () => text(first.trimEnd(), second, third) },
  { title: 'three whole rows glued together', make: () => text(first.trimEnd(), second.trimEnd(), third) },
  { title: 'the end cut inside img_id', make: () => cutAt(5) },
  { title: 'the end cut behind img_id', make: () => cutAt(behindTab(1)) },
  { title: 'the end cut inside img_h', make: () => cutAt(behindTab(1) + 1) },
  { title: 'the end cut inside objects_id', make: () => cutAt(behindTab(3) + 11) },
  { title: 'the end cut inside attrs_id', make: () => cutAt(behindTab(5) + 50) },
  { title: 'the end cut before num_boxes', make: () => cutAt(behindTab(7)) },
  { title: 'the end cut inside num_boxes', make: () => cutAt(behindTab(7) + 1) },
  { title: 'the end cut inside boxes', make: () => cutAt(behindTab(8) + 400) },
  { title: 'the end cut before features', make: () => cutAt(behindTab(9)) },
  { title: 'the end cut inside features', make: () => cutAt(behindTab(9) + 100_000) },
  { title: 'the end cut one character before the line end', make: () => cutAt(second.length - 3) },
  { title: 'a column too many', make: () => withField('count', field => `${field}\t`) },
  { title: 'a column missing', make: () => text(first, joinLine(splitLine(second).toSpliced(7, 1)), third) },
  {
    title: 'columns in another order',
    make: () => {
      const f = splitLine(second);
      return text(first, joinLine([f[0]!, f[2]!, f[1]!, ...f.slice(3, 8), f[9]!, f[8]!]));
    },
  },
  {
    title: 'a header line',
    make: () =>
      text(
        'img_id\timg_h\timg_w\tobjects_id\tobjects_conf\tattrs_id\tattrs_conf\tnum_boxes\tboxes\tfeatures\r\n',
        first,
      ),
  },
  {
    title: 'commas in place of tabs',
    make: () => text(first.replaceAll('\t', ','), second.replaceAll('\t', ',')),
  },
  { title: 'a quote that never ends', make: () => text(first, `"${second}`, third) },
  { title: 'a quote inside an id', make: () => withId(Buffer.from('COCO"7')) },
  { title: 'text behind a closing quote', make: () => withField('id', field => `"${field}"x`) },
  { title: 'another row behind a lone CR', make: () => text(first, `${second.trimEnd()}\rjunk\r\n`, third) },
  {
    title: 'CR as the only line end',
    make: () => text(...[first, second, third].map(line => line.replace('\r\n', '\r'))),
  },
  { title: 'UTF-16', make: () => Buffer.from(`\ufeff${first}`, 'utf16le') },
  { title: 'url-safe base64', make: () => withField('features', field => `-_${field.slice(2)}`) },
  {
    title: 'padding inside base64',
    make: () => withField('boxes', field => `${field.slice(0, 100)}====${field.slice(104)}`),
  },
  {
    title: 'padding at the end of base64',
    make: () => withField('boxes', field => `${field.slice(0, -2)}==`),
  },
  {
    title: 'a blank inside base64',
    make: () => withField('features', field => `${field.slice(0, 777)} ${field.slice(778)}`),
  },
  {
    title: 'a zero byte inside base64',
    make: () => withField('features', field => `${field.slice(0, 777)}\0${field.slice(778)}`),
  },
  {
    title: 'a byte above 127 inside base64',
    make: () => withField('objects', field => `\xe9${field.slice(1)}`),
  },
  { title: 'four base64 characters missing', make: () => withField('features', field => field.slice(4)) },
  { title: 'four base64 characters too many', make: () => withField('boxes', field => `AAAA${field}`) },
  { title: 'one base64 character missing', make: () => withField('attrsConf', field => field.slice(1)) },
  { title: 'an empty base64 column', make: () => withField('boxes', () => '') },
  {
    title: 'base64 moved from one column to the next',
    make: () => {
      const f = splitLine(second);
      return text(first, joinLine([...f.slice(0, 8), f[8]!.slice(0, -4), f[8]!.slice(-4) + f[9]!]));
    },
  },
  { title: 'num_boxes 35', make: () => withField('count', () => '35') },
  { title: 'num_boxes missing', make: () => withField('count', () => '') },
  { title: 'num_boxes 36.0', make: () => withField('count', () => '36.0') },
  { title: 'a row of 40 adaptive boxes', make: () => text(first, adaptiveRow()) },
  { title: 'NaN among the features', make: () => withFloats('features', { 2048: NaN, 2049: NaN }) },
  { title: 'infinity among the features', make: () => withFloats('features', { 73_727: Infinity }) },
  { title: 'minus infinity among the features', make: () => withFloats('features', { 0: -Infinity }) },
  { title: 'a negative feature', make: () => withFloats('features', { 5: -0.25 }) },
  { title: 'a negative denormal feature', make: () => withFloats('features', { 5: -1e-45 }) },
  {
    title: 'NaN, infinity and negatives in one row',
    make: () => withFloats('features', { 1: NaN, 2: -1, 3: Infinity, 4: -2 }),
  },
  { title: 'a feature beyond f16', dtype: 'f16', make: () => withFloats('features', { 9: 65_520 }) },
  { title: 'a feature beyond bf16', dtype: 'bf16', make: () => withFloats('features', { 9: 3.4e38 }) },
  { title: 'a box whose x2 is x1', make: () => withFloats('boxes', { 0: 7, 2: 7 }) },
  { title: 'a box upside down', make: () => withFloats('boxes', { 13: 200, 15: 100 }) },
  { title: 'a box left of the image', make: () => withFloats('boxes', { 4: -0.5 }) },
  { title: 'a box beyond the image', make: () => withFloats('boxes', { 2: 640.5, 7: 481 }) },
  { title: 'NaN in a box', make: () => withFloats('boxes', { 140: NaN }) },
  { title: 'infinity in a box', make: () => withFloats('boxes', { 142: Infinity }) },
  {
    title: 'a box between the border of Caffe and that of the image',
    make: () => withFloats('boxes', { 2: 640, 3: 480 }),
  },
  { title: 'an object class of 1600', make: () => withIds('objects', { 0: 1600n }) },
  { title: 'a negative object class', make: () => withIds('objects', { 35: -1n }) },
  { title: 'an attribute class of 400', make: () => withIds('attrs', { 7: 400n }) },
  { title: 'an object class beyond 32 bits', make: () => withIds('objects', { 3: 4_294_967_297n }) },
  { title: 'a confidence above 1', make: () => withFloats('objectsConf', { 1: 1.001 }) },
  { title: 'a negative confidence', make: () => withFloats('attrsConf', { 1: -0.001 }) },
  { title: 'a confidence that is NaN', make: () => withFloats('attrsConf', { 0: NaN }) },
  { title: 'an id twice', make: () => text(first, second, first) },
  {
    title: 'an id twice, the first of them bad',
    make: () => text(first, joinLine(splitLine(second).with(7, '35')), second),
  },
  { title: 'no id', make: () => withId(Buffer.alloc(0)) },
  { title: 'a zero byte in an id', make: () => withId(Buffer.from('COCO\0one')) },
  { title: 'a terminal command in an id', make: () => withId(Buffer.from('\x1b[2Jgone')) },
  { title: 'an id that is not UTF-8', make: () => withId(Buffer.from([0x43, 0xff, 0xfe])) },
  { title: 'an id of 256 bytes', make: () => withId(Buffer.from('x'.repeat(256))) },
  { title: 'an id of 200 characters that take 400 bytes', make: () => withId(Buffer.from('é'.repeat(200))) },
  { title: 'an id of 300 kB', make: () => withId(Buffer.from('x'.repeat(300_000))) },
  { title: 'a height of 0', make: () => withField('height', () => '0') },
  { title: 'a negative width', make: () => withField('width', () => '-640') },
  { title: 'a huge height', make: () => withField('height', () => '99999999999') },
  { title: 'a width that is no number', make: () => withField('width', () => '640px') },
  { title: 'a height in hexadecimal', make: () => withField('height', () => '0x1e0') },
  { title: 'a width with a decimal point', make: () => withField('width', () => '640.0') },
  { title: 'no height', make: () => withField('height', () => '') },
  {
    title: 'height and width exchanged',
    make: () => {
      const f = splitLine(second);
      return text(first, joinLine(f.with(1, f[2]!).with(2, f[1]!)));
    },
  },
  { title: 'a six-column row among ten', make: () => text(first, sixColumns, second) },
  { title: 'a ten-column row among six', make: () => text(sixColumns, first) },
  { title: 'a gzip file', make: () => gzipSync('not rows', { level: 9 }) },
  { title: 'a zip archive named .tsv', make: () => makeZip([{ name: 'a.tsv', content: Buffer.from('x') }]) },
  { title: 'a PNG image', make: () => PNG },
  {
    title: 'an HTML page',
    make: () => text('<!DOCTYPE html>\n', '<html><body>503 Service Unavailable</body></html>\n'),
  },
  { title: 'JSON', make: () => text('[{"img_id": "COCO_val2014_000000000042"}]\n') },
  { title: 'no line end in 20 MB', make: () => Buffer.alloc(20_000_000, 'A') },
  {
    title: 'no line end in 20 MB, then a row',
    make: () => Buffer.concat([Buffer.alloc(20_000_000, 'A'), text('\r\n', first)]),
  },
  {
    title: 'a row longer than any, within a block',
    make: () => text(first, 'A'.repeat(3_000_000), '\n', second),
  },
  { title: 'tabs only, two million of them', make: () => text(first, '\t'.repeat(2_000_000), '\n') },
  { title: 'thirty million line ends', make: () => Buffer.alloc(30_000_000, '\n') },
  { title: 'short lines only', make: () => text('nothing here\n'.repeat(1500)) },
  { title: 'rows missing from a published file', name: 'val2014_obj36.tsv', make: () => text(first, second) },
];

/** What no look at a file alone can tell from a right one; where the number of rows is known, that gives it away. */
export const BEYOND_SIGHT: HostileTsv = {
  title: 'a row torn inside its id and glued to the next',
  make: () => text(first, second.slice(0, 7), third),
};

/** What looks strange and is right: no problem may be reported. */
export const ODD_BUT_SOUND_TSVS: readonly HostileTsv[] = [
  { title: 'negative zero among the features', make: () => withFloats('features', { 11: -0 }) },
  { title: 'a byte order mark', make: () => Buffer.concat([Buffer.from('\ufeff'), text(first, second)]) },
  { title: 'LF as line end', make: () => text(...[first, second].map(line => line.replace('\r\n', '\n'))) },
  { title: 'line ends of both kinds', make: () => text(first, second.replace('\r\n', '\n'), third) },
  { title: 'no line end behind the last row', make: () => text(first, second.trimEnd()) },
  { title: 'quoted fields', make: () => withField('id', field => `"${field}"`) },
  { title: 'blanks around fields', make: () => withField('height', field => ` ${field}  `) },
  { title: 'leading zeros', make: () => withField('width', field => `00${field}`) },
  { title: 'blank lines between rows', make: () => text('\n', first, '\r\n \t\n', second, '\n\n') },
  { title: 'an id beyond ASCII', make: () => withId(Buffer.from('Bild_Ärger_猫')) },
  { title: 'an id of 255 bytes', make: () => withId(Buffer.from('x'.repeat(255))) },
  { title: 'an id with a blank inside', make: () => withId(Buffer.from('two words')) },
  { title: 'a carriage return twice', make: () => text(first.replace('\r\n', '\r\r\n'), second) },
  { title: 'the largest feature of f16', dtype: 'f16', make: () => withFloats('features', { 9: 65_519 }) },
  {
    title: 'two equal feature vectors and unsorted confidences',
    make: () => withField('features', field => field.slice(0, 196_608) + field.slice(0, 196_608)),
  },
  { title: 'one row of six columns', make: () => text(sixColumns) },
];
