import { crc32 } from 'node:zlib';
import type { BinaryColumn } from './row-shape.ts';

/*
 * Everything of one image but its features, at fixed offsets in 1,728 bytes. Worker threads fill records in shared memory,
 * the store writer spills them to disk, so memory does not grow with the number of images.
 */

/** Longest img_id in UTF-8 bytes. */
export const MAX_ID_BYTES = 255;

const SPANS = {
  objects_id: [0, 288],
  attrs_id: [288, 288],
  boxes: [576, 576],
  objects_conf: [1152, 144],
  attrs_conf: [1296, 144],
  image_size: [1440, 8],
  crc32: [1448, 4],
} as const;
const ID_LENGTH_AT = 1452;
const EDGE_AT = 1456;
const END_AT = 1460;
const ID_AT = 1464;

export const RECORD_BYTES = 1728;

export type RecordColumn = keyof typeof SPANS;

/** How the boxes end: exactly at Caffe's clipping limits, beyond them, or before them. */
export const EDGE = { before: 0, exact: 1, beyond: 2 } as const;
/** Line end of the source row. */
export const LINE_END = { none: 0, lf: 1, crlf: 2 } as const;

export interface RowRecord {
  readonly bytes: Buffer;
  readonly view: DataView;
}

export function rowRecordAt(memory: ArrayBufferLike, byteOffset: number): RowRecord {
  return {
    bytes: bufferOver(memory, byteOffset, RECORD_BYTES),
    view: new DataView(memory, byteOffset, RECORD_BYTES),
  };
}

/** A Buffer over memory that may be shared between threads, which the type declaration of Buffer leaves out. */
export function bufferOver(memory: ArrayBufferLike, byteOffset = 0, length?: number): Buffer {
  return Buffer.from(memory as ArrayBuffer, byteOffset, length);
}

/** Bytes of one column of the record, a view. */
export function recordColumn(record: RowRecord, column: RecordColumn): Buffer {
  const [at, length] = SPANS[column];
  return record.bytes.subarray(at, at + length);
}

/** Values of a float32 column, a view. */
export function floatColumn(
  record: RowRecord,
  column: 'boxes' | 'objects_conf' | 'attrs_conf',
): Float32Array {
  const bytes = recordColumn(record, column);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

export function recordColumnSpan(column: RecordColumn): { readonly at: number; readonly length: number } {
  const [at, length] = SPANS[column];
  return { at, length };
}

export function setImageSize(record: RowRecord, height: number, width: number): void {
  record.view.setInt32(SPANS.image_size[0], height, true);
  record.view.setInt32(SPANS.image_size[0] + 4, width, true);
}

export function imageSize(record: RowRecord): { readonly height: number; readonly width: number } {
  return {
    height: record.view.getInt32(SPANS.image_size[0], true),
    width: record.view.getInt32(SPANS.image_size[0] + 4, true),
  };
}

export function setImageId(record: RowRecord, id: Uint8Array): void {
  record.bytes.fill(0, ID_AT, ID_AT + MAX_ID_BYTES);
  record.bytes.set(id, ID_AT);
  record.view.setUint32(ID_LENGTH_AT, id.length, true);
}

export function imageIdBytes(record: RowRecord): Buffer {
  return record.bytes.subarray(ID_AT, ID_AT + record.view.getUint32(ID_LENGTH_AT, true));
}

export function imageIdOf(record: RowRecord): string {
  return imageIdBytes(record).toString('utf8');
}

export function setEdge(record: RowRecord, edge: number): void {
  record.view.setUint32(EDGE_AT, edge, true);
}

export function edgeOf(record: RowRecord): number {
  return record.view.getUint32(EDGE_AT, true);
}

export function setLineEnd(record: RowRecord, end: number): void {
  record.view.setUint32(END_AT, end, true);
}

export function lineEndOf(record: RowRecord): number {
  return record.view.getUint32(END_AT, true);
}

/** Order in which a row's columns enter its CRC-32, after `features` and before img_id: docs/format.md, Checksums. */
const CRC_ORDER: readonly (RecordColumn & (BinaryColumn | 'image_size'))[] = [
  'objects_id',
  'attrs_id',
  'boxes',
  'objects_conf',
  'attrs_conf',
  'image_size',
];

/** CRC-32 of one image as the store defines it. `columns` are the binary columns that the store has. */
export function rowCrc(features: Uint8Array, record: RowRecord, columns: ReadonlySet<string>): number {
  return continueRowCrc(crc32(features), record, columns);
}

/** The same for features whose CRC-32 is known. */
export function continueRowCrc(featuresCrc: number, record: RowRecord, columns: ReadonlySet<string>): number {
  let crc = featuresCrc;
  for (const column of CRC_ORDER) {
    if (column === 'image_size' || columns.has(column)) crc = crc32(recordColumn(record, column), crc);
  }
  return crc32(imageIdBytes(record), crc);
}

export function setRowCrc(record: RowRecord, crc: number): void {
  record.view.setUint32(SPANS.crc32[0], crc, true);
}

export function rowCrcOf(record: RowRecord): number {
  return record.view.getUint32(SPANS.crc32[0], true);
}
