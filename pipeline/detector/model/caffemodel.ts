import { digestHandle } from '../../files/digest.ts';
import { listSome } from '../../show-text.ts';
import type { FileHandle } from 'node:fs/promises';
import { errorText, isErrno, LxmertDataError } from '../../errors.ts';
import { openRegular } from '../../files/open-checked.ts';
import type { BlobIndex, BlobSpan } from './caffemodel-layer.ts';
import { indexLayer } from './caffemodel-layer.ts';
import { fitsPattern, loadDetectorKeys } from './detector-keys.ts';
import { listBlobs } from './network.ts';
import type { Weights } from './weights.ts';

/** NetParameter: `layer` in files of 2014 and later, `layers` (V1LayerParameter) in older ones. */
const LAYER_FIELDS: ReadonlyMap<number, 'layer' | 'layers'> = new Map([
  [100, 'layer'],
  [2, 'layers'],
]);
const HIGHEST_FIELD = 100;
const LENGTH_DELIMITED = 2;
/** Longest head of a field: a tag and a length of ten bytes each. */
const HEAD_BYTES = 20;
/** The largest layer of this network has 52 MB, twice that with doubles; larger ones are another network's. */
const MAX_LAYER_BYTES = 2 ** 27;
/** NetParameter has ten kinds of fields beside its layers; a file with more fields of such kinds is something else. */
const MAX_OTHER_FIELDS = 10_000;
const HINT =
  'give the file resnet101_faster_rcnn_final_iter_320000.caffemodel (262 MB) of the 36-box detector, or "untrained"';

/**
 * Opens a caffemodel: hashes it, finds every blob that the network reads and checks their shapes. Blobs are read on
 * demand, so that memory holds one layer at a time.
 *
 * @throws LxmertDataError ERR_INPUT for a missing, truncated or other file and for missing or mis-shaped blobs.
 */
export async function openCaffemodel(path: string): Promise<Weights> {
  const file = await openFile(path);
  try {
    const { size } = await file.stat();
    const index = await indexFile(file, path, size);
    await checkNetwork(index, path);
    const id = (await digestHandle(file)).sha256;
    return { id, read: blob => readBlob(file, path, blob, index.get(blob)), close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * Whether a file is a whole caffemodel of this detector: every layer up to the end of the file, and every blob in its
 * shape. Reads the file once, a layer at a time.
 *
 * @throws LxmertDataError ERR_INPUT as openCaffemodel does.
 */
export async function checkCaffemodel(path: string): Promise<void> {
  const file = await openFile(path);
  try {
    const { size } = await file.stat();
    await checkNetwork(await indexFile(file, path, size), path);
  } finally {
    await file.close();
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await openRegular(path);
  } catch (error) {
    const what = isErrno(error, 'ENOENT') ? 'the weights file does not exist' : 'cannot open the weights';
    const got = error instanceof LxmertDataError ? error.parts.got : errorText(error);
    throw new LxmertDataError('ERR_INPUT', {
      what,
      where: path,
      expected: 'a readable file',
      got,
      hint: HINT,
      cause: error,
    });
  }
}

async function indexFile(file: FileHandle, path: string, size: number): Promise<BlobIndex> {
  const index: BlobIndex = new Map();
  let layers = 0;
  let others = 0;
  let position = 0;
  while (position < size) {
    const head = await readExactly(file, path, position, Math.min(HEAD_BYTES, size - position));
    const field = readFieldHead(head);
    if (field === undefined) throw describeOtherFile(path, position, head);
    const start = position + field.headBytes;
    const end = start + field.bodyBytes;
    if (end > size) throw describeTruncated(path, { position, layers, end, size });
    const form = field.wireType === LENGTH_DELIMITED ? LAYER_FIELDS.get(field.number) : undefined;
    if (form !== undefined && field.bodyBytes <= MAX_LAYER_BYTES) {
      const bytes = await readExactly(file, path, start, field.bodyBytes);
      indexLayer(index, { form, bytes, offset: start, path });
      layers += 1;
    } else if (++others > MAX_OTHER_FIELDS) {
      throw describeOtherFile(path, position, `more than ${MAX_OTHER_FIELDS} fields that are not layers`);
    }
    position = end;
  }
  if (layers === 0) throw describeOtherFile(path, 0, await readExactly(file, path, 0, Math.min(64, size)));
  return index;
}

interface FieldHead {
  readonly number: number;
  readonly wireType: number;
  readonly headBytes: number;
  readonly bodyBytes: number;
}

/** The head of a field of NetParameter, or undefined where the bytes are none. */
function readFieldHead(head: Buffer): FieldHead | undefined {
  const tag = readVarint(head, 0);
  if (tag === undefined) return undefined;
  const number = Math.floor(tag.value / 8);
  const wireType = tag.value % 8;
  if (number < 1 || number > HIGHEST_FIELD) return undefined;
  if (wireType === 1) return { number, wireType, headBytes: tag.end, bodyBytes: 8 };
  if (wireType === 5) return { number, wireType, headBytes: tag.end, bodyBytes: 4 };
  const varint = readVarint(head, tag.end);
  if (varint === undefined) return undefined;
  if (wireType === 0) return { number, wireType, headBytes: varint.end, bodyBytes: 0 };
  if (wireType !== LENGTH_DELIMITED) return undefined;
  return { number, wireType, headBytes: varint.end, bodyBytes: varint.value };
}

function readVarint(bytes: Buffer, start: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let position = start; position < Math.min(bytes.length, start + 10); position += 1) {
    const byte = bytes[position]!;
    value += (byte & 0x7f) * 2 ** (7 * (position - start));
    if (byte < 0x80) return { value, end: position + 1 };
  }
  return undefined;
}

/** Names a known other network before the blobs that it lacks. */
async function checkNetwork(index: BlobIndex, path: string): Promise<void> {
  const { other_networks: others } = await loadDetectorKeys();
  const layers = [...new Set([...index.keys()].map(blob => blob.slice(0, blob.lastIndexOf('/'))))];
  const other = others.find(({ key }) => layers.some(layer => fitsPattern(layer, key)));
  if (other === undefined) {
    checkBlobs(index, path);
    return;
  }
  throw new LxmertDataError('ERR_INPUT', {
    what: `these are the weights of ${other.name}`,
    where: path,
    expected: "the 36-box detector of LXMERT's features",
    hint: HINT,
  });
}

function checkBlobs(index: BlobIndex, path: string): void {
  const missing: string[] = [];
  for (const [blob, shape] of listBlobs()) {
    const span = index.get(blob);
    if (span === undefined) {
      missing.push(blob);
      continue;
    }
    if (squeeze(span.shape) !== squeeze(shape) || span.count !== count(shape)) {
      throw new LxmertDataError('ERR_INPUT', {
        what: `blob ${blob} has another shape than this detector's`,
        where: path,
        expected: `[${shape.join(', ')}], ${count(shape)} values`,
        got: `[${span.shape.join(', ')}], ${span.count} values`,
        hint: HINT,
      });
    }
  }
  if (missing.length === 0) return;
  throw new LxmertDataError('ERR_INPUT', {
    what: 'the file lacks weights that this detector needs',
    where: path,
    expected: `${listBlobs().size} blobs`,
    got: `${missing.length} missing: ${listSome(missing)}`,
    hint: HINT,
  });
}

/** Legacy blobs have four sizes always, with ones in front. */
function squeeze(shape: readonly number[]): string {
  const first = shape.findIndex(size => size !== 1);
  return first === -1 ? '' : shape.slice(first).join('x');
}

function count(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

async function readBlob(
  file: FileHandle,
  path: string,
  blob: string,
  span: BlobSpan | undefined,
): Promise<Float32Array> {
  if (span === undefined) throw new RangeError(`no blob ${blob} in this network`);
  const values = new Float32Array(span.count);
  let filled = 0;
  for (const { offset, count, type } of span.parts) {
    const bytes = await readExactly(file, path, offset, count * (type === 'double' ? 8 : 4));
    for (let i = 0; i < count; i += 1) {
      values[filled + i] = type === 'double' ? bytes.readDoubleLE(8 * i) : bytes.readFloatLE(4 * i);
    }
    filled += count;
  }
  if (!values.every(Number.isFinite)) {
    throw new LxmertDataError('ERR_INPUT', {
      what: `blob ${blob} holds values that are not finite`,
      where: path,
    });
  }
  return values;
}

async function readExactly(
  file: FileHandle,
  path: string,
  position: number,
  length: number,
): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, position + filled);
    if (bytesRead === 0) {
      throw new LxmertDataError('ERR_INPUT', {
        what: 'the file became shorter while it was read',
        where: path,
      });
    }
    filled += bytesRead;
  }
  return bytes;
}

function describeOtherFile(path: string, position: number, found: Buffer | string): LxmertDataError {
  const head = typeof found === 'string' ? '' : found.toString('latin1');
  const isPage = position === 0 && /^\s*</.test(head);
  return new LxmertDataError('ERR_INPUT', {
    what: isPage ? 'this is a web page, not a caffemodel' : 'this is not a caffemodel, or a damaged one',
    where: path,
    expected: 'a protobuf NetParameter with layers',
    got: typeof found === 'string' ? found : describeHead(head, position),
    hint: isPage
      ? `the server sent a page in place of the file: download it again in a browser; ${HINT}`
      : HINT,
  });
}

function describeHead(head: string, position: number): string {
  return head === '' ? 'an empty file' : `"${head.replaceAll(/[^\x20-\x7e]/g, '.')}" at byte ${position}`;
}

interface CutField {
  readonly position: number;
  readonly end: number;
  /** Layers that were read before it. */
  readonly layers: number;
  /** Of the file. */
  readonly size: number;
}

function describeTruncated(path: string, { position, end, layers, size }: CutField): LxmertDataError {
  if (layers === 0) return describeOtherFile(path, position, `${size} bytes without a layer`);
  return new LxmertDataError('ERR_INPUT', {
    what: 'the caffemodel is cut off or damaged',
    where: path,
    expected: `at least ${end} bytes (the field at byte ${position} ends there)`,
    got: `${size} bytes`,
    hint: 'fetch the file again',
  });
}
