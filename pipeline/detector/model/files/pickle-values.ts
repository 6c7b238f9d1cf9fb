/* What a pickle of weights can hold: numbers, text, containers, and the few objects that its allowed globals make. */

/** Bytes of a pickle: small ones in memory, large ones left in the file. */
export interface PickleBytes {
  readonly kind: 'bytes';
  readonly offset: number;
  readonly length: number;
  /** How they are written: as they are, or as text of one character a byte (protocol 2). */
  readonly form: 'raw' | 'latin1-text';
  readonly small?: Buffer;
}

/** Text of a megabyte or more, left in the file until something says what it is. */
export interface LongText {
  readonly kind: 'long-text';
  readonly offset: number;
  readonly length: number;
}

export interface PickleTuple {
  readonly kind: 'tuple';
  readonly items: readonly PickleValue[];
}

export interface PickleDict {
  readonly kind: 'dict';
  readonly entries: Map<string | number, PickleValue>;
}

/** A name of the closed list. */
export interface PickleGlobal {
  readonly kind: 'global';
  readonly name: string;
}

export interface TorchStorage {
  readonly kind: 'storage';
  readonly type: string;
  readonly key: string;
  readonly count: number;
}

export interface TorchTensor {
  readonly kind: 'tensor';
  readonly storage: TorchStorage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

export interface NumpyDtype {
  readonly kind: 'dtype';
  readonly code: string;
  order: string;
}

export interface NumpyArray {
  readonly kind: 'array';
  shape: readonly number[];
  dtype: NumpyDtype | undefined;
  isFortran: boolean;
  bytes: PickleBytes | undefined;
}

/** A value that weights do not need, such as a number of NumPy's. */
export interface PickleOther {
  readonly kind: 'other';
}

export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | PickleValue[]
  | PickleBytes
  | LongText
  | PickleTuple
  | PickleDict
  | PickleGlobal
  | TorchStorage
  | TorchTensor
  | NumpyDtype
  | NumpyArray
  | PickleOther;

type Kind = Exclude<PickleValue, null | boolean | number | bigint | string | PickleValue[]>['kind'];

/** Whether a value is an object of a kind. */
export function isKind<K extends Kind>(
  value: PickleValue | undefined,
  kind: K,
): value is Extract<PickleValue, { readonly kind: K }> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && value.kind === kind;
}

/** What a value is, for messages. */
export function nameValue(value: PickleValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'None';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return value.kind === 'global' ? value.name : `a ${value.kind}`;
  return typeof value;
}
