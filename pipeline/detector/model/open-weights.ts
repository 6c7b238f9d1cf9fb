import { digestFile } from '../../files/digest.ts';
import { errorText, LxmertDataError } from '../../errors.ts';
import { openRegular } from '../../files/open-checked.ts';
import { openRandomAccess, type RandomAccess } from '../../inputs/random-access.ts';
import { openZipArchive } from '../../inputs/zip-archive.ts';
import { openCaffemodel } from './caffemodel.ts';
import { loadDetectorKeys } from './detector-keys.ts';
import type { FileTensor, TensorFile } from './files/file-tensor.ts';
import { readNumpyArray } from './files/numpy-array.ts';
import { readPickle } from './files/pickle.ts';
import { PickleFault } from './files/pickle-globals.ts';
import { isKind, nameValue, type PickleValue, type TorchTensor } from './files/pickle-values.ts';
import { looksLikeSafetensors, readSafetensors } from './files/safetensors-file.ts';
import { readLegacyTorch, readTorchZip } from './files/torch-file.ts';
import { boxesByName, type Boxes, portWeights } from './port-weights.ts';
import type { Weights } from './weights.ts';

const HEAD_BYTES = 64;
const TORCH_NUMBER = Buffer.from('8a0a6cfc9c46f9206aa85019', 'hex');
const MAX_DEPTH = 3;

export type WeightsForm = 'caffemodel' | 'torch-zip' | 'torch' | 'pickle' | 'safetensors';

/** Weights and what is known of their origin before an image is computed. */
export interface OpenedWeights extends Weights {
  readonly form: WeightsForm;
  readonly layout: string;
  /** Which of the two published models it is, as far as names tell. */
  readonly boxes: Boxes;
}

/**
 * Opens the detector's weights in any of the forms in which they were published: a caffemodel, PyTorch's zip or older
 * form, a pickle of NumPy arrays, or safetensors. No code of a pickle runs, and tensors are read one at a time.
 *
 * @throws LxmertDataError ERR_INPUT for files that are damaged, hold something else, or belong to another network
 */
export async function openWeights(path: string): Promise<OpenedWeights> {
  const form = await recogniseForm(path);
  const keys = await loadDetectorKeys();
  const boxes = boxesByName(path, keys);
  if (boxes === '10-100') {
    throw new LxmertDataError('ERR_INPUT', {
      what: 'by its name this is the 10-100-box detector',
      where: path,
      expected: "the 36-box detector of LXMERT's features",
      hint: 'take the file of the 36-box detector; a file that only has this name can be renamed',
    });
  }
  if (form === 'caffemodel') return { ...(await openCaffemodel(path)), form, layout: 'caffe', boxes: '36' };
  const { tensors, close } = await openTensors(path, form);
  try {
    const { layout, read } = portWeights(tensors, keys, path);
    return { id: (await digestFile(path)).sha256, form, layout, boxes, read, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Whether a file holds all weights of this detector in a known form. Throws ERR_INPUT as openWeights does. */
export async function checkDetectorWeights(path: string): Promise<void> {
  await (await openWeights(path)).close();
}

async function recogniseForm(path: string): Promise<WeightsForm> {
  let head: Buffer;
  let size: number;
  try {
    const file = await openRegular(path);
    try {
      const read = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
      head = read.buffer.subarray(0, read.bytesRead);
      ({ size } = await file.stat());
    } finally {
      await file.close();
    }
  } catch {
    // The reader of caffemodels says what is wrong with the file.
    return 'caffemodel';
  }
  if (head.toString('latin1', 0, 4) === 'PK\u0003\u0004') return 'torch-zip';
  if (looksLikeSafetensors(head, size)) return 'safetensors';
  if (head[0] !== 0x80 || (head[1] ?? 0) > 5) return 'caffemodel';
  return head.includes(TORCH_NUMBER) ? 'torch' : 'pickle';
}

interface OpenTensors {
  readonly tensors: TensorFile;
  readonly close: () => Promise<void>;
}

async function openTensors(path: string, form: Exclude<WeightsForm, 'caffemodel'>): Promise<OpenTensors> {
  const { containers } = await loadDetectorKeys();
  const source = form === 'torch-zip' ? await openZipArchive(path) : await openRandomAccess([path]);
  try {
    const tensors =
      'entries' in source
        ? readTorch(await readTorchZip(source, bufferAccess), containers)
        : await readTensors(source, form, containers);
    return { tensors, close: () => source.close() };
  } catch (error) {
    await source.close();
    if (error instanceof LxmertDataError) throw error;
    throw new LxmertDataError('ERR_INPUT', {
      what: `this is not a file of weights that can be read (${NAMES[form]})`,
      where: path,
      got: errorText(error),
      hint: 'give a file that holds tensors only, from a publisher that you trust',
      cause: error,
    });
  }
}

const NAMES: Readonly<Record<WeightsForm, string>> = {
  caffemodel: 'caffemodel',
  'torch-zip': "PyTorch's zip",
  torch: "PyTorch's older form",
  pickle: 'a pickle of NumPy arrays',
  safetensors: 'safetensors',
};

async function readTensors(
  access: RandomAccess,
  form: WeightsForm,
  containers: readonly string[],
): Promise<TensorFile> {
  if (form === 'safetensors') return await readSafetensors(access);
  if (form === 'torch') return readTorch(await readLegacyTorch(access), containers);
  const { value } = await readPickle(access, 0);
  return collectTensors(value, containers, entry =>
    isKind(entry, 'array') ? readNumpyArray(entry, access) : undefined,
  );
}

function readTorch(
  { object, readTensor }: { object: PickleValue; readTensor: (tensor: TorchTensor) => FileTensor },
  containers: readonly string[],
): TensorFile {
  return collectTensors(object, containers, entry =>
    isKind(entry, 'tensor') ? readTensor(entry) : undefined,
  );
}

/** Tensors of the dictionary of weights, which may lie in another one under a known key. */
function collectTensors(
  object: PickleValue,
  containers: readonly string[],
  read: (entry: PickleValue) => FileTensor | undefined,
): TensorFile {
  let dict = object;
  for (let depth = 0; depth < MAX_DEPTH && isKind(dict, 'dict'); depth++) {
    const { entries }: { entries: Map<string | number, PickleValue> } = dict;
    const inner = containers.map(key => entries.get(key)).find(entry => isKind(entry, 'dict'));
    if (inner === undefined) break;
    dict = inner;
  }
  if (!isKind(dict, 'dict')) throw new PickleFault(`it holds ${nameValue(dict)}, not tensors by name`);
  const tensors = new Map<string, FileTensor>();
  for (const [name, entry] of dict.entries) {
    const tensor = read(entry);
    if (tensor !== undefined) tensors.set(String(name), tensor);
  }
  return tensors;
}

function bufferAccess(bytes: Buffer): RandomAccess {
  return {
    label: 'data.pkl',
    size: bytes.length,
    read: (into, position) => Promise.resolve(bytes.copy(into, 0, position)),
    close: () => Promise.resolve(),
  };
}
