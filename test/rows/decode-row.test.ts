import { readFile } from 'node:fs/promises';
import test from 'ava';
import { parse } from 'csv-parse/sync';
import { decodeRow, type DecodedRow } from '../../pipeline/rows/decode-row.ts';
import { narrowFeatures, widenFeatures, storedFeatureBytes } from '../../pipeline/rows/feature-dtype.ts';
import type { RowProblem } from '../../pipeline/problem.ts';
import {
  EDGE,
  edgeOf,
  imageIdOf,
  imageSize,
  RECORD_BYTES,
  recordColumn,
  rowRecordAt,
} from '../../pipeline/rows/row-record.ts';
import { BUTD36, FEATURE_BYTES, OBJ36, type RowShape } from '../../pipeline/rows/row-shape.ts';
import { seededRandom } from '../../pipeline/rows/synthetic-row.ts';
import { sharedPath, testWithShared } from '../helpers/shared.ts';
import { joinLine, makeLines, splitLine } from '../helpers/rows.ts';

function decode(line: string | Buffer, shape: RowShape = OBJ36) {
  const features = new Uint8Array(FEATURE_BYTES);
  const record = rowRecordAt(new ArrayBuffer(RECORD_BYTES), 0);
  const problems: RowProblem[] = [];
  const target = { features, scratch: features, dtype: 'f32', record } as const;
  const row: DecodedRow = decodeRow(Buffer.from(line), shape, target, problem => problems.push(problem));
  return { row, features: Buffer.from(features.buffer), record, problems };
}

/** What the reference reader makes of a line: csv-parse for the fields, Node's own base64 for the arrays. */
function reference(line: string, shape: RowShape): Map<string, Buffer | string> {
  const [fields] = parse(line, { delimiter: '\t', trim: true, relax_column_count: true });
  const binary = new Set<string>(shape.binary.map(field => field.name));
  return new Map(
    shape.columns.map((column, index) => [
      column,
      binary.has(column) ? Buffer.from(fields![index]!, 'base64') : fields![index]!,
    ]),
  );
}

const agreesWithReference = test.macro((t, line: string, shape: RowShape) => {
  const { row, features, record, problems } = decode(line, shape);
  t.deepEqual(problems, []);
  t.is(row.status, 'ok');
  const expected = reference(line, shape);
  for (const { name } of shape.binary) {
    t.deepEqual(
      name === 'features' ? features : Buffer.from(recordColumn(record, name)),
      expected.get(name) as Buffer,
      name,
    );
  }
  t.is(imageIdOf(record), String(expected.get(shape.columns[0]!)));
  t.deepEqual(imageSize(record), {
    height: Number(expected.get(shape.columns[shape.heightIndex]!)),
    width: Number(expected.get(shape.columns[shape.widthIndex]!)),
  });
});

const [plain] = makeLines(1);
const fields = splitLine(plain!);
const quoted = joinLine(fields.map(field => `"${field}"`));
const blanks = joinLine(fields.map(field => ` ${field} `));

test('a plain row is read as the reference reads it', agreesWithReference, plain!, OBJ36);
test('a row with LF', agreesWithReference, makeLines(1, 1, OBJ36, '\n')[0]!, OBJ36);
test('a last row without line end', agreesWithReference, makeLines(1, 2, OBJ36, '')[0]!, OBJ36);
test('a row with six columns', agreesWithReference, makeLines(1, 3, BUTD36)[0]!, BUTD36);
test('a row in quotes', agreesWithReference, quoted, OBJ36);
test('a row with blanks around its fields', agreesWithReference, blanks, OBJ36);
test('a size with leading zeros', agreesWithReference, joinLine(fields.with(1, '0640')), OBJ36);
test('an id in another script', agreesWithReference, joinLine(fields.with(0, '图像_0001-é')), OBJ36);

test('the literal parts of an odd row give it back', t => {
  for (const line of [quoted, blanks, joinLine(fields.with(1, '0640'), '\n')]) {
    const { row } = decode(line);
    const base64 = OBJ36.binary.map(field => fields[field.index]!);
    t.is(row.parts!.map((part, index) => part + (base64[index] ?? '')).join(''), line);
  }
  t.is(decode(plain!).row.parts, undefined);
});

test('all faults of a row are reported, not the first', t => {
  const bad = joinLine(
    fields
      .with(1, '0')
      .with(3, fields[3]!.slice(4))
      .with(7, '35')
      .with(9, `*${fields[9]!.slice(1)}`),
  );
  const { row, problems } = decode(bad);
  t.is(row.status, 'bad');
  t.is(row.imgId, fields[0]!);
  t.deepEqual(
    problems.map(({ code, column }) => `${code} ${String(column)}`),
    ['image_size img_h', 'num_boxes num_boxes', 'length objects_id', 'base64 features'],
  );
});

test('rows of another detector are noticed by where their boxes end', t => {
  const boxes = new Float32Array(Buffer.from(fields[8]!, 'base64').buffer.slice(0));
  t.is(boxes.length % 4, 0);
  const toBorder = Buffer.from(fields[8]!, 'base64');
  toBorder.writeFloatLE(480, 8);
  toBorder.writeFloatLE(640, 12);
  const { row, record, problems } = decode(joinLine(fields.with(8, toBorder.toString('base64'))));
  t.is(row.status, 'ok');
  t.is(edgeOf(record), EDGE.beyond);
  t.like(problems, [{ code: 'provenance', severity: 'warning' }]);
  t.is(edgeOf(decode(plain!).record), EDGE.exact);
});

testWithShared(
  'published rows are sound and agree with the reference',
  ['samples', 'coco', 'train2014_obj36.head6.tsv'],
  async t => {
    const text = await readFile(sharedPath('samples', 'coco', 'train2014_obj36.head6.tsv'), 'latin1');
    const lines = text.split(/(?<=\n)/);
    t.is(lines.length, 6);
    for (const line of lines) {
      const { row, features, record, problems } = decode(line);
      t.deepEqual(problems, []);
      t.is(row.parts, undefined);
      t.is(edgeOf(record), EDGE.exact);
      t.deepEqual(features, reference(line, OBJ36).get('features') as Buffer);
      t.is(line.length, imageIdOf(record).length + 3 + 3 + 395_149);
    }
  },
);

testWithShared('what the real Caffe network put out is sound', ['oracle', 'expected_obj36.tsv'], async t => {
  const text = await readFile(sharedPath('oracle', 'expected_obj36.tsv'), 'latin1');
  for (const line of text.split(/(?<=\n)/)) t.deepEqual(decode(line).problems, []);
});

test('every half widens to the value that the engine gives it', t => {
  const halves = Uint16Array.from({ length: 0x10000 }, (_, index) => index);
  const values = Float32Array.from(new Float16Array(halves.buffer));
  const widened = widenFeatures(new Uint8Array(halves.buffer), 'f16');
  t.is(widened.length, values.length);
  t.is(
    widened.findIndex((value, index) => !Object.is(value, values[index])),
    -1,
  );
});

test('f16 and bf16 round to nearest, ties to even, as the engine does', t => {
  const random = seededRandom(7);
  const edges = [
    0, 1, 2, 0x33000000, 0x33000001, 0x387fffff, 0x38800000, 0x477fefff, 0x3f801000, 0x3f803000, 0x80000000,
  ];
  const bits = Uint32Array.from(
    { length: 200_000 },
    (_, index) => edges[index] ?? Math.floor(random() * 0x477fefff),
  );
  const floats = new Float32Array(bits.buffer);
  const halves = new Uint16Array(bits.length);
  narrowFeatures(bits, halves, 'f16');
  t.deepEqual(halves, new Uint16Array(new Float16Array(floats).buffer));
  narrowFeatures(bits, halves, 'bf16');
  for (const [index, value] of floats.entries()) {
    const low = (bits[index]! >>> 16) << 16;
    const candidates = [low, low + 0x10000].map(
      pattern => new Float32Array(Uint32Array.of(pattern).buffer)[0]!,
    );
    const distances = candidates.map(candidate => Math.abs(candidate - value));
    const even = (low >>> 16) % 2 === 0 ? 0 : 1;
    const nearest = distances[0]! < distances[1]! ? 0 : distances[0]! > distances[1]! ? 1 : even;
    if (halves[index] !== (low >>> 16) + nearest) t.fail(`bf16 of ${value}`);
  }
  t.is(storedFeatureBytes('f16'), 147_456);
});
