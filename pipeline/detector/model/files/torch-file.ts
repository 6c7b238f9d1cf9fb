import type { RandomAccess } from '../../../inputs/random-access.ts';
import type { ZipArchive } from '../../../inputs/zip-archive.ts';
import { type FileTensor, gatherValues } from './file-tensor.ts';
import { readPickle } from './pickle.ts';
import { PickleFault } from './pickle-globals.ts';
import {
  isKind,
  type PickleDict,
  type PickleValue,
  type TorchStorage,
  type TorchTensor,
} from './pickle-values.ts';

/** Sizes of the numbers of a storage, by its type's name in a pickle. */
const ITEM_BYTES: Readonly<Record<string, number>> = {
  'torch FloatStorage': 4,
  'torch DoubleStorage': 8,
  'torch HalfStorage': 2,
  'torch BFloat16Storage': 2,
  'torch LongStorage': 8,
  'torch IntStorage': 4,
  'torch ShortStorage': 2,
  'torch CharStorage': 1,
  'torch ByteStorage': 1,
  'torch BoolStorage': 1,
};
const MAX_PICKLE_BYTES = 64 << 20;
const MAX_STORAGE_BYTES = 1 << 30;
const PROTOCOL = 1001;
/** Magic number, protocol, system: the pickles before the object. */
const HEAD_PICKLES = 3;

/** A pickle's object, and how the storages that its tensors name are read. */
export interface TorchFile {
  readonly object: PickleValue;
  readonly readTensor: (tensor: TorchTensor) => FileTensor;
}

type ReadStorage = (storage: TorchStorage) => Promise<Buffer>;

/** The form of PyTorch 1.6 and newer: a zip with `NAME/data.pkl` and a member for each storage. */
export async function readTorchZip(
  archive: ZipArchive,
  openBuffer: (bytes: Buffer) => RandomAccess,
): Promise<TorchFile> {
  const pickle = archive.entries.find(({ path }) => /^[^/]+\/data\.pkl$/.test(path));
  if (pickle === undefined) throw new PickleFault('a zip without data.pkl');
  const folder = pickle.path.slice(0, -'data.pkl'.length);
  const entries = new Map(archive.entries.map(entry => [entry.path, entry]));
  const order = entries.get(`${folder}byteorder`);
  if (order !== undefined && (await archive.read(order, 64)).toString('latin1').trim() !== 'little')
    throw new PickleFault('numbers of a big-endian machine');
  const { value } = await readPickle(openBuffer(await archive.read(pickle, MAX_PICKLE_BYTES)), 0);
  return torchFile(value, async ({ key }) => {
    const entry = entries.get(`${folder}data/${key}`);
    if (entry === undefined) throw new PickleFault(`no member data/${key}, which a tensor needs`);
    return await archive.read(entry, MAX_STORAGE_BYTES);
  });
}

/** The older form: five pickles, then the storages one after the other, each a count and its numbers. */
export async function readLegacyTorch(access: RandomAccess): Promise<TorchFile> {
  const head: PickleValue[] = [];
  let at = 0;
  for (let index = 0; index < HEAD_PICKLES; index++) {
    const { value, end } = await readPickle(access, at);
    head.push(value);
    at = end;
  }
  const [, protocol, system] = head;
  if (protocol !== PROTOCOL) throw new PickleFault(`another protocol of PyTorch than ${PROTOCOL}`);
  if (isKind(system, 'dict') && system.entries.get('little_endian') === false)
    throw new PickleFault('numbers of a big-endian machine');
  const object = await readPickle(access, at);
  const keys = await readPickle(access, object.end);
  if (!Array.isArray(keys.value)) throw new PickleFault('no list of its storages');
  const storages = collectStorages(object.value);
  const spans = new Map<string, { begin: number; length: number }>();
  at = keys.end;
  for (const key of keys.value) {
    const storage = typeof key === 'string' ? storages.get(key) : undefined;
    if (storage === undefined) throw new PickleFault('a storage that no tensor has');
    const count = Buffer.alloc(8);
    await access.read(count, at);
    const length = storage.count * itemBytes(storage);
    if (Number(count.readBigInt64LE()) !== storage.count || at + 8 + length > access.size)
      throw new PickleFault(`storage ${storage.key} is damaged, or the file is cut off`);
    spans.set(storage.key, { begin: at + 8, length });
    at += 8 + length;
  }
  return torchFile(object.value, async ({ key }) => {
    const span = spans.get(key);
    if (span === undefined) throw new PickleFault(`no storage ${key}, which a tensor needs`);
    const bytes = Buffer.allocUnsafeSlow(span.length);
    await access.read(bytes, span.begin);
    return bytes;
  });
}

function torchFile(object: PickleValue, readStorage: ReadStorage): TorchFile {
  return {
    object,
    readTensor: tensor => ({
      type: { 4: 'float32', 8: 'float64' }[floatBytes(tensor.storage)] ?? tensor.storage.type,
      shape: tensor.shape,
      read: async () => {
        const bytes = await readStorage(tensor.storage);
        const expected = tensor.storage.count * itemBytes(tensor.storage);
        if (bytes.length !== expected)
          throw new PickleFault(`storage ${tensor.storage.key} has ${bytes.length} bytes, not ${expected}`);
        return gatherValues(bytes, floatBytes(tensor.storage) === 8 ? 'float64' : 'float32', tensor);
      },
    }),
  };
}

/** 4 or 8 for float32 and float64; 0 for all other types. */
function floatBytes({ type }: TorchStorage): number {
  return { 'torch FloatStorage': 4, 'torch DoubleStorage': 8 }[type] ?? 0;
}

function itemBytes({ type }: TorchStorage): number {
  const bytes = ITEM_BYTES[type];
  if (bytes === undefined) throw new PickleFault(`a storage of the unknown type ${type}`);
  return bytes;
}

/** Storages by key. Walks each container once, however often it is mentioned. */
function collectStorages(object: PickleValue): Map<string, TorchStorage> {
  const found = new Map<string, TorchStorage>();
  const seen = new Set<PickleDict>();
  const waiting: PickleValue[] = [object];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (isKind(value, 'tensor')) found.set(value.storage.key, value.storage);
    else if (isKind(value, 'dict') && !seen.has(value)) {
      seen.add(value);
      for (const entry of value.entries.values()) waiting.push(entry);
    }
  }
  return found;
}
