import test from 'ava';
import { diagnoseRows } from '../../pipeline/rows/diagnose-rows.ts';
import { BUTD36, OBJ36 } from '../../pipeline/rows/row-shape.ts';
import { validate } from '../../pipeline/stages/validate.ts';
import { joinLine, makeContext, makeLine, makeLines, splitLine, writeTsv } from '../helpers/rows.ts';
import { makeTempFolder } from '../helpers/temp.ts';

const lines = makeLines(3);

/** The rows with their columns changed, by column name. */
function changed(change: (fields: string[]) => readonly string[]): Buffer[] {
  return lines.map(line => Buffer.from(joinLine(change(splitLine(line)))));
}

function column(name: string, change: (bytes: Buffer) => Uint8Array): Buffer[] {
  const index = OBJ36.columns.indexOf(name);
  return changed(fields =>
    fields.with(index, Buffer.from(change(Buffer.from(fields[index]!, 'base64'))).toString('base64')),
  );
}

function floats(bytes: Buffer): Float32Array {
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

const bytesOf = (array: ArrayBufferView): Buffer =>
  Buffer.from(array.buffer, array.byteOffset, array.byteLength);

/** Boxes, all of them wide and low, so that x + width stays in the image. */
function asWidthHeight(bytes: Buffer): Buffer {
  const boxes = floats(bytes);
  for (let at = 0; at < boxes.length; at += 4) {
    boxes[at + 2] = boxes[at + 2]! - boxes[at]!;
    boxes[at + 3] = boxes[at + 3]! - boxes[at + 1]!;
  }
  return bytesOf(boxes);
}

const text = (content: string): Buffer[] => [Buffer.from(content)];

const CASES: readonly (readonly [
  title: string,
  rows: () => readonly Buffer[],
  what: RegExp,
  hint: RegExp,
])[] = [
  [
    'an HTML page',
    () => text('<!DOCTYPE html><html><head><title>Quota\x1b exceeded</title>\n'),
    /^this is an HTML page titled "Quota\ufffd exceeded"$/,
    /another mirror/,
  ],
  ['an LFS pointer', () => text('version https://git-lfs.github.com/spec/v1\n'), /Git LFS/, /git lfs pull/],
  ['gzip', () => [Buffer.from('1f8b0800', 'hex')], /gzip/, /gunzip/],
  ['7z', () => [Buffer.from('377abcaf271c0004', 'hex')], /7z/, /7z x/],
  ['UTF-16', () => lines.map(line => Buffer.from(line, 'utf16le')), /UTF-16/, /iconv/],
  ['CR alone', () => [Buffer.from(lines.map(line => line.replace('\r\n', '\r')).join(''))], /CR alone/, /tr/],
  ['commas', () => changed(fields => [fields.join(',')]), /commas, not by tabs/, /tr ','/],
  ['blanks', () => changed(fields => [fields.join(' ')]), /blanks, not by tabs/, /tr/],
  [
    "b'…'",
    () => changed(fields => fields.map(field => (field.length > 100 ? `b'${field}'` : field))),
    /b'…'/,
    /decode/,
  ],
  [
    'URL-safe base64',
    () => changed(fields => fields.map(field => field.replaceAll('+', '-').replaceAll('/', '_'))),
    /URL-safe/,
    /b64encode/,
  ],
  ['a tab at the end', () => changed(fields => [...fields, '']), /ends with a tab/, /sed/],
  ['a pandas index', () => changed(fields => ['7', ...fields]), /pandas/, /cut -f2-/],
  ['seven columns', () => changed(fields => fields.slice(0, 7)), /7 columns.*ViLBERT/, /ten columns/],
  ['eleven columns', () => changed(fields => [...fields, 'AAAA']), /11 columns/, /ten columns/],
  ['100 boxes', () => changed(fields => fields.with(7, '100')), /adaptive/, /36/],
  [
    'int32 ids',
    () => column('objects_id', bytes => bytes.subarray(0, bytes.length / 2)),
    /class ids are int32/,
    /<i8/,
  ],
  [
    'float16 features',
    () => column('features', bytes => bytesOf(new Float16Array(floats(bytes)))),
    /features are float16/,
    /float32/,
  ],
  [
    'float64 features',
    () => column('features', bytes => bytesOf(Float64Array.from(floats(bytes)))),
    /features are float64/,
    /<f4/,
  ],
  [
    '1024 dimensions',
    () => column('features', bytes => bytes.subarray(0, bytes.length / 2)),
    /1024 dimensions/,
    /pool5/,
  ],
  [
    '2054 dimensions',
    () => column('features', bytes => Buffer.concat([bytes, Buffer.alloc(36 * 6 * 4)])),
    /2054 dimensions/,
    /pool5/,
  ],
  ['big-endian arrays', () => column('boxes', bytes => Buffer.from(bytes).swap32()), /big-endian/, /<f4/],
  [
    'boxes as x, y, width, height',
    () => column('boxes', asWidthHeight),
    /x, y, width, height/,
    /add x to the width/,
  ],
];

for (const [title, rows, what, hint] of CASES) {
  test(`rows that all fail in the same way: ${title}`, t => {
    const diagnosis = diagnoseRows(rows(), OBJ36);
    t.regex(diagnosis?.what ?? 'nothing', what);
    t.regex(diagnosis?.hint ?? 'nothing', hint);
  });
}

test('height and width swapped', t => {
  const size = { img_h: 400, img_w: 800 };
  const boxes = new Float32Array(144);
  for (let box = 0; box < 36; box++) boxes.set([box, box, 700 + box, 300 + box], box * 4);
  const line = Buffer.from(makeLine({ ...size, boxes }));
  t.is(diagnoseRows([line], OBJ36), undefined);
  const swapped = Buffer.from(makeLine({ img_h: 800, img_w: 400, boxes }));
  t.is(diagnoseRows([swapped], OBJ36)?.what, 'img_h and img_w are swapped');
});

test('rows that fail for different reasons have no diagnosis, and neither have valid ones', t => {
  const one = changed(fields => [...fields, '']).slice(0, 1);
  const other = changed(fields => fields.with(7, '100')).slice(1, 2);
  t.is(diagnoseRows([...one, ...other], OBJ36), undefined);
  t.is(
    diagnoseRows(
      lines.map(line => Buffer.from(line)),
      OBJ36,
    ),
    undefined,
  );
  t.is(diagnoseRows([], OBJ36), undefined);
});

test('the sentence comes first, and is in the report', async t => {
  const path = await writeTsv(await makeTempFolder(t), changed(fields => fields.with(7, '100')).map(String));
  const context = makeContext();
  const { sources } = await validate({ files: [path], threads: 1 }, context);
  t.regex(sources[0]?.diagnosis ?? '', /adaptive/);
  const kinds = context.events.map(({ event }) => event);
  t.true(kinds.indexOf('warning') < kinds.indexOf('problem'));
});

for (const shape of [OBJ36, BUTD36]) {
  test(`boxes divided by the image size are refused, in ${shape.columns.length} columns`, async t => {
    const boxes = new Float32Array(144);
    for (let box = 0; box < 36; box++) boxes.set([0, 0, 0.5 + box / 100, 1], box * 4);
    const folder = await makeTempFolder(t);
    const line = makeLine({ boxes, img_h: 480, img_w: 640 });
    const fields = splitLine(line);
    const [id, height, width, , , , , count, encoded, features] = fields as [string, ...string[]];
    const row = shape === OBJ36 ? fields : [id, width!, height!, count!, encoded!, features!];
    const { ok, problems } = await validate(
      { files: [await writeTsv(folder, [joinLine(row)])], threads: 1 },
      makeContext(),
    );
    t.false(ok);
    t.like(problems[0], { code: 'box_range', column: 'boxes' });
    t.regex(problems[0]?.got ?? '', /divided by width and height already/);
  });
}

test('boxes within the first pixel of a tiny image are no proof of anything', async t => {
  const boxes = new Float32Array(144);
  for (let box = 0; box < 36; box++) boxes.set([0, 0, 1, 1], box * 4);
  const path = await writeTsv(await makeTempFolder(t), [makeLine({ boxes, img_h: 2, img_w: 2 })]);
  t.true((await validate({ files: [path], threads: 1 }, makeContext())).ok);
});
