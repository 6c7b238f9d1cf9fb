import { RECORD_SCHEMA_NAMES, TABLE_SCHEMA_NAMES } from '../annotations/record-schemas.ts';
import { count, type MirrorEntry, url } from '../mirrors/fields.ts';
import { mirrorSchema } from '../mirrors/registry.ts';
import { v } from '../schema.ts';
import { LOCK_NAME } from './reserved-names.ts';

/** The shape of a manifest file; manifests/README.md explains every field. */

const sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits'));
const name = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]*$/, 'must be lower-case words joined by "-"'));
/** A path below some root: relative, forward slashes, nothing that could climb out of the root. */
export function isSafePath(path: string): boolean {
  const parts = path.split('/');
  return !/[\\\0]/.test(path) && parts.every(part => part !== '' && part !== '.' && part !== '..');
}

const safePath = v.pipe(v.string(), v.check(isSafePath, 'must be a relative path without "..", "." or "\\"'));
/** Names that Windows keeps for devices, whatever the extension. */
const DEVICE = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)/i;

/** A path below the data root: also none of this tool's own files there, and none that Windows cannot have. */
function isTarget(path: string): boolean {
  const parts = path.split('/');
  return (
    isSafePath(path) &&
    !parts[0]!.startsWith('.') &&
    path !== LOCK_NAME &&
    parts.every(part => !/[:<>"|?*\x00-\x1f]|[. ]$/.test(part) && !DEVICE.test(part))
  );
}

const target = v.pipe(
  v.string(),
  v.check(
    isTarget,
    'must be a relative path without "..", "\\" or ":", and no name of the system or of this tool',
  ),
);

const baseName = v.pipe(
  v.string(),
  v.check(text => isSafePath(text) && !text.includes('/'), 'must be a file name'),
);

const sourceFields = {
  mirror: name,
  size: v.optional(count),
  sha256: v.optional(sha256),
};

/** Where a file is on its mirror: a path below the mirror's root, a Drive id, or a whole link. */
const locationFields = {
  path: v.optional(safePath),
  id: v.optional(v.pipe(v.string(), v.regex(/^[-\w]{10,}$/, 'must be a Drive id'))),
  link: v.optional(url),
};

export const sourceSchema = v.pipe(
  v.variant('get', [
    v.strictObject({ get: v.literal('file'), ...sourceFields, ...locationFields }),
    v.strictObject({ get: v.literal('zip-member'), ...sourceFields, ...locationFields, member: baseName }),
    v.strictObject({ get: v.literal('parts-member'), ...sourceFields, parts: safePath, member: baseName }),
    v.strictObject({
      get: v.literal('raw'),
      ...sourceFields,
      ...locationFields,
      make: v.literal('nlvr2'),
      split: v.picklist(['train', 'valid', 'test']),
    }),
    // The detector's weights in the form of some program; `name` is that of the published file.
    v.strictObject({ get: v.literal('weights'), ...sourceFields, ...locationFields, name: baseName }),
  ]),
  v.check(
    source =>
      source.get === 'parts-member' ||
      [source.path, source.id, source.link].filter(location => location !== undefined).length === 1,
    'must have exactly one of "path", "id" and "link"',
  ),
);

const estimate = v.strictObject({
  rows: v.optional(count),
  records: v.optional(count),
  bytes: v.optional(count),
  tsv_bytes: v.optional(count),
  zip_bytes: v.optional(count),
});

const assetFields = {
  target,
  estimate: v.optional(estimate),
  note: v.optional(v.string()),
  /** What is left to do when no mirror has it. */
  otherwise: v.optional(v.string()),
  sources: v.pipe(v.array(sourceSchema), v.minLength(1)),
};

export const assetSchema = v.variant('kind', [
  v.strictObject({ kind: v.literal('features'), ...assetFields, rows: v.optional(count) }),
  v.strictObject({
    kind: v.literal('json'),
    ...assetFields,
    schema: v.picklist(RECORD_SCHEMA_NAMES),
    /** How it is made of official files when no mirror has it. */
    make: v.optional(
      v.strictObject({ rule: v.literal('vqa'), from: v.pipe(v.array(v.string()), v.minLength(1)) }),
    ),
    first_rows: v.optional(count),
    records: v.optional(count),
    size: v.optional(count),
    sha256: v.optional(sha256),
  }),
  v.strictObject({
    kind: v.literal('table'),
    ...assetFields,
    schema: v.picklist(TABLE_SCHEMA_NAMES),
    records: v.optional(count),
    size: v.optional(count),
    sha256: v.optional(sha256),
  }),
  v.strictObject({
    kind: v.literal('weights'),
    ...assetFields,
    format: v.picklist(['torch', 'caffe', 'detector']),
    size: v.optional(count),
    sha256: v.optional(sha256),
  }),
  v.strictObject({ kind: v.literal('image'), ...assetFields, size: count, sha256 }),
  // An official zip, kept as it is.
  v.strictObject({
    kind: v.literal('archive'),
    ...assetFields,
    files: v.optional(count),
    size: v.optional(count),
    sha256: v.optional(sha256),
    /** Known from one source only: another one is reported, and refused neither. */
    expected_sha256: v.optional(sha256),
  }),
]);

export const datasetSchema = v.strictObject({
  title: v.string(),
  common: v.array(v.string()),
  default_splits: v.pipe(v.array(v.string()), v.minLength(1)),
  splits: v.record(v.string(), v.array(v.string())),
  totals: v.optional(v.array(v.strictObject({ assets: v.array(v.string()), records: count }))),
});

/** Images that `extract` knows by name; `dataset/set`. */
const imageSetName = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9][a-z0-9-]*\/[a-z0-9][a-z0-9_-]*$/, 'must be DATASET/SET in lower case'),
);

export const imageSetSchema = v.pipe(
  v.strictObject({
    asset: v.optional(v.string()),
    target: v.optional(target),
    recursive: v.optional(v.boolean()),
    images: v.optional(v.string()),
    folders: v.optional(v.array(v.pipe(v.string(), v.regex(/^\w+(\/\w+)*$/)))),
    first: v.optional(v.string()),
    only: v.optional(v.string()),
  }),
  v.check(
    ({ asset, target }) => (asset === undefined) !== (target === undefined),
    'must have either "asset" or "target"',
  ),
);

export const manifestSchema = v.strictObject({
  manifest_version: v.literal(1),
  mirrors: v.record(name, mirrorSchema),
  datasets: v.record(name, datasetSchema),
  image_sets: v.record(imageSetName, imageSetSchema),
  assets: v.record(safePath, assetSchema),
});

export type Manifest = v.InferOutput<typeof manifestSchema> & {
  /** Addresses of mirrors that the user gave on the command line. */
  readonly given_bases?: Readonly<Record<string, string>>;
};
export type Mirror = MirrorEntry;
export type Source = v.InferOutput<typeof sourceSchema>;
export type Asset = v.InferOutput<typeof assetSchema>;
export type AssetKind = Asset['kind'];
export type Dataset = v.InferOutput<typeof datasetSchema>;
