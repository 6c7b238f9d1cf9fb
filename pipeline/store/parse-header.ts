import { isJsonObject, type JsonObject } from '../json.ts';
import type { FileHandle } from 'node:fs/promises';
import { errorText, LxmertDataError } from '../errors.ts';
import type { FeatureDtype } from '../rows/feature-dtype.ts';
import { FEATURE_DTYPES } from '../rows/feature-dtype.ts';
import { MAX_ID_BYTES } from '../rows/row-record.ts';
import { type RowShape, rowShapeOf } from '../rows/row-shape.ts';
import { type Provenance, type RawMetadata, readProvenance } from './metadata.ts';
import { findDuplicateKey } from './duplicate-key.ts';
import { MAX_FORM_BYTES } from './source-form.ts';
import { FORMAT_NAME, FORMAT_VERSION, headerCrc, MAX_HEADER_BYTES } from './header.ts';
import { LENGTH_BYTES, type TensorName, type TensorSpan, tensorShapes } from './layout.ts';

/** A store's header, checked against itself and against the file's size. */
export interface StoreHeader {
  readonly rows: number;
  readonly dtype: FeatureDtype;
  readonly shape: RowShape;
  /** Byte at which the data section begins. */
  readonly dataStart: number;
  readonly tensors: ReadonlyMap<TensorName, TensorSpan>;
  /** As it stands in the file. */
  readonly metadata: RawMetadata;
  /** Where the rows come from, read from `metadata`. */
  readonly provenance: Provenance;
  /** Size of the whole file. */
  readonly bytes: number;
  /** Whether `header_crc32` agrees; not so where another tool wrote the header anew. */
  readonly crcAgrees: boolean;
}

interface RawTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** Reads and checks the header of an open store of `fileSize` bytes. Fails with ERR_STORE; `path` is for messages only. */
export async function readHeader(file: FileHandle, path: string, fileSize: number): Promise<StoreHeader> {
  const start = Buffer.alloc(LENGTH_BYTES);
  await file.read(start, 0, LENGTH_BYTES, 0);
  const head = Buffer.alloc(LENGTH_BYTES + headerLength(path, start, fileSize));
  await file.read(head, 0, head.length, 0);
  return parseHeader(path, head, fileSize);
}

/** Parses the header of `path`, whose first bytes are `head` and whose size is `fileSize`. `head` holds the whole header. */
export function parseHeader(path: string, head: Buffer, fileSize: number): StoreHeader {
  const fail = (what: string, expected?: string, got?: string, hint = DAMAGED): never => {
    throw new LxmertDataError('ERR_STORE', { what, where: path, expected, got, hint });
  };
  const length = headerLength(path, head, fileSize);
  const dataStart = LENGTH_BYTES + length;
  const bytes = head.subarray(LENGTH_BYTES, dataStart);
  const entries = parseEntries(bytes, fail);
  const metadata = readMetadata(entries['__metadata__'], fail);
  const format = metadata['format'];
  if (format !== FORMAT_NAME) {
    fail(
      'this safetensors file is not a store of 36-box features',
      `format ${FORMAT_NAME}`,
      String(format),
      'make a store with convert',
    );
  }
  if (metadata['format_version'] !== String(FORMAT_VERSION)) {
    fail(
      'this version of the format is not known',
      String(FORMAT_VERSION),
      String(metadata['format_version']),
      'update lxmert-data',
    );
  }
  const rows = Number(metadata['rows']);
  if (!/^[1-9][0-9]{0,14}$/.test(metadata['rows'] ?? ''))
    fail('the number of rows is invalid', 'a positive integer', String(metadata['rows']));
  const dtype = FEATURE_DTYPES.find(known => known === metadata['dtype']);
  if (dtype === undefined)
    return fail('the dtype is not known', FEATURE_DTYPES.join(', '), String(metadata['dtype']));
  const shape = readShape(metadata['columns']);
  if (shape === undefined)
    return fail('the columns are not known', 'ten or six columns', String(metadata['columns']));
  const provenance = readProvenance(metadata, fail);
  const tensors = readTensors(entries, { rows, dtype, shape }, fileSize - dataStart, fail);
  const crcAgrees = headerCrc(head.subarray(0, dataStart)) === metadata['header_crc32'];
  return { rows, dtype, shape, dataStart, tensors, metadata, provenance, bytes: fileSize, crcAgrees };
}

const DAMAGED = 'the file is damaged or not complete; copy or convert it again';

type Fail = (what: string, expected?: string, got?: string, hint?: string) => never;

/** Length of the JSON part, checked against the file and the limit, before anything else is believed. */
function headerLength(path: string, head: Buffer, fileSize: number): number {
  const fail = (what: string, expected: string, got: string): never => {
    throw new LxmertDataError('ERR_STORE', { what, where: path, expected, got, hint: DAMAGED });
  };
  if (fileSize < LENGTH_BYTES)
    return fail('the file is too short for a store', `more than ${LENGTH_BYTES} bytes`, `${fileSize} bytes`);
  const length = Number(head.readBigUInt64LE());
  const bound = Math.min(MAX_HEADER_BYTES, fileSize - LENGTH_BYTES);
  if (length < 2 || length > bound)
    return fail('the header length is impossible', `2 to ${bound} bytes`, `${length} bytes`);
  return length;
}

function parseEntries(bytes: Buffer, fail: Fail): JsonObject {
  if (bytes[0] !== 0x7b)
    fail('the header is not a JSON object', 'a {', JSON.stringify(bytes.toString('latin1', 0, 1)));
  let text = '';
  let parsed: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    parsed = JSON.parse(text);
  } catch (error) {
    fail('the header cannot be read', 'JSON in UTF-8', errorText(error));
  }
  const duplicate = findDuplicateKey(text);
  if (duplicate !== undefined)
    fail('the header has a duplicate key', 'each key once', JSON.stringify(duplicate));
  return isJsonObject(parsed) ? parsed : fail('the header is not a JSON object');
}

function readMetadata(value: unknown, fail: Fail): Record<string, string> {
  if (typeof value !== 'object' || value === null) {
    return fail(
      'this safetensors file is not a store of 36-box features',
      'metadata',
      'none',
      'make a store with convert',
    );
  }
  const texts = Object.entries(value).map(([key, entry]: [string, unknown]): [string, string] => {
    return typeof entry === 'string'
      ? [key, entry]
      : fail(`metadata ${key} is not text`, 'a string', typeof entry);
  });
  return Object.fromEntries(texts);
}

function readShape(columns: string | undefined): RowShape | undefined {
  try {
    const parsed: unknown = JSON.parse(columns ?? 'null');
    return Array.isArray(parsed) ? rowShapeOf(parsed.map(String)) : undefined;
  } catch {
    return undefined;
  }
}

function readTensors(
  entries: JsonObject,
  store: { readonly rows: number; readonly dtype: FeatureDtype; readonly shape: RowShape },
  dataBytes: number,
  fail: Fail,
): Map<TensorName, TensorSpan> {
  const idBytes = rawTensor(entries['img_id'])?.shape[1] ?? 0;
  const formBytes = rawTensor(entries['source_form'])?.shape[0] ?? 0;
  if (idBytes < 1 || idBytes > MAX_ID_BYTES)
    fail('the width of img_id is impossible', `1 to ${MAX_ID_BYTES}`, String(idBytes));
  if (formBytes > MAX_FORM_BYTES)
    fail('source_form is too long', `at most ${MAX_FORM_BYTES} bytes`, `${formBytes} bytes`);
  const expected = tensorShapes({ ...store, idBytes, formBytes });
  const names = Object.keys(entries).filter(name => name !== '__metadata__');
  const unknown = names.filter(name => !expected.some(tensor => tensor.name === name));
  if (unknown.length > 0)
    fail('a tensor is not known in this version', expected.map(t => t.name).join(', '), unknown.join(', '));
  const spans = expected.map(tensor => {
    const raw = rawTensor(entries[tensor.name]);
    if (raw === undefined)
      return fail(`tensor ${tensor.name} is missing or malformed`, 'dtype, shape and data_offsets');
    const wanted = `${tensor.dtype} [${tensor.shape.join(', ')}]`;
    const got = `${raw.dtype} [${raw.shape.join(', ')}]`;
    if (wanted !== got) fail(`tensor ${tensor.name} has another type or shape`, wanted, got);
    const bytes = tensor.shape.reduce((product, extent) => product * extent, ELEMENT_BYTES[raw.dtype] ?? 0);
    const [begin, end] = raw.data_offsets;
    if (end - begin !== bytes)
      fail(`tensor ${tensor.name} has the wrong length`, `${bytes} bytes`, `${end - begin} bytes`);
    return { ...tensor, begin, end };
  });
  checkCover(spans, dataBytes, fail);
  return new Map(spans.map(span => [span.name, span]));
}

const ELEMENT_BYTES: Readonly<Record<string, number>> = {
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  U32: 4,
  U8: 1,
};

function rawTensor(value: unknown): RawTensor | undefined {
  if (!isJsonObject(value)) return undefined;
  const { dtype, shape, data_offsets: offsets, ...others } = value;
  if (Object.keys(others).length > 0) return undefined;
  const integers = (list: unknown): list is number[] =>
    Array.isArray(list) && list.every(n => Number.isSafeInteger(n) && n >= 0);
  if (typeof dtype !== 'string' || !integers(shape) || !integers(offsets)) return undefined;
  const [begin, end, ...more] = offsets;
  if (begin === undefined || end === undefined || more.length > 0) return undefined;
  return { dtype, shape, data_offsets: [begin, end] };
}

/** No holes, no overlaps, and the data ends where the file ends. */
function checkCover(spans: readonly TensorSpan[], dataBytes: number, fail: Fail): void {
  let at = 0;
  for (const { name, begin, end } of [...spans].sort((a, b) => a.begin - b.begin)) {
    if (begin !== at) fail(`tensor ${name} leaves a hole or overlaps`, `begin at ${at}`, `begin at ${begin}`);
    at = end;
  }
  if (at !== dataBytes)
    fail('the file has another length than its header says', `${at} bytes of data`, `${dataBytes} bytes`);
}
