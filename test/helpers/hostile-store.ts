import { headerCrc } from '../../pipeline/store/header.ts';

/** The JSON of a store's header, open to every change. */
export interface HeaderJson {
  __metadata__: Record<string, unknown>;
  [tensor: string]: unknown;
}

interface Tensor {
  dtype: string;
  shape: number[];
  data_offsets: number[];
}

/** One kind of broken store, made from a sound one of three images. */
export interface HostileStore {
  readonly title: string;
  readonly make: (sound: Buffer) => Buffer;
}

export function dataStartOf(store: Buffer): number {
  return 8 + Number(store.readBigUInt64LE());
}

export function headerOf(store: Buffer): HeaderJson {
  return JSON.parse(store.toString('utf8', 8, dataStartOf(store))) as HeaderJson;
}

export function tensorOf(store: Buffer, name: string): Tensor {
  return headerOf(store)[name] as Tensor;
}

/** Where a tensor begins in the file. */
export function placeOf(store: Buffer, name: string): number {
  return dataStartOf(store) + tensorOf(store, name).data_offsets[0]!;
}

/** The store with another header text of the same length, its checksum made right again. */
export function withHeaderText(store: Buffer, json: string): Buffer {
  const copy = Buffer.from(store);
  const dataStart = dataStartOf(store);
  copy.fill(' ', 8, dataStart);
  copy.write(json, 8, 'utf8');
  const crc = headerCrc(copy.subarray(0, dataStart));
  const at = copy.indexOf('"header_crc32":"', 8, 'latin1');
  if (crc !== undefined && at > 0 && at < dataStart) copy.write(crc, at + 16, 'latin1');
  return copy;
}

function withHeader(change: (header: HeaderJson) => void): (store: Buffer) => Buffer {
  return store => {
    const header = headerOf(store);
    change(header);
    return withHeaderText(store, JSON.stringify(header));
  };
}

function withMetadata(key: string, value: unknown): (store: Buffer) => Buffer {
  return withHeader(header => {
    if (value === undefined) Reflect.deleteProperty(header.__metadata__, key);
    else header.__metadata__[key] = value;
  });
}

function withTensor(name: string, change: (tensor: Tensor) => void): (store: Buffer) => Buffer {
  return withHeader(header => change(header[name] as Tensor));
}

function withText(from: string | RegExp, to: string): (store: Buffer) => Buffer {
  return store => {
    const text = store.toString('utf8', 8, dataStartOf(store)).trimEnd();
    const changed = text.replace(from, to);
    if (changed === text) throw new Error(`nothing to replace: ${String(from)}`);
    return withHeaderText(store, changed);
  };
}

/** The same without the checksum made right. */
function withRawText(from: string, to: string): (store: Buffer) => Buffer {
  return store => {
    const copy = Buffer.from(store);
    copy.write(to, copy.indexOf(from), 'latin1');
    return copy;
  };
}

function withLength(length: bigint): (store: Buffer) => Buffer {
  return store => {
    const copy = Buffer.from(store);
    copy.writeBigUInt64LE(length);
    return copy;
  };
}

/** Flips one bit of a tensor. */
export function flipAt(name: string, byte: number): (store: Buffer) => Buffer {
  return store => {
    const copy = Buffer.from(store);
    copy[placeOf(store, name) + byte]! ^= 4;
    return copy;
  };
}

/** A whole safetensors file of another kind. */
export function foreign(header: object, data = Buffer.alloc(0)): Buffer {
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, data]);
}

function swapRows(store: Buffer): Buffer {
  const copy = Buffer.from(store);
  for (const name of Object.keys(headerOf(store))) {
    if (name === '__metadata__') continue;
    const { data_offsets: offsets, shape } = tensorOf(store, name);
    const bytes = (offsets[1]! - offsets[0]!) / shape[0]!;
    const at = placeOf(store, name);
    store.copy(copy, at, at + bytes, at + 2 * bytes);
    store.copy(copy, at + bytes, at, at + bytes);
  }
  return copy;
}

/** The first image's features where the second's should be, checksums as they were. */
function swapFeatures(store: Buffer): Buffer {
  const copy = Buffer.from(store);
  const at = placeOf(store, 'features');
  const bytes = 36 * 2048 * 4;
  store.copy(copy, at, at + bytes, at + 2 * bytes);
  store.copy(copy, at + bytes, at, at + bytes);
  return copy;
}

function sameId(store: Buffer): Buffer {
  const copy = Buffer.from(store);
  const at = placeOf(store, 'img_id');
  const width = tensorOf(store, 'img_id').shape[1]!;
  store.copy(copy, at + width, at, at + width);
  return copy;
}

function withoutId(store: Buffer): Buffer {
  const copy = Buffer.from(store);
  const at = placeOf(store, 'img_id');
  return copy.fill(0, at, at + tensorOf(store, 'img_id').shape[1]!);
}

/** Another tool: the same tensors behind a header of its own, in another order and without padding. */
export function rewritten(store: Buffer): Buffer {
  const header = headerOf(store);
  const names = Object.keys(header)
    .filter(name => name !== '__metadata__')
    .sort();
  const next: Record<string, unknown> = { __metadata__: header.__metadata__ };
  const data: Buffer[] = [];
  let at = 0;
  for (const name of names) {
    const tensor = tensorOf(store, name);
    const begin = placeOf(store, name);
    const bytes = store.subarray(begin, begin + tensor.data_offsets[1]! - tensor.data_offsets[0]!);
    next[name] = { ...tensor, data_offsets: [at, at + bytes.length] };
    data.push(bytes);
    at += bytes.length;
  }
  return foreign(next, Buffer.concat(data));
}

const nested = `{"a":${'['.repeat(15_000)}${']'.repeat(15_000)}}`;

export const HOSTILE_STORES: readonly HostileStore[] = [
  { title: 'an empty file', make: () => Buffer.alloc(0) },
  { title: 'seven bytes', make: store => store.subarray(0, 7) },
  { title: 'the header length only', make: store => store.subarray(0, 8) },
  { title: 'cut inside the header', make: store => store.subarray(0, 500) },
  { title: 'cut at the end of the header', make: store => store.subarray(0, dataStartOf(store)) },
  { title: 'cut inside the features', make: store => store.subarray(0, dataStartOf(store) + 300_000) },
  { title: 'cut before img_id', make: store => store.subarray(0, placeOf(store, 'img_id')) },
  { title: 'cut by one byte', make: store => store.subarray(0, -1) },
  { title: 'one byte more', make: store => Buffer.concat([store, Buffer.alloc(1)]) },
  { title: 'twice the same store', make: store => Buffer.concat([store, store]) },
  { title: 'reserved space without content', make: store => Buffer.alloc(store.length) },
  {
    title: 'a crash before the header was written',
    make: store => Buffer.from(store).fill(0, 0, dataStartOf(store)),
  },
  {
    title: 'a crash before the features were written',
    make: store => Buffer.from(store).fill(0, dataStartOf(store), placeOf(store, 'objects_id')),
  },
  {
    title: 'a crash before the small tensors were written',
    make: store => Buffer.from(store).fill(0, placeOf(store, 'objects_id')),
  },
  { title: 'a header length of 0', make: withLength(0n) },
  { title: 'a header length of 2 ** 63', make: withLength(2n ** 63n) },
  { title: 'a header longer than the file', make: store => withLength(BigInt(store.length))(store) },
  {
    title: 'a header longer than the limit',
    make: store => Buffer.concat([withLength(1_048_577n)(store), Buffer.alloc(1_000_000)]),
  },
  { title: 'a header one byte too short', make: store => withLength(BigInt(dataStartOf(store) - 9))(store) },
  { title: 'a TSV', make: () => Buffer.from('COCO_val2014_000000000042\t480\t640\n') },
  { title: 'a zip archive', make: () => Buffer.from('504b0304140000000800', 'hex') },
  { title: 'a header that is an array', make: store => withHeaderText(store, '["features"]') },
  { title: 'a header that is not JSON', make: withText(/^\{/, '{"') },
  { title: 'a header that begins with a blank', make: withText(/^\{/, ' {') },
  {
    title: 'a header that is not UTF-8',
    make: store => {
      const copy = Buffer.from(store);
      copy[20] = 0xff;
      return copy;
    },
  },
  { title: 'brackets 15,000 deep', make: store => withHeaderText(store, nested) },
  {
    title: 'a tensor twice',
    make: withText('"boxes":{', '"img_id":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"boxes":{'),
  },
  { title: 'a tensor twice, once in escapes', make: withText('"boxes":{', '"boxe\\u0073":{},"boxes":{') },
  { title: 'metadata twice', make: withText('"boxes":{', '"__metadata__":{},"boxes":{') },
  { title: 'a metadata key twice', make: withText('"rows":"3"', '"rows":"3","rows":"3"') },
  {
    title: 'a foreign safetensors file',
    make: () => foreign({ weight: { dtype: 'F32', shape: [1], data_offsets: [0, 4] } }, Buffer.alloc(4)),
  },
  {
    title: 'a foreign safetensors file with metadata',
    make: () =>
      foreign(
        { __metadata__: { format: 'pt' }, weight: { dtype: 'F32', shape: [1], data_offsets: [0, 4] } },
        Buffer.alloc(4),
      ),
  },
  {
    title: 'no tensors',
    make: withHeader(header => {
      for (const name of Object.keys(header))
        if (name !== '__metadata__') Reflect.deleteProperty(header, name);
    }),
  },
  {
    title: 'metadata that is a list',
    make: withHeader(header => void Object.assign(header, { __metadata__: ['format'] })),
  },
  {
    title: 'metadata that is text',
    make: withHeader(header => void Object.assign(header, { __metadata__: 'format' })),
  },
  { title: 'a number among the metadata', make: withMetadata('rows', 3) },
  { title: 'another format', make: withMetadata('format', 'lxmert-data/other') },
  { title: 'a newer version', make: withMetadata('format_version', '2') },
  { title: 'a version that is no number', make: withMetadata('format_version', '0x1') },
  { title: 'no version', make: withMetadata('format_version', undefined) },
  { title: 'no rows', make: withMetadata('rows', '0') },
  { title: 'minus three rows', make: withMetadata('rows', '-3') },
  { title: 'three rows and a half', make: withMetadata('rows', '3.5') },
  { title: 'more rows than there are', make: withMetadata('rows', '4') },
  { title: 'more rows than numbers can count', make: withMetadata('rows', '99999999999999999999') },
  { title: 'an unknown dtype', make: withMetadata('dtype', 'f64') },
  { title: 'another dtype than the tensor has', make: withMetadata('dtype', 'f16') },
  { title: 'columns that are not JSON', make: withMetadata('columns', 'img_id') },
  { title: 'columns in another order', make: withMetadata('columns', '["img_id","img_w","img_h"]') },
  {
    title: 'six columns where there are ten',
    make: withMetadata('columns', '["image_id","image_w","image_h","num_boxes","boxes","features"]'),
  },
  { title: 'no features', make: withHeader(header => Reflect.deleteProperty(header, 'features')) },
  {
    title: 'an unknown tensor',
    make: withHeader(
      header => void Object.assign(header, { extra: { dtype: 'U8', shape: [0], data_offsets: [0, 0] } }),
    ),
  },
  { title: 'a tensor named __proto__', make: withText('"boxes":{', '"__proto__":{},"boxes":{') },
  {
    title: 'features of 10 boxes',
    make: withTensor('features', tensor => void (tensor.shape = [3, 10, 2048])),
  },
  {
    title: 'features without rows',
    make: withTensor('features', tensor => void (tensor.shape = [36, 2048])),
  },
  { title: 'boxes in f64', make: withTensor('boxes', tensor => void (tensor.dtype = 'F64')) },
  {
    title: 'a shape that is text',
    make: withTensor('boxes', tensor => void Object.assign(tensor, { shape: '3' })),
  },
  { title: 'a negative extent', make: withTensor('boxes', tensor => void (tensor.shape = [-3, 36, 4])) },
  { title: 'a tensor that is null', make: withHeader(header => void (header['boxes'] = null)) },
  { title: 'three offsets', make: withTensor('boxes', tensor => void tensor.data_offsets.push(0)) },
  { title: 'a negative offset', make: withTensor('features', tensor => void (tensor.data_offsets[0] = -1)) },
  {
    title: 'offsets the wrong way round',
    make: withTensor('crc32', tensor => void tensor.data_offsets.reverse()),
  },
  {
    title: 'an offset that is no integer',
    make: withTensor('crc32', tensor => void (tensor.data_offsets[0]! += 0.5)),
  },
  {
    title: 'an offset of 2 ** 60',
    make: withTensor('crc32', tensor => void (tensor.data_offsets[1] = 2 ** 60)),
  },
  {
    title: 'a tensor shorter than its shape',
    make: withTensor('crc32', tensor => void (tensor.data_offsets[1]! -= 4)),
  },
  {
    title: 'two tensors in one place',
    make: withHeader(
      header =>
        void ((header['attrs_id'] as Tensor).data_offsets = (header['objects_id'] as Tensor).data_offsets),
    ),
  },
  {
    title: 'a hole',
    make: withHeader(header => {
      for (const tensor of Object.values(header).slice(2) as Tensor[])
        tensor.data_offsets = tensor.data_offsets.map(at => at + 8);
    }),
  },
  {
    title: 'a source_form beyond the limit',
    make: withHeader(
      header =>
        void Object.assign(header, {
          source_form: { dtype: 'U8', shape: [400_000_001], data_offsets: [0, 400_000_001] },
        }),
    ),
  },
  { title: 'ids of no width', make: withTensor('img_id', tensor => void (tensor.shape[1] = 0)) },
  { title: 'ids of 256 bytes', make: withTensor('img_id', tensor => void (tensor.shape[1] = 256)) },
  { title: 'a header without its checksum', make: withMetadata('header_crc32', undefined) },
  {
    title: 'a header with a wrong checksum',
    make: store => {
      const copy = Buffer.from(store);
      const at = copy.indexOf('"header_crc32":"') + 16;
      copy.write('0000beef', at, 'latin1');
      return copy;
    },
  },
  { title: 'a detector that is not JSON', make: withMetadata('detector', '{') },
  { title: 'a table without its checksum', make: withMetadata('crc32_table', undefined) },
  { title: 'a changed source in the header', make: withRawText('rows.tsv', 'rowz.tsv') },
  { title: 'a header that another tool wrote', make: rewritten },
  { title: 'a flipped bit in the features of the second image', make: flipAt('features', 300_000) },
  { title: 'a flipped bit in objects_id', make: flipAt('objects_id', 5) },
  { title: 'a flipped bit in attrs_id', make: flipAt('attrs_id', 700) },
  { title: 'a flipped bit in boxes', make: flipAt('boxes', 600) },
  { title: 'a flipped bit in objects_conf', make: flipAt('objects_conf', 0) },
  { title: 'a flipped bit in attrs_conf', make: flipAt('attrs_conf', 431) },
  { title: 'a flipped bit in image_size', make: flipAt('image_size', 17) },
  { title: 'a flipped bit in crc32', make: flipAt('crc32', 4) },
  { title: 'a flipped bit in img_id', make: flipAt('img_id', 21) },
  { title: 'a flipped bit in the padding of img_id', make: flipAt('img_id', 65) },
  { title: 'two images exchanged', make: swapRows },
  { title: 'the features of two images exchanged', make: swapFeatures },
  { title: 'the same id twice', make: sameId },
  { title: 'an image without id', make: withoutId },
];
