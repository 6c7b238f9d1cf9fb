import {
  isKind,
  nameValue,
  type NumpyArray,
  type PickleBytes,
  type PickleValue,
  type TorchStorage,
} from './pickle-values.ts';

/*
 * The closed list of what a pickle of weights may call, each with what it means here. Nothing else of any module is ever
 * looked up: a pickle that names another one is refused by that name, and no code of the pickle's choice runs.
 */

type Call = (args: readonly PickleValue[]) => PickleValue;

/** A pickle that breaks the rules of its own form. */
export class PickleFault extends Error {}

/** `module name` to what calling it gives; undefined for names that are only mentioned. */
const CALLS: ReadonlyMap<string, Call | undefined> = new Map<string, Call | undefined>([
  ['collections OrderedDict', () => ({ kind: 'dict', entries: new Map() })],
  ['torch._utils _rebuild_tensor_v2', rebuildTensor],
  ['torch._utils _rebuild_parameter', ([tensor]) => (isKind(tensor, 'tensor') ? tensor : refuse(tensor))],
  ...['Float', 'Double', 'Half', 'BFloat16', 'Long', 'Int', 'Short', 'Char', 'Byte', 'Bool'].map(
    type => [`torch ${type}Storage`, undefined] as const,
  ),
  ['numpy ndarray', undefined],
  ['numpy dtype', ([code]) => ({ kind: 'dtype', code: asText(code), order: '|' })],
  ...['numpy.core.multiarray', 'numpy._core.multiarray'].flatMap(module => [
    [`${module} _reconstruct`, (): NumpyArray => emptyArray()] as const,
    [`${module} scalar`, (): PickleValue => ({ kind: 'other' })] as const,
  ]),
  ...['numpy.core.numeric', 'numpy._core.numeric'].map(
    module => [`${module} _frombuffer`, arrayFromBuffer] as const,
  ),
  ['_codecs encode', encodeLatin1],
]);

export function isAllowed(name: string): boolean {
  return CALLS.has(name);
}

export function callGlobal(name: string, args: readonly PickleValue[]): PickleValue {
  const call = CALLS.get(name);
  if (call === undefined) throw new PickleFault(`it calls ${name}, which is not a function`);
  return call(args);
}

/** What BUILD does: sets the state of an object that a call made. */
export function setState(object: PickleValue | undefined, state: PickleValue | undefined): void {
  // Attributes of an OrderedDict, such as the versions of modules: nothing that weights need.
  if (isKind(object, 'dict') && isKind(state, 'dict')) return;
  if (!isKind(state, 'tuple'))
    throw new PickleFault(`it sets the state of ${nameValue(object)} to ${nameValue(state)}`);
  const { items } = state;
  if (isKind(object, 'dtype')) object.order = asText(items[1]);
  else if (isKind(object, 'array')) {
    const [, shape, dtype, isFortran, bytes] = items;
    if (!isKind(dtype, 'dtype')) throw new PickleFault('an array without type');
    object.shape = asShape(shape);
    object.dtype = dtype;
    object.isFortran = isFortran === true;
    // Python 2 writes short bytes as text.
    object.bytes = isKind(bytes, 'bytes') ? bytes : asBytes(asText(bytes));
  } else throw new PickleFault(`it sets the state of ${nameValue(object)}`);
}

/** A persistent id of PyTorch: `('storage', type, key, location, count)`. */
export function loadPersistent(id: PickleValue | undefined): TorchStorage {
  const [tag, type, key, , count] = isKind(id, 'tuple') ? id.items : [];
  if (tag !== 'storage' || !isKind(type, 'global') || typeof key !== 'string' || typeof count !== 'number')
    throw new PickleFault(`a persistent id that is not a storage of PyTorch (${nameValue(id)})`);
  return { kind: 'storage', type: type.name, key, count };
}

function rebuildTensor([storage, offset, shape, strides]: readonly PickleValue[]): PickleValue {
  if (!isKind(storage, 'storage') || typeof offset !== 'number') return refuse(storage);
  const sizes = { shape: asShape(shape), strides: asShape(strides) };
  if (sizes.shape.length !== sizes.strides.length) throw new PickleFault('a tensor with too few strides');
  return { kind: 'tensor', storage, offset, ...sizes };
}

function emptyArray(): NumpyArray {
  return { kind: 'array', shape: [0], dtype: undefined, isFortran: false, bytes: undefined };
}

function arrayFromBuffer([bytes, dtype, shape, order]: readonly PickleValue[]): PickleValue {
  if (!isKind(bytes, 'bytes') || !isKind(dtype, 'dtype')) return refuse(bytes);
  return { ...emptyArray(), shape: asShape(shape), dtype, isFortran: order === 'F', bytes };
}

/** Protocol 2 writes bytes as text of the same code points. */
function encodeLatin1([text, encoding]: readonly PickleValue[]): PickleValue {
  if (encoding !== 'latin1' && encoding !== 'latin-1') return refuse(encoding);
  if (isKind(text, 'long-text')) return { ...text, kind: 'bytes', form: 'latin1-text' };
  return asBytes(asText(text));
}

function asBytes(text: string): PickleBytes {
  const small = Buffer.from(text, 'latin1');
  return { kind: 'bytes', offset: 0, length: small.length, form: 'raw', small };
}

function asText(value: PickleValue | undefined): string {
  return typeof value === 'string' ? value : refuse(value);
}

function asShape(value: PickleValue | undefined): readonly number[] {
  const items = isKind(value, 'tuple') ? value.items : refuse(value);
  return items.map(size =>
    typeof size === 'number' && Number.isSafeInteger(size) && size >= 0 ? size : refuse(size),
  );
}

function refuse(value: PickleValue | undefined): never {
  throw new PickleFault(`an argument that is ${nameValue(value)}`);
}
