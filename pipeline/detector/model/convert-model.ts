import type { FileHandle } from 'node:fs/promises';
import { open, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { isErrno, LxmertDataError } from '../../errors.ts';
import { createPartialFolder, type PartialFolder } from '../../files/atomic.ts';
import { removeStalePartials } from '../../files/partial-names.ts';
import { foldConvolution, orderByTap } from './fold-weights.ts';
import { buildBackboneGraph, buildHeadGraph } from './graphs.ts';
import { BIASED_LAYERS, EMBEDDING_SHAPE, listConvolutions, listStemConvolutions } from './network.ts';
import type { ExternalTensor, WeightTable } from './onnx-model.ts';
import type { Weights } from './weights.ts';
import { makeFolder } from '../../files/make-folder.ts';

/** Goes up when the same weights are converted to other bytes. */
const CONVERTER_VERSION = 1;
const WEIGHTS_FILE = 'weights.bin';
/** onnxruntime maps external data only where it begins on a page. */
const ALIGNMENT = 4096;
const ATTEMPTS = 3;

/** Told how many tensors are written, of how many. */
export type OnConverted = (done: number, total: number) => void;

/** Files of a converted detector. */
export interface ConvertedModel {
  readonly backbone: string;
  readonly head: string;
  /** For graphs of one's own over the same weights; they must lie in the same folder. */
  readonly table: WeightTable;
}

interface ModelRecord {
  readonly version: number;
  readonly weights: string;
  readonly bytes: number;
  readonly crc32: number;
  readonly tensors: [string, ExternalTensor][];
}

/**
 * The ONNX graphs of a detector, in a folder of `cacheDirectory` named after the weights. Made on first use: written
 * under a temporary name and renamed when complete, so that a folder of the final name is whole. A folder whose
 * bytes have changed since is made anew.
 */
export async function convertModel(
  weights: Weights,
  cacheDirectory: string,
  onConverted: OnConverted = () => undefined,
): Promise<ConvertedModel> {
  const folder = join(cacheDirectory, `detector-${weights.id.slice(0, 16)}-v${CONVERTER_VERSION}`);
  const cached = await openConverted(folder, weights.id);
  if (cached !== undefined) return cached;
  // Another process that mends the same damaged folder may take ours away before it has put its own there.
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    await makeFolder(dirname(folder));
    await removeStalePartials(folder);
    const partial = await createPartialFolder(folder, 'model');
    try {
      await writeModel(weights, partial.path, onConverted);
      await putInPlace(partial, folder, weights.id);
    } finally {
      await partial.discard();
    }
    const made = await openConverted(folder, weights.id);
    if (made !== undefined) return made;
  }
  throw new Error(`${folder}: the converted detector reads back differently`);
}

/** Gives the folder its final name, unless another process has put its own, equal one there first. What is damaged makes way. */
async function putInPlace(partial: PartialFolder, folder: string, weightsId: string): Promise<void> {
  if (await publishUnlessTaken(partial)) return;
  if ((await openConverted(folder, weightsId)) !== undefined) return;
  await rm(folder, { recursive: true, force: true });
  await publishUnlessTaken(partial);
}

async function publishUnlessTaken(partial: PartialFolder): Promise<boolean> {
  try {
    await partial.publish();
    return true;
  } catch (error) {
    if (error instanceof LxmertDataError && error.code === 'ERR_OUTPUT_EXISTS') return false;
    throw error;
  }
}

async function writeModel(weights: Weights, folder: string, onConverted: OnConverted): Promise<void> {
  const file = await open(join(folder, WEIGHTS_FILE), 'wx');
  const record = await writeWeights(weights, file, onConverted).finally(() => file.close());
  const table: WeightTable = new Map(record.tensors);
  await writeNew(join(folder, 'backbone.onnx'), buildBackboneGraph(table));
  await writeNew(join(folder, 'head.onnx'), buildHeadGraph(table));
  await writeNew(join(folder, 'model.json'), `${JSON.stringify(record)}\n`);
}

async function writeWeights(
  weights: Weights,
  file: FileHandle,
  onConverted: OnConverted,
): Promise<ModelRecord> {
  const tensors: ModelRecord['tensors'] = [];
  let offset = 0;
  let checksum = 0;
  const append = async (bytes: Uint8Array): Promise<void> => {
    await file.writeFile(bytes);
    checksum = crc32(bytes, checksum);
    offset += bytes.length;
  };
  for await (const { name, shape, values } of listTensors(weights)) {
    await append(new Uint8Array((ALIGNMENT - (offset % ALIGNMENT)) % ALIGNMENT));
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const type = values instanceof Float32Array ? 'float32' : 'float64';
    tensors.push([name, { type, shape, location: WEIGHTS_FILE, offset, length: bytes.length }]);
    await append(bytes);
    onConverted(tensors.length, countTensors());
  }
  return { version: CONVERTER_VERSION, weights: weights.id, bytes: offset, crc32: checksum, tensors };
}

interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array | Float64Array;
}

function countTensors(): number {
  return 2 * (listConvolutions().length + Object.keys(BIASED_LAYERS).length) + 1;
}

async function* listTensors(weights: Weights): AsyncGenerator<NamedTensor> {
  const stem = new Set(listStemConvolutions().map(({ layer }) => layer));
  for (const convolution of listConvolutions()) {
    const { layer, inputs, outputs, kernel } = convolution;
    const { weight, bias } = await foldConvolution(weights, convolution);
    if (stem.has(layer)) {
      const shape = [outputs, kernel * kernel * inputs];
      yield { name: `${layer}.weight`, shape, values: orderByTap(weight, convolution) };
      yield { name: `${layer}.bias`, shape: [outputs, 1], values: bias };
    } else {
      const shape = [outputs, inputs, kernel, kernel];
      yield { name: `${layer}.weight`, shape, values: Float32Array.from(weight) };
      yield { name: `${layer}.bias`, shape: [outputs], values: Float32Array.from(bias) };
    }
  }
  for (const [layer, shape] of Object.entries(BIASED_LAYERS)) {
    yield { name: `${layer}.weight`, shape, values: await weights.read(`${layer}/0`) };
    yield { name: `${layer}.bias`, shape: [shape[0]!], values: await weights.read(`${layer}/1`) };
  }
  yield {
    name: 'cls_embedding.weight',
    shape: EMBEDDING_SHAPE,
    values: await weights.read('cls_embedding/0'),
  };
}

/** The model in `folder`, or undefined if it is missing or its bytes changed. */
async function openConverted(folder: string, id: string): Promise<ConvertedModel | undefined> {
  try {
    const record = JSON.parse(await readFile(join(folder, 'model.json'), 'utf8')) as ModelRecord;
    if (record.version !== CONVERTER_VERSION || record.weights !== id) return undefined;
    const file = await open(join(folder, WEIGHTS_FILE));
    const matches = await hasChecksum(file, record).finally(() => file.close());
    if (!matches) return undefined;
    const table: WeightTable = new Map(record.tensors);
    const model = { backbone: join(folder, 'backbone.onnx'), head: join(folder, 'head.onnx'), table };
    const graphs = [
      [model.backbone, buildBackboneGraph(table)],
      [model.head, buildHeadGraph(table)],
    ] as const;
    for (const [path, bytes] of graphs) if (!(await readFile(path)).equals(bytes)) return undefined;
    return model;
  } catch (error) {
    if (isErrno(error, 'ENOENT') || error instanceof SyntaxError || error instanceof TypeError)
      return undefined;
    throw error;
  }
}

async function hasChecksum(file: FileHandle, { bytes, crc32: expected }: ModelRecord): Promise<boolean> {
  if ((await file.stat()).size !== bytes) return false;
  let checksum = 0;
  const chunks: AsyncIterable<Buffer> = file.createReadStream({ autoClose: false, highWaterMark: 1 << 20 });
  for await (const chunk of chunks) {
    checksum = crc32(chunk, checksum);
  }
  return checksum === expected;
}

async function writeNew(path: string, content: string | Uint8Array): Promise<void> {
  await writeFile(path, content, { flag: 'wx' });
}
