import { listSome } from '../../show-text.ts';
import { basename } from 'node:path';
import { errorText, LxmertDataError } from '../../errors.ts';
import { blobOf, type DetectorKeys, fitsPattern, type LayoutTensor } from './detector-keys.ts';
import type { FileTensor, TensorFile } from './files/file-tensor.ts';
import { applySteps } from './layout-steps.ts';
import { listBlobs } from './network.ts';

export type Boxes = '36' | '10-100' | 'undecided';

/** Weights as Caffe's blobs, whatever the file calls them. */
export interface PortedWeights {
  /** Name of the layout in `detector-keys.json`, or `caffe` for names of the caffemodel. */
  readonly layout: string;
  readonly read: (blob: string) => Promise<Float32Array>;
}

/** Name in the file, its shape there, and what becomes of it. */
type Expected = LayoutTensor;

const HINT = 'give the weights of the 36-box detector: docs/extract.md lists the files that hold them';

/**
 * Finds every blob of the detector in a file's tensors.
 *
 * @throws LxmertDataError ERR_INPUT naming another network, and missing, extra or mis-shaped tensors
 */
export function portWeights(tensors: TensorFile, keys: DetectorKeys, path: string): PortedWeights {
  const found = withOneSpelling(tensors, keys);
  const names = [...found.keys()];
  const [layout, expected] = chooseLayout(names, keys, path);
  const missing = expected.filter(({ key }) => !found.has(key)).map(({ key }) => key);
  const wanted = new Set(expected.map(({ key }) => key));
  const extra = names.filter(
    name => !wanted.has(name) && !keys.ignored.some(pattern => fitsPattern(name, pattern)),
  );
  if (missing.length > 0 || extra.length > 0) throw wrongKeys(path, layout, missing, extra);
  const wrong = expected.find(({ key, shape }) => !fits(found.get(key)!, shape));
  if (wrong !== undefined) throw wrongShape(path, wrong, found.get(wrong.key)!);
  const byBlob = new Map(expected.map(entry => [entry.blob, entry]));
  const factors = new Set(keys.convolutions.map(entry => blobOf(entry, keys.batch_norm_factor.blob)));
  return {
    layout,
    async read(blob) {
      const entry = byBlob.get(blob);
      if (entry !== undefined) return await readTensor(path, found.get(entry.key)!, entry);
      if (factors.has(blob)) return Float32Array.of(keys.batch_norm_factor.value);
      throw new RangeError(`no blob ${blob} in this network`);
    },
  };
}

/** What the name of a file says of the model in it; weak evidence, but all there is before the known answer. */
export function boxesByName(path: string, keys: DetectorKeys): Boxes {
  const name = basename(path);
  return Object.hasOwn(keys.files, name) ? keys.files[name]!.boxes : 'undecided';
}

function withOneSpelling(tensors: TensorFile, { spellings }: DetectorKeys): Map<string, FileTensor> {
  return new Map(
    [...tensors].map(([name, tensor]) => {
      const spelling = spellings.find(([other]) => name.endsWith(other));
      return [
        spelling === undefined ? name : name.slice(0, -spelling[0].length) + spelling[1],
        tensor,
      ] as const;
    }),
  );
}

function chooseLayout(
  names: readonly string[],
  keys: DetectorKeys,
  path: string,
): readonly [string, readonly Expected[]] {
  const other = keys.other_networks.find(({ key }) => names.some(name => fitsPattern(name, key)));
  if (other !== undefined) {
    throw new LxmertDataError('ERR_INPUT', {
      what: `these are the weights of ${other.name}`,
      where: path,
      expected: "the 36-box detector of LXMERT's features",
      hint: HINT,
    });
  }
  if (names.includes('conv1/0'))
    return ['caffe', [...listBlobs()].map(([blob, shape]) => ({ blob, key: blob, shape: [...shape] }))];
  const layout = Object.entries(keys.layouts).find(([, { recognised_by: key }]) => names.includes(key));
  if (layout !== undefined) return [layout[0], [...listConvolutionTensors(keys), ...layout[1].tensors]];
  const isWithoutAttributes = names.includes('proposal_generator.rpn_head.conv.weight');
  throw new LxmertDataError('ERR_INPUT', {
    what: isWithoutAttributes
      ? 'these weights have no attribute layers, which the features need'
      : 'these are not weights of this detector in any known layout',
    where: path,
    expected: Object.entries(keys.layouts)
      .map(([name, { recognised_by: key }]) => `${key} (${name})`)
      .join(' or '),
    got: `${names.length} tensors: ${listSome(names)}`,
    hint: HINT,
  });
}

function listConvolutionTensors(keys: DetectorKeys): Expected[] {
  const shapes = listBlobs();
  return keys.convolutions.flatMap(entry =>
    Object.entries(keys.convolution).map(([place, suffix]) => {
      const blob = blobOf(entry, place);
      return { blob, key: `${entry.key}.${suffix}`, shape: [...shapes.get(blob)!] };
    }),
  );
}

function fits({ type, shape }: FileTensor, expected: readonly number[]): boolean {
  return (type === 'float32' || type === 'float64') && shape.join() === expected.join();
}

async function readTensor(
  path: string,
  tensor: FileTensor,
  { key, shape, steps }: Expected,
): Promise<Float32Array> {
  let values: Float32Array;
  try {
    values = await tensor.read();
  } catch (error) {
    throw new LxmertDataError('ERR_INPUT', {
      what: `the tensor ${key} cannot be read`,
      where: path,
      got: errorText(error),
      hint: 'fetch the file again',
      cause: error,
    });
  }
  if (!values.every(Number.isFinite)) {
    const what = `the tensor ${key} holds values that are not finite`;
    throw new LxmertDataError('ERR_INPUT', { what, where: path });
  }
  return applySteps(values, shape[0]!, steps);
}

function wrongKeys(
  path: string,
  layout: string,
  missing: readonly string[],
  extra: readonly string[],
): LxmertDataError {
  const parts = [
    ...(missing.length > 0 ? [`${missing.length} missing: ${listSome(missing)}`] : []),
    ...(extra.length > 0 ? [`${extra.length} that it does not have: ${listSome(extra)}`] : []),
  ];
  return new LxmertDataError('ERR_INPUT', {
    what: "the file's tensors are not those of this detector",
    where: path,
    expected: `the tensors of the layout "${layout}"`,
    got: parts.join('; '),
    hint: HINT,
  });
}

function wrongShape(path: string, { key, shape }: Expected, tensor: FileTensor): LxmertDataError {
  return new LxmertDataError('ERR_INPUT', {
    what: `the tensor ${key} has another shape or type than this detector's`,
    where: path,
    expected: `float32 [${shape.join(', ')}]`,
    got: `${tensor.type} [${tensor.shape.join(', ')}]`,
    hint: HINT,
  });
}
