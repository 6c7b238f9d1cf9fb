import { decodeBase64 } from './base64.ts';
import { checkColumns, checkFeatures } from './check-row.ts';
import { type FeatureDtype, narrowFeatures } from './feature-dtype.ts';
import { describeIdFault, ID_RULE } from './image-id.ts';
import { literalParts, parseQuotedRow } from './quoted-row.ts';
import { type RowProblem, rowProblem, showText } from '../problem.ts';
import {
  imageSize,
  LINE_END,
  MAX_ID_BYTES,
  recordColumn,
  rowCrc,
  type RowRecord,
  setImageId,
  setImageSize,
  setLineEnd,
  setRowCrc,
} from './row-record.ts';
import { type BinaryField, BOXES, FEATURE_BYTES, type RowShape } from './row-shape.ts';

const TAB = 9;
const LF = 10;
const CR = 13;
/** The three text columns stand within this many bytes of a plain row. */
const TEXT_REACH = MAX_ID_BYTES + 24;
const PLAIN_NUMBER = /^[1-9][0-9]{0,6}$/;
const BLANK = /^[ \t\r]*$/;
/** Characters of an id that a message shows. */
const SHOWN_ID_CHARS = 100;
/** Leading zeros are kept as they are written. */
const ANY_NUMBER = /^0*[1-9][0-9]{0,6}$/;

/** Where a row is decoded to. `features` has the store's dtype; `scratch` is 36 x 2048 float32 and may be the same memory. */
export interface RowTarget {
  readonly features: Uint8Array;
  readonly scratch: Uint8Array;
  readonly dtype: FeatureDtype;
  readonly record: RowRecord;
}

export interface DecodedRow {
  readonly status: 'ok' | 'bad' | 'blank';
  /** img_id as far as it could be read, for messages. */
  readonly imgId: string | null;
  /** Literal texts around the base64 of a row that is not written plainly. */
  readonly parts?: readonly string[];
}

interface RowFields {
  readonly id: string;
  readonly height: string;
  readonly width: string;
  readonly count: string;
  readonly base64: readonly string[];
}

/** Length of the line end of `line`: CR LF, LF or, on a last row, nothing. */
function lineEndKind(line: Buffer): number {
  if (line.length === 0 || line[line.length - 1] !== LF) return LINE_END.none;
  return line.length > 1 && line[line.length - 2] === CR ? LINE_END.crlf : LINE_END.lf;
}

/** Whether an id is written in quotes, or with blanks around it. */
function isQuoted(id: string): boolean {
  return id.includes('"') || id.trim() !== id;
}

/** Cuts a plainly written row by its fixed lengths; undefined for every other one. Decodes nothing. */
function splitPlain(line: Buffer, end: number, shape: RowShape): RowFields | undefined {
  const head = line.subarray(0, Math.min(end, TEXT_REACH));
  const first = head.indexOf(TAB);
  const second = first < 0 ? -1 : head.indexOf(TAB, first + 1);
  const third = second < 0 ? -1 : head.indexOf(TAB, second + 1);
  if (third < 0 || end - third - 1 !== shape.restChars) return undefined;
  const rest = third + 1;
  const id = line.toString('utf8', 0, first);
  const sizes = [line.toString('latin1', first + 1, second), line.toString('latin1', second + 1, third)];
  const count = line.toString('latin1', rest + shape.countAt, rest + shape.countAt + 2);
  const ends = [...shape.binary.map(field => field.at + field.chars), shape.countAt + 2];
  if (!ends.every(at => at === shape.restChars || line[rest + at] === TAB) || count !== String(BOXES))
    return undefined;
  const [height = '', width = ''] = [sizes[shape.heightIndex - 1], sizes[shape.widthIndex - 1]];
  if (![height, width].every(size => PLAIN_NUMBER.test(size)) || isQuoted(id)) return undefined;
  const base64 = shape.binary.map(field =>
    line.toString('latin1', rest + field.at, rest + field.at + field.chars),
  );
  return { id, height, width, count, base64 };
}

function checkTexts(
  fields: RowFields,
  shape: RowShape,
  record: RowRecord,
  report: (problem: RowProblem) => void,
): boolean {
  const idFault = describeIdFault(fields.id);
  if (idFault === undefined) setImageId(record, Buffer.from(fields.id));
  else {
    report(rowProblem('img_id', shape.idColumn, { expected: ID_RULE, got: idFault }));
  }
  let sized = true;
  for (const [column, value] of [
    [shape.heightColumn, fields.height],
    [shape.widthColumn, fields.width],
  ] as const) {
    if (ANY_NUMBER.test(value)) continue;
    sized = false;
    const got = value === '' ? 'nothing' : JSON.stringify(value.slice(0, 40));
    report(rowProblem('image_size', column, { expected: 'pixels, 1 to 9999999', got }));
  }
  if (sized) setImageSize(record, Number(fields.height), Number(fields.width));
  if (fields.count !== String(BOXES)) {
    report({
      code: 'num_boxes',
      severity: 'error',
      column: 'num_boxes',
      expected: String(BOXES),
      got: fields.count === '' ? 'nothing' : showText(fields.count, 40),
      hint: 'LXMERT needs exactly 36 boxes; use the fixed 36-box features',
    });
  }
  return sized;
}

/** Base64 length of a column if the image had `count` boxes, so that another box number is reported once, not per column. */
function charsForCount(field: BinaryField, count: string): number {
  return /^[0-9]{1,3}$/.test(count)
    ? Math.ceil(((field.bytes / BOXES) * Number(count)) / 3) * 4
    : field.chars;
}

function decodeColumn(
  field: BinaryField,
  text: string,
  count: string,
  into: Uint8Array,
): RowProblem | undefined {
  if (text.length !== field.chars) {
    if (count !== String(BOXES) && text.length === charsForCount(field, count)) return undefined;
    return {
      code: 'length',
      severity: 'error',
      column: field.name,
      expected: `${field.chars} base64 characters (${field.bytes} bytes)`,
      got: `${text.length} characters`,
      hint: 'the row is damaged or torn; extract or download it again',
    };
  }
  if (decodeBase64(text, into)) return undefined;
  const at = text.search(/[^A-Za-z0-9+/]/);
  const got =
    at < 0 ? 'base64 that decodes to another length' : `${JSON.stringify(text[at])} at character ${at}`;
  return { code: 'base64', severity: 'error', column: field.name, expected: 'only A-Z a-z 0-9 + /', got };
}

function readFields(
  line: Buffer,
  end: number,
  shape: RowShape,
  report: (problem: RowProblem) => void,
): RowFields | undefined {
  const parsed = parseQuotedRow(line.toString('utf8', 0, end), shape);
  if (!parsed.ok) {
    report(parsed.problem);
    return undefined;
  }
  const fieldAt = (index: number): string => parsed.fields[index] ?? '';
  return {
    id: fieldAt(0),
    height: fieldAt(shape.heightIndex),
    width: fieldAt(shape.widthIndex),
    count: fieldAt(shape.countIndex),
    base64: shape.binary.map(field => fieldAt(field.index)),
  };
}

/** One row on its way from text to record; faults are reported as they are found. */
class RowDecoding {
  readonly #shape: RowShape;
  readonly #target: RowTarget;
  readonly #report: (problem: RowProblem) => void;
  /** Binary columns that could be decoded. */
  readonly #readable = new Set<string>();
  #errors = 0;

  constructor(shape: RowShape, target: RowTarget, report: (problem: RowProblem) => void) {
    this.#shape = shape;
    this.#target = target;
    this.#report = report;
  }

  decode(line: Buffer): DecodedRow {
    const kind = lineEndKind(line);
    const end = line.length - kind;
    if (end < TEXT_REACH && BLANK.test(line.toString('latin1', 0, end)))
      return { status: 'blank', imgId: null };
    const note = (problem: RowProblem): void => this.#note(problem);
    const plain = splitPlain(line, end, this.#shape);
    const fields = plain ?? readFields(line, end, this.#shape, note);
    if (fields === undefined) return { status: 'bad', imgId: null };
    setLineEnd(this.#target.record, kind);
    const sized = checkTexts(fields, this.#shape, this.#target.record, note);
    this.#decodeColumns(fields);
    this.#checkValues(sized);
    const parts = plain === undefined ? this.#keepParts(line, fields) : undefined;
    if (this.#errors > 0)
      return { status: 'bad', imgId: fields.id === '' ? null : showText(fields.id, SHOWN_ID_CHARS) };
    this.#finish();
    return { status: 'ok', imgId: fields.id, ...(parts === undefined ? {} : { parts }) };
  }

  #note(problem: RowProblem): void {
    if (problem.severity === 'error') this.#errors++;
    this.#report(problem);
  }

  #decodeColumns({ base64, count }: RowFields): void {
    const { record, scratch } = this.#target;
    for (const [index, field] of this.#shape.binary.entries()) {
      const text = base64[index] ?? '';
      const into = field.name === 'features' ? scratch : recordColumn(record, field.name);
      const problem = decodeColumn(field, text, count, into);
      if (problem !== undefined) this.#note(problem);
      else if (text.length === field.chars) this.#readable.add(field.name);
    }
  }

  #checkValues(sized: boolean): void {
    const { dtype, record } = this.#target;
    const note = (problem: RowProblem): void => this.#note(problem);
    if (this.#readable.has('features')) checkFeatures(this.#bits, dtype, note);
    const size = sized ? imageSize(record) : undefined;
    checkColumns({ record, shape: this.#shape, readable: this.#readable, size }, note);
  }

  /** The literal texts of a row that is not written plainly, so that it can be given back. */
  #keepParts(line: Buffer, fields: RowFields): readonly string[] | undefined {
    const parts = literalParts(line.toString('utf8'), fields.base64);
    if (parts === undefined && this.#errors === 0) {
      const found = { expected: 'base64 in one piece', got: 'a row too unusual to be given back' };
      this.#note(rowProblem('text', null, found));
    }
    return parts;
  }

  /** Rounds the features to the store's dtype and sets the checksum. */
  #finish(): void {
    const { dtype, features, record } = this.#target;
    if (dtype !== 'f32') {
      const halves = new Uint16Array(features.buffer, features.byteOffset, features.length / 2);
      narrowFeatures(this.#bits, halves, dtype);
    }
    setRowCrc(record, rowCrc(features, record, this.#readable));
  }

  get #bits(): Uint32Array {
    const { scratch } = this.#target;
    return new Uint32Array(scratch.buffer, scratch.byteOffset, FEATURE_BYTES / 4);
  }
}

/**
 * Decodes and checks one row of a TSV, line end included in `line`. Every fault found is reported; the row is `ok` only
 * without errors. On `ok` the target holds the row's features in the target's dtype and its record, checksum included.
 */
export function decodeRow(
  line: Buffer,
  shape: RowShape,
  target: RowTarget,
  report: (problem: RowProblem) => void,
): DecodedRow {
  return new RowDecoding(shape, target, report).decode(line);
}
