import { LxmertDataError } from '../../errors.ts';
import { createProtobufReader, type ProtobufReader } from './protobuf.ts';

/** A run of little-endian values in the file. */
interface BlobPart {
  readonly offset: number;
  readonly count: number;
  readonly type: 'float' | 'double';
}

export interface BlobSpan {
  readonly shape: readonly number[];
  readonly count: number;
  readonly parts: readonly BlobPart[];
}

/** `LAYER/INDEX` to the span of its values. */
export type BlobIndex = Map<string, BlobSpan>;

/** Numbers of the fields `name` and `blobs` in LayerParameter and V1LayerParameter. */
const FORMS = { layer: { name: 1, blobs: 7 }, layers: { name: 4, blobs: 6 } } as const;
/** BlobProto. */
const LEGACY_SIZES = [1, 2, 3, 4];
const DATA = 5;
const SHAPE = 7;
const DOUBLE_DATA = 8;
const SHAPE_DIM = 1;

const WIRE_LENGTH_DELIMITED = 2;

export interface LayerMessage {
  readonly form: keyof typeof FORMS;
  readonly bytes: Uint8Array;
  /** Where the message begins in its file. */
  readonly offset: number;
  readonly path: string;
}

/** Adds the blobs of one layer. Of layers with the same name the last one counts, as in Caffe. */
export function indexLayer(index: BlobIndex, { form, bytes, offset, path }: LayerMessage): void {
  const { name: nameField, blobs: blobsField } = FORMS[form];
  let name = '';
  const blobs: BlobSpan[] = [];
  try {
    const reader = createProtobufReader(bytes);
    while (reader.pos < reader.len) {
      const { number, wireType } = readTag(reader);
      if (number === nameField && wireType === WIRE_LENGTH_DELIMITED) {
        name = reader.string();
      } else if (number === blobsField && wireType === WIRE_LENGTH_DELIMITED) {
        const length = reader.uint32();
        const start = reader.pos;
        reader.skip(length);
        blobs.push(indexBlob(bytes.subarray(start, start + length), offset + start));
      } else {
        reader.skipType(wireType);
      }
    }
  } catch (error) {
    throw new LxmertDataError('ERR_INPUT', {
      what: `cannot read the layer ${name === '' ? '' : `"${name}" `}at byte ${offset}: the caffemodel is damaged`,
      where: path,
      hint: 'fetch the file again',
      cause: error,
    });
  }
  for (const [position, blob] of blobs.entries()) index.set(`${name}/${position}`, blob);
}

function indexBlob(bytes: Uint8Array, offset: number): BlobSpan {
  const reader = createProtobufReader(bytes);
  const legacy = new Map<number, number>();
  let shape: number[] | undefined;
  const parts: BlobPart[] = [];
  while (reader.pos < reader.len) {
    const { number, wireType } = readTag(reader);
    if (LEGACY_SIZES.includes(number) && wireType === 0) {
      legacy.set(number, reader.int32());
    } else if (number === SHAPE && wireType === WIRE_LENGTH_DELIMITED) {
      shape = readShape(reader);
    } else if (number === DATA || number === DOUBLE_DATA) {
      parts.push(readPart(reader, offset, number === DATA ? 'float' : 'double', wireType));
    } else {
      reader.skipType(wireType);
    }
  }
  return {
    shape: shape ?? LEGACY_SIZES.map(field => legacy.get(field) ?? 1),
    count: parts.reduce((sum, part) => sum + part.count, 0),
    parts,
  };
}

/** Passes over numbers, packed or single, and says where they are. */
function readPart(
  reader: ProtobufReader,
  offset: number,
  type: BlobPart['type'],
  wireType: number,
): BlobPart {
  const size = type === 'float' ? 4 : 8;
  const length = wireType === WIRE_LENGTH_DELIMITED ? reader.uint32() : size;
  if (length % size !== 0) throw new RangeError(`a blob of ${length} bytes is not a list of ${type}s`);
  const part = { offset: offset + reader.pos, count: length / size, type };
  reader.skip(length);
  return part;
}

function readShape(reader: ProtobufReader): number[] {
  const end = reader.uint32() + reader.pos;
  const shape: number[] = [];
  while (reader.pos < end) {
    const { number, wireType } = readTag(reader);
    if (number !== SHAPE_DIM) {
      reader.skipType(wireType);
    } else if (wireType === WIRE_LENGTH_DELIMITED) {
      const dimensionsEnd = reader.uint32() + reader.pos;
      while (reader.pos < dimensionsEnd) shape.push(Number(reader.int64()));
    } else {
      shape.push(Number(reader.int64()));
    }
  }
  return shape;
}

function readTag(reader: ProtobufReader): { number: number; wireType: number } {
  const tag = reader.uint32();
  return { number: tag >>> 3, wireType: tag & 7 };
}
