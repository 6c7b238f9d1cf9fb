import { errorText } from '../errors.ts';
import { v } from '../schema.ts';
import { findDuplicateKey } from './duplicate-key.ts';

/** `__metadata__` of a store as it stands in the file: strings only, as safetensors demands. */
export type RawMetadata = Readonly<Record<string, string>>;

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** Which detector made the rows. Further keys may name its settings. */
export const detectorSchema = v.looseObject({
  name: v.string(),
  /** sha256 of the weights file; `untrained` for weights made by a formula. */
  weights: v.pipe(v.string(), v.regex(/^(unknown|untrained|[0-9a-f]{64})$/)),
  /** What the known answer said of these weights, where it was asked. */
  known_answer: v.fallback(v.optional(v.picklist(['published', 'different'])), undefined),
  /** Rows whose boxes end exactly where Caffe clips its proposals, of how many. */
  caffe_edge: v.fallback(v.optional(v.tuple([count, count])), undefined),
});

/** One input of a conversion. */
const sourceSchema = v.looseObject({
  name: v.string(),
  size: v.optional(count),
  sha256: v.optional(v.string()),
  rows: v.optional(count),
  rejected: v.optional(count),
});

const conversionSchema = v.looseObject({
  /** Ids that lead the store: how many, and the sha256 of the ids joined with newlines. */
  first: v.fallback(v.optional(v.nullable(v.looseObject({ count, sha256: v.string() }))), undefined),
  skip_bad: v.fallback(v.optional(v.boolean()), undefined),
  /** The rule by which rows were taken and renamed. */
  ids: v.fallback(
    v.optional(v.looseObject({ rule: v.string(), renamed: count, left_out: count })),
    undefined,
  ),
});

export type Detector = v.InferOutput<typeof detectorSchema>;
export type KnownAnswer = NonNullable<Detector['known_answer']>;
export type StoreSource = v.InferOutput<typeof sourceSchema>;
export type Conversion = v.InferOutput<typeof conversionSchema>;

/** Where the rows of a store come from. */
export interface Provenance {
  readonly detector: Detector;
  readonly sources: readonly StoreSource[];
  readonly conversion: Conversion;
  /** Name and version of the writer. */
  readonly tool: string;
}

export const UNKNOWN_DETECTOR: Detector = { name: 'unknown', weights: 'unknown' };

/** Keys of `__metadata__`; all of them are there and no others. */
const KEYS = [
  'format',
  'format_version',
  'rows',
  'dtype',
  'columns',
  'detector',
  'sources',
  'conversion',
  'tool',
  'crc32_table',
  'header_crc32',
] as const;

export type MetadataKey = (typeof KEYS)[number];

type Fail = (what: string, expected?: string, got?: string) => never;

/** Writes provenance as metadata strings. */
export function encodeProvenance(provenance: Provenance): Record<keyof Provenance, string> {
  const { detector, sources, conversion, tool } = provenance;
  return {
    detector: JSON.stringify(detector),
    sources: JSON.stringify(sources),
    conversion: JSON.stringify(conversion),
    tool,
  };
}

/**
 * Checks the keys and JSON values of `__metadata__` as docs/format.md defines them, and reads where the rows come from.
 * Format, version, rows, dtype and columns are checked by the caller.
 */
export function readProvenance(metadata: RawMetadata, fail: Fail): Provenance {
  const missing = KEYS.filter(key => metadata[key] === undefined);
  if (missing.length > 0) fail('metadata is missing', KEYS.join(', '), `no ${missing.join(', ')}`);
  const known = new Set<string>(KEYS);
  const unknown = Object.keys(metadata).filter(key => !known.has(key));
  if (unknown.length > 0) fail('metadata is not known in this version', KEYS.join(', '), unknown.join(', '));
  const text = (key: MetadataKey): string => metadata[key] ?? '';
  for (const key of ['crc32_table', 'header_crc32'] as const) {
    // Lower case only: one flipped bit turns a letter into its capital, which would go unnoticed.
    if (!/^[0-9a-f]{8}$/.test(text(key)))
      fail(`metadata ${key} is not a checksum`, '8 lower-case hex digits', text(key));
  }
  const read = <Schema extends v.GenericSchema>(key: MetadataKey, schema: Schema): v.InferOutput<Schema> =>
    readJson(key, text(key), schema, fail);
  return {
    detector: read('detector', detectorSchema),
    conversion: read('conversion', conversionSchema),
    // What other writers put into an entry is no reason to refuse the store.
    sources: read('sources', v.array(v.fallback(sourceSchema, { name: 'unknown' }))),
    tool: text('tool'),
  };
}

function readJson<Schema extends v.GenericSchema>(
  key: MetadataKey,
  text: string,
  schema: Schema,
  fail: Fail,
): v.InferOutput<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    fail(`metadata ${key} cannot be read`, 'JSON', errorText(error));
  }
  const duplicate = findDuplicateKey(text);
  if (duplicate !== undefined)
    fail(`metadata ${key} has a duplicate key`, 'each key once', JSON.stringify(duplicate));
  const parsed = v.safeParse(schema, value);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  const path = v.getDotPath(issue);
  return fail(
    `metadata ${key} is invalid${path === null ? '' : ` at ${path}`}`,
    issue.expected ?? 'a valid value',
    issue.received.slice(0, 80),
  );
}

const KNOWN_ANSWERS = {
  published: ', proven to be the published detector',
  different: ', NOT the published detector',
} as const;

/** Name and weights of a detector, and what is known of them, in one line. */
export function describeDetector({ name, weights, known_answer: known }: Detector): string {
  return `${name}, weights ${weights}${known === undefined ? '' : KNOWN_ANSWERS[known]}`;
}

/** Whether rows were computed with a known detector; of rows that were downloaded nothing is known. */
export function isExtracted({ weights }: Detector): boolean {
  return weights !== 'unknown';
}

/** Said wherever features made with synthetic weights are shown: they look real and mean nothing. */
export const UNTRAINED_WARNING =
  'UNTRAINED weights: these are not the features of any real detector; do not train on them';
