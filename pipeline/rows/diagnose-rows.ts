import { fileKindOf } from '../inputs/file-kind.ts';
import { type Box, BOXES, FEATURE_DIM, OBJ36, type RowShape } from './row-shape.ts';

/** Why all rows of a file fail in the same way. */
export interface Diagnosis {
  /** What the file is, as a sentence without a full stop. */
  readonly what: string;
  readonly hint: string;
}

/** One row cut at its tabs, unchecked. */
interface Sample {
  readonly line: Buffer;
  readonly text: string;
  readonly fields: readonly string[];
}

type Rule = (sample: Sample, shape: RowShape) => Diagnosis | undefined;

/**
 * Explains rows that all fail: `lines` are the first ones of a file, line ends included. Undefined where they have nothing
 * in common that is known from files that people have.
 */
export function diagnoseRows(lines: readonly Buffer[], shape: RowShape): Diagnosis | undefined {
  const [first] = lines;
  if (first === undefined) return undefined;
  const kind = fileKindOf(first);
  if (kind !== undefined) return { what: `this is ${kind.what}`, hint: kind.hint };
  const samples = lines.map((line): Sample => {
    const text = line.toString('latin1').replace(/\r?\n$/, '');
    return { line, text, fields: text.split('\t') };
  });
  for (const rule of RULES) {
    const found = samples.map(sample => rule(sample, shape));
    if (found[0] !== undefined && found.every(diagnosis => diagnosis?.what === found[0]?.what))
      return found[0];
  }
  return undefined;
}

const TEN = OBJ36.columns.length;

/** Layouts of other projects by their number of columns. */
const LAYOUTS: ReadonlyMap<number, string> = new Map([
  [7, 'seven columns are the layout of ViLBERT, with cls_prob after the features'],
  [8, 'eight columns are LXMERT rows without attributes'],
  [9, 'nine columns are a row without one of LXMERT\u2019s columns'],
  [11, 'eleven columns are LXMERT rows with one more column, such as cls_prob'],
  [13, 'thirteen columns are the layout of VOLTA\u2019s later extractor'],
]);

const RULES: readonly Rule[] = [
  asText,
  separators,
  bytesLiteral,
  wrappedBase64,
  urlSafeBase64,
  trailingTab,
  pandasIndex,
  otherLayout,
  boxCount,
  elementTypes,
  byteOrder,
  swappedSize,
  widthHeightBoxes,
];

function asText({ line, text }: Sample): Diagnosis | undefined {
  const zeros = line.filter(byte => byte === 0).length;
  if (zeros > line.length / 3)
    return { what: 'the text is UTF-16', hint: 'convert it: iconv -f UTF-16 -t UTF-8 FILE' };
  if (/\r[^\r\n]/.test(text) && text.split('\r').length > 1 && text.split('\t').length >= 2 * TEN - 1)
    return { what: 'lines end with CR alone', hint: "convert them: tr '\\r' '\\n' < FILE > NEW" };
  return undefined;
}

function separators({ text, fields }: Sample): Diagnosis | undefined {
  if (fields.length > 1) return undefined;
  const convert = (name: string, from: string): Diagnosis => ({
    what: `columns are separated by ${name}, not by tabs`,
    hint: `convert it: tr '${from}' '\\t' < FILE > NEW`,
  });
  if (text.split(',').length >= 6) return convert('commas', ',');
  if (text.split(' ').length >= 6) return convert('blanks', ' ');
  return text.split(';').length >= 6 ? convert('semicolons', ';') : undefined;
}

function bytesLiteral({ fields }: Sample): Diagnosis | undefined {
  if (!fields.some(field => /^"?b'[A-Za-z0-9+/=]*'"?$/.test(field) && field.length > 100)) return undefined;
  return {
    what: "base64 is written as Python's b'…'",
    hint: 'decode it to text before writing: base64.b64encode(x).decode(); or: sed "s/b\'//g; s/\'//g" FILE > NEW',
  };
}

function wrappedBase64({ text }: Sample): Diagnosis | undefined {
  const isPiece = /^[A-Za-z0-9+/="]{1,80}$/.test(text);
  const endsInPiece = text.length < 1000 && /\t"[A-Za-z0-9+/=]{60,80}$/.test(text);
  const isWrapped = isPiece || endsInPiece;
  if (!isWrapped) return undefined;
  return {
    what: 'base64 is wrapped over several lines',
    hint: 'write it in one piece: base64.b64encode, not base64.encodebytes',
  };
}

function urlSafeBase64({ fields }: Sample): Diagnosis | undefined {
  const isUrlSafe = fields.some(field => field.length > 1000 && /^[A-Za-z0-9_=-]*[_-]/.test(field));
  if (!isUrlSafe) return undefined;
  return {
    what: 'base64 uses the URL-safe alphabet (- and _)',
    hint: 'write it with base64.b64encode, not urlsafe_b64encode',
  };
}

function trailingTab({ fields }: Sample): Diagnosis | undefined {
  if (fields.length !== TEN + 1 || fields.at(-1) !== '') return undefined;
  return { what: 'every row ends with a tab', hint: "remove it: sed 's/\\t\\r*$//' FILE > NEW" };
}

function pandasIndex({ fields }: Sample): Diagnosis | undefined {
  const looksRight = /^\d+$/.test(fields[2] ?? '') && /^\d+$/.test(fields[3] ?? '') && fields[8] === '36';
  if (fields.length !== TEN + 1 || !/^\d*$/.test(fields[0] ?? '') || !looksRight) return undefined;
  return {
    what: 'every row begins with a row number, as pandas writes its index',
    hint: 'remove it: cut -f2- FILE > NEW (or to_csv(…, index=False))',
  };
}

function otherLayout({ fields }: Sample, shape: RowShape): Diagnosis | undefined {
  if (fields.length === shape.columns.length || fields.length < 7) return undefined;
  const layout = LAYOUTS.get(fields.length);
  if (layout === undefined) return undefined;
  return {
    what: `rows have ${fields.length} columns: ${layout}`,
    hint: `keep LXMERT's ten columns (${OBJ36.columns.join(', ')})`,
  };
}

function boxCount({ fields }: Sample, shape: RowShape): Diagnosis | undefined {
  const count = fields[shape.countIndex] ?? '';
  if (fields.length !== shape.columns.length || !/^\d+$/.test(count) || count === String(BOXES))
    return undefined;
  return {
    what: 'these are features of the adaptive extraction (10 to 100 boxes an image), not of 36 boxes',
    hint: 'LXMERT needs exactly 36 boxes; use the fixed 36-box features',
  };
}

/** Characters of base64 for an array of 36 rows. */
const charsOf = (bytesPerBox: number): number => Math.ceil((BOXES * bytesPerBox) / 3) * 4;

function elementTypes({ fields }: Sample, shape: RowShape): Diagnosis | undefined {
  if (fields.length !== shape.columns.length) return undefined;
  const length = (column: string): number => fields[shape.columns.indexOf(column)]?.length ?? 0;
  const fix = (type: string): string => `write it as ${type}: array.astype("${type}")`;
  if (length('objects_id') === charsOf(4))
    return { what: 'class ids are int32, expected int64', hint: fix('<i8') };
  const features = length('features');
  if (features === charsOf(FEATURE_DIM * 8))
    return { what: 'features are float64, expected float32', hint: fix('<f4') };
  if (features === charsOf(FEATURE_DIM * 2)) return halfOrNarrow(fields, shape);
  const dimensions = Math.floor((features / 4) * 3) / BOXES / 4;
  if (features === 0 || features === charsOf(FEATURE_DIM * 4) || !Number.isInteger(Math.round(dimensions)))
    return undefined;
  const rounded = Math.round(dimensions);
  if (charsOf(rounded * 4) !== features) return undefined;
  const extra = rounded === FEATURE_DIM + 6 ? ' (2048 and six numbers of the box)' : '';
  return {
    what: `features have ${rounded} dimensions${extra}, expected ${FEATURE_DIM}`,
    hint: 'these come from another network or have something appended; keep the 2048 values of pool5',
  };
}

/** Half the length is float16, or 1024 float32 values: the values decide. */
function halfOrNarrow(fields: readonly string[], shape: RowShape): Diagnosis {
  const bytes = Buffer.from(fields[shape.columns.indexOf('features')] ?? '', 'base64');
  const plausible = (value: number): boolean =>
    value === 0 || (Math.abs(value) > 1e-6 && Math.abs(value) < 1e4);
  let floats = 0;
  const tried = Math.min(256, bytes.length >> 2);
  for (let index = 0; index < tried; index++) if (plausible(bytes.readFloatLE(index * 4))) floats++;
  return floats > tried * 0.9
    ? {
        what: `features have ${FEATURE_DIM / 2} dimensions, expected ${FEATURE_DIM}`,
        hint: 'these come from another network; use the 2048 values of pool5',
      }
    : {
        what: 'features are float16, expected float32',
        hint: 'write them as float32: array.astype("<f4"); convert --dtype f16 makes a small store',
      };
}

interface Boxes {
  readonly height: number;
  readonly width: number;
  readonly bytes: Buffer;
}

function boxesOf({ fields }: Sample, shape: RowShape): Boxes | undefined {
  const text = fields[shape.columns.indexOf('boxes')] ?? '';
  const [height, width] = [Number(fields[shape.heightIndex]), Number(fields[shape.widthIndex])];
  if (text.length !== charsOf(16) || !(height > 0) || !(width > 0)) return undefined;
  return { height, width, bytes: Buffer.from(text, 'base64') };
}

function byteOrder(sample: Sample, shape: RowShape): Diagnosis | undefined {
  const boxes = boxesOf(sample, shape);
  if (boxes === undefined) return undefined;
  const { bytes, height, width } = boxes;
  const fits = (value: number): boolean => value >= 0 && value <= Math.max(height, width) + 1;
  let little = 0;
  let big = 0;
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    if (fits(bytes.readFloatLE(at))) little++;
    if (fits(bytes.readFloatBE(at)) && (bytes.readFloatBE(at) === 0 || bytes.readFloatBE(at) > 1e-3)) big++;
  }
  const count = bytes.length / 4;
  if (big < count || little === count) return undefined;
  return { what: 'arrays are big-endian, expected little-endian', hint: 'write them as array.astype("<f4")' };
}

function swappedSize(sample: Sample, shape: RowShape): Diagnosis | undefined {
  const boxes = boxesOf(sample, shape);
  if (boxes === undefined) return undefined;
  const { bytes, height, width } = boxes;
  let x = 0;
  let y = 0;
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    x = Math.max(x, bytes.readFloatLE(at + 8));
    y = Math.max(y, bytes.readFloatLE(at + 12));
  }
  const fitsSwapped = x <= height + 1 && y <= width + 1;
  if ((x <= width + 1 && y <= height + 1) || !fitsSwapped) return undefined;
  return {
    what: `${shape.columns[shape.heightIndex] ?? 'height'} and ${shape.columns[shape.widthIndex] ?? 'width'} are swapped`,
    hint: `swap the two columns: awk -F'\\t' -v OFS='\\t' '{t=$2;$2=$3;$3=t}1' FILE > NEW`,
  };
}

/** Four little-endian float32 at a byte offset, which need not be aligned. */
function readBox(bytes: Buffer, at: number): Box {
  return [
    bytes.readFloatLE(at),
    bytes.readFloatLE(at + 4),
    bytes.readFloatLE(at + 8),
    bytes.readFloatLE(at + 12),
  ];
}

function widthHeightBoxes(sample: Sample, shape: RowShape): Diagnosis | undefined {
  const boxes = boxesOf(sample, shape);
  if (boxes === undefined) return undefined;
  const { bytes, height, width } = boxes;
  let disordered = false;
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    const [x1, y1, x2, y2] = readBox(bytes, at);
    if (x2 <= x1 || y2 <= y1) disordered = true;
    if (!(x2 > 0 && y2 > 0 && x1 + x2 <= width + 1.5 && y1 + y2 <= height + 1.5)) return undefined;
  }
  if (!disordered) return undefined;
  return {
    what: 'boxes are x, y, width, height, expected x1, y1, x2, y2',
    hint: 'add x to the width and y to the height before writing the rows',
  };
}
