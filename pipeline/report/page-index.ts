import type { BoxData, Finding, ImageCard, ImageData, PairData } from '../inspection/findings.ts';
import { BOXES } from '../rows/row-shape.ts';
import type { Column, ColumnName, PageIndex } from './page-data.ts';

/** Confidences are compared to the fourth digit, zeros are counted of 2048 values. */
const CONFIDENCE_SCALE = 10_000;
const FORMATS: Readonly<Record<ColumnName, Omit<Column, 'data'>>> = {
  object: { type: 'u16', scale: 1 },
  attr: { type: 'u16', scale: 1 },
  conf: { type: 'u16', scale: CONFIDENCE_SCALE },
  aconf: { type: 'u16', scale: CONFIDENCE_SCALE },
  // A bar's limits have no more significant bits than this keeps, see value-tally.ts.
  area: { type: 'bf16', scale: 1 },
  norm: { type: 'bf16', scale: 1 },
  zeros: { type: 'u16', scale: 2048 },
  cosine: { type: 'f32', scale: 1 },
  iou: { type: 'f32', scale: 1 },
};
/** No class has this id. */
const NO_CLASS = 0xffff;

type BoxValues = Readonly<Partial<Record<ColumnName, readonly (number | null)[]>>>;

/** Collects what the grid of a page shows and filters, image by image. */
export class PageIndexBuilder {
  readonly #findings: readonly Finding[];
  readonly #ids: string[] = [];
  readonly #rows: number[] = [];
  readonly #sizes: number[] = [];
  readonly #captions: string[] = [];
  readonly #flags: number[] = [];
  readonly #columns = new Map<ColumnName, Buffer[]>();
  #boxes = BOXES;

  /** `findings` are the kinds that occur, at most 31. */
  constructor(findings: readonly Finding[]) {
    this.#findings = findings;
  }

  add({ data, row, kinds, caption }: ImageCard): void {
    this.#ids.push(data.id);
    this.#rows.push(row);
    this.#sizes.push(data.width, data.height);
    this.#captions.push(caption);
    this.#flags.push(
      this.#findings.reduce((bits, { kind }, bit) => (kinds.includes(kind) ? bits | (1 << bit) : bits), 0),
    );
    const values = 'first' in data ? pairValues(data) : imageValues(data);
    for (const [name, list] of Object.entries(values) as [ColumnName, readonly (number | null)[]][]) {
      this.#boxes = list.length;
      const parts = this.#columns.get(name) ?? [];
      parts.push(encode(list, FORMATS[name]));
      this.#columns.set(name, parts);
    }
  }

  finish(): PageIndex {
    const columns = [...this.#columns].map(([name, parts]) => {
      const column: Column = { ...FORMATS[name], data: Buffer.concat(parts).toString('base64') };
      return [name, column] as const;
    });
    return {
      ids: this.#ids,
      rows: this.#rows,
      sizes: this.#sizes,
      captions: this.#captions,
      flags: this.#flags,
      findings: this.#findings.map(({ kind, label, tone }) => ({ kind, label, tone })),
      boxes: this.#boxes,
      columns: Object.fromEntries(columns),
    };
  }
}

function imageValues(image: ImageData): BoxValues {
  const { boxes, width, height, norms, zeros } = image;
  const area = norms.map((_, box) => {
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = boxes.slice(box * 4, box * 4 + 4).map(value => value ?? 0);
    return (Math.max(0, x2 - x1) * Math.max(0, y2 - y1)) / Math.max(1, width * height);
  });
  return { ...classValues(image), area, norm: norms, zeros };
}

/** Boxes of the second store follow those of the first; both of a pair have its cosine and overlap. */
function pairValues({ first, second, partner, cosines, ious }: PairData): BoxValues {
  const [a, b] = [classValues(first), classValues(second)];
  const both = (name: ColumnName): BoxValues =>
    a[name] === undefined || b[name] === undefined ? {} : { [name]: [...a[name], ...b[name]] };
  const of = (values: readonly (number | null)[]): readonly (number | null)[] => {
    const others = new Array<number | null>(values.length).fill(null);
    for (const [box, other] of partner.entries()) others[other] = values[box] ?? null;
    return [...values, ...others];
  };
  return {
    ...both('object'),
    ...both('attr'),
    ...both('conf'),
    ...both('aconf'),
    cosine: of(cosines),
    iou: of(ious),
  };
}

function classValues({ objects, attrs, objectsConf, attrsConf }: BoxData): BoxValues {
  if (objects === undefined || attrs === undefined) return {};
  const known = (id: number): number => (Number.isInteger(id) && id >= 0 && id < NO_CLASS ? id : NO_CLASS);
  return {
    object: objects.map(known),
    attr: attrs.map(known),
    conf: objectsConf ?? [],
    aconf: attrsConf ?? [],
  };
}

function encode(values: readonly (number | null)[], { type, scale }: Omit<Column, 'data'>): Buffer {
  const size = type === 'f32' ? 4 : 2;
  const bytes = Buffer.alloc(values.length * size);
  for (const [index, value] of values.entries()) {
    const number = Number.isFinite(value) ? value! : 0;
    if (type === 'u16')
      bytes.writeUInt16LE(Math.min(0xffff, Math.max(0, Math.round(number * scale))), index * 2);
    else if (type === 'f32') bytes.writeFloatLE(number, index * 4);
    else bytes.writeUInt16LE(upperHalf(number), index * 2);
  }
  return bytes;
}

const one = new Float32Array(1);
const bits = new Uint32Array(one.buffer);

function upperHalf(value: number): number {
  one[0] = value;
  return bits[0]! >>> 16;
}
