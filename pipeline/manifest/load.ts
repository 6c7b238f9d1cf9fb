import { suggest } from '../nearest-name.ts';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkSource } from '../mirrors/registry.ts';
import { v } from '../schema.ts';
import { errorText, LxmertDataError } from '../errors.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import { withCurrentKeys } from './former-keys.ts';
import { manifestSchema } from './schema.ts';
import type { Asset, Dataset, Manifest, Mirror, Source } from './schema.ts';

export type { Asset, AssetKind, Dataset, Manifest, Mirror, Source } from './schema.ts';
export { isSafePath } from './schema.ts';

export interface LoadManifestOptions {
  /** Folder of the manifests that come with the tool. */
  readonly directory?: string | undefined;
  /** The user's own manifest files; their sources go before the built-in ones. */
  readonly files?: readonly string[] | undefined;
  /** Another address for a mirror, by mirror name. */
  readonly baseUrls?: Readonly<Record<string, string>> | undefined;
}

const MANIFEST_DIRECTORY = fileURLToPath(new URL('../../manifests/', import.meta.url));
// mirrors.json decides the order in which mirrors are tried.
const BUILT_IN = [
  'mirrors.json',
  'datasets.json',
  'features.json',
  'annotations.json',
  'weights.json',
  'archives.json',
];

/** Reads and merges all manifests and checks the whole. Throws ERR_MANIFEST with the JSON path of what is wrong. */
export async function loadManifest(options: LoadManifestOptions = {}): Promise<Manifest> {
  const directory = options.directory ?? MANIFEST_DIRECTORY;
  const paths = [...BUILT_IN.map(name => join(directory, name)), ...(options.files ?? [])];
  let merged: Record<string, unknown> = {
    manifest_version: 1,
    mirrors: {},
    datasets: {},
    image_sets: {},
    assets: {},
  };
  for (const path of paths) {
    const extra = await readManifestFile(path);
    merged = mergeManifest(merged, extra, path);
    // User-added mirrors take precedence.
    if (isJsonObject(extra['mirrors']) && isJsonObject(merged['mirrors']))
      merged['mirrors'] = { ...extra['mirrors'], ...merged['mirrors'] };
  }
  const manifest = checkManifest(merged, options.files?.at(-1) ?? directory);
  return applyBaseUrls(manifest, options.baseUrls ?? {});
}

/** Mirrors are tried in manifest order, but those known to be dead come last. */
export function orderSources(manifest: Manifest, asset: Asset, only?: readonly string[]): Source[] {
  const names = Object.keys(manifest.mirrors);
  const rank = (source: Source): number =>
    only === undefined
      ? names.indexOf(source.mirror) +
        (manifest.mirrors[source.mirror]?.dead === undefined ? 0 : names.length)
      : only.indexOf(source.mirror);
  return asset.sources.filter(source => rank(source) >= 0).sort((a, b) => rank(a) - rank(b));
}

/** The asset of a name that was checked when the manifest was read. @throws RangeError for any other name */
export function assetOf({ assets }: Manifest, name: string): Asset {
  return known(assets, name);
}

/** The dataset of a name that was checked before. @throws RangeError for any other name */
export function datasetOf({ datasets }: Manifest, name: string): Dataset {
  return known(datasets, name);
}

/** The image set of a name that was checked before. @throws RangeError for any other name */
export function imageSetOf({ image_sets }: Manifest, name: string): Manifest['image_sets'][string] {
  return known(image_sets, name);
}

function known<Entry>(entries: Readonly<Record<string, Entry>>, name: string): Entry {
  const entry = Object.hasOwn(entries, name) ? entries[name] : undefined;
  if (entry === undefined) throw new RangeError(`the manifest has no entry "${name}"`);
  return entry;
}

/** The mirror of a name that the user may have given. Throws ERR_USAGE for an unknown one. */
export function getMirror(manifest: Manifest, name: string): Mirror {
  const mirror = Object.hasOwn(manifest.mirrors, name) ? manifest.mirrors[name] : undefined;
  if (mirror === undefined) {
    const names = Object.keys(manifest.mirrors);
    throw new LxmertDataError('ERR_USAGE', {
      what: `unknown mirror "${name}"`,
      expected: names.join(', '),
      hint: suggest(name, names),
    });
  }
  return mirror;
}

async function readManifestFile(path: string): Promise<JsonObject> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new LxmertDataError('ERR_MANIFEST', {
      what: 'cannot read the manifest',
      where: path,
      got: errorText(cause),
      cause,
    });
  }
  try {
    const value: unknown = JSON.parse(text);
    if (!isJsonObject(value)) throw new TypeError('the manifest is not a JSON object');
    return withCurrentKeys(value);
  } catch (cause) {
    const got = errorText(cause);
    throw new LxmertDataError('ERR_MANIFEST', { what: 'not a JSON object', where: path, got, cause });
  }
}

function mergeManifest(base: JsonObject, extra: JsonObject, path: string): JsonObject {
  if (extra['manifest_version'] !== 1) {
    throw new LxmertDataError('ERR_MANIFEST', {
      what: 'manifest_version is not one this tool reads',
      where: `${path}: $.manifest_version`,
      expected: '1',
      got: 'manifest_version' in extra ? JSON.stringify(extra['manifest_version']) : 'nothing',
    });
  }
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(extra)) {
    if (key === 'manifest_version') continue;
    const existing = base[key];
    if (!isJsonObject(existing) || !isJsonObject(value)) {
      const got = isJsonObject(value) ? `"${key}"` : `"${key}" with something else`;
      const expected = 'the objects "mirrors", "datasets", "image_sets" and "assets"';
      throw new LxmertDataError('ERR_MANIFEST', {
        what: 'unexpected content',
        where: `${path}: $.${key}`,
        expected,
        got,
      });
    }
    merged[key] = mergeEntries(existing, value);
  }
  return merged;
}

/** A later entry wins field by field; its sources are put before the earlier ones. */
function mergeEntries(base: JsonObject, extra: JsonObject): JsonObject {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(extra)) {
    const old = base[key];
    if (!isJsonObject(old) || !isJsonObject(value)) {
      merged[key] = value;
      continue;
    }
    const sources = [value['sources'], old['sources']].flatMap((list): unknown[] =>
      Array.isArray(list) ? list : [],
    );
    merged[key] = { ...old, ...value, ...(sources.length === 0 ? {} : { sources }) };
  }
  return merged;
}

function checkManifest(value: JsonObject, where: string): Manifest {
  const result = v.safeParse(manifestSchema, value);
  if (!result.success) {
    const issue = deepestIssue(result.issues[0]);
    throw new LxmertDataError('ERR_MANIFEST', {
      what: issue.message,
      where: `${where}: ${formatPath(issue)}`,
      ...(issue.expected === null ? {} : { expected: issue.expected }),
      got: issue.received,
      hint: 'see manifests/README.md for the fields',
    });
  }
  checkReferences(result.output, where);
  return result.output;
}

type Issue = v.BaseIssue<unknown>;

function deepestIssue(issue: Issue): Issue {
  return issue.issues?.[0] === undefined ? issue : deepestIssue(issue.issues[0]);
}

function formatPath(issue: Issue): string {
  const keys = (issue.path ?? []).map(item => item.key);
  return `$${keys.map(key => (typeof key === 'number' ? `[${key}]` : `[${JSON.stringify(key)}]`)).join('')}`;
}

function checkReferences(manifest: Manifest, where: string): void {
  const fail: Fail = (path, what) => {
    throw new LxmertDataError('ERR_MANIFEST', { what, where: `${where}: ${path}` });
  };
  checkAssets(manifest, fail);
  checkDatasets(manifest, fail);
  for (const [name, { asset, first, only, images }] of Object.entries(manifest.image_sets)) {
    checkNames([asset, first, only, images], `$.image_sets[${JSON.stringify(name)}]`, manifest, fail);
  }
}

type Fail = (path: string, what: string) => never;

function checkAssets(manifest: Manifest, fail: Fail): void {
  const targets = new Map<string, string>();
  for (const [name, asset] of Object.entries(manifest.assets)) {
    const path = `$.assets[${JSON.stringify(name)}]`;
    for (const [index, source] of asset.sources.entries()) {
      checkSourceOf(asset, source, `${path}.sources[${index}]`, { manifest, fail });
    }
    if (asset.kind === 'json') checkNames(asset.make?.from ?? [], `${path}.make.from`, manifest, fail);
    const other = targets.get(asset.target);
    if (other !== undefined) fail(`${path}.target`, `"${other}" has the same target`);
    targets.set(asset.target, name);
  }
}

function checkSourceOf(
  asset: Asset,
  source: Source,
  path: string,
  { manifest, fail }: { readonly manifest: Manifest; readonly fail: Fail },
): void {
  const { mirror: name, get } = source;
  const mirror = Object.hasOwn(manifest.mirrors, name) ? manifest.mirrors[name] : undefined;
  if (mirror === undefined) return fail(`${path}.mirror`, `there is no mirror "${name}"`);
  const wrong = get === 'parts-member' ? undefined : checkSource(name, mirror, source);
  if (wrong !== undefined) fail(`${path}.${wrong.field}`, wrong.problem);
  if (get === 'raw' && asset.kind !== 'json') {
    fail(`${path}.get`, 'only JSON assets can be made from "raw"');
  }
  if ((get === 'weights') !== (asset.kind === 'weights' && asset.format === 'detector')) {
    fail(`${path}.get`, '"weights" is the way to the format "detector", and the only one');
  }
}

function checkDatasets(manifest: Manifest, fail: Fail): void {
  for (const [name, { common, splits, totals = [], default_splits: defaults }] of Object.entries(
    manifest.datasets,
  )) {
    const path = `$.datasets[${JSON.stringify(name)}]`;
    const named = [...common, ...Object.values(splits).flat(), ...totals.flatMap(total => total.assets)];
    checkNames(named, path, manifest, fail);
    const missing = defaults.find(split => !Object.hasOwn(splits, split));
    if (missing !== undefined) fail(`${path}.default_splits`, `there is no split "${missing}"`);
  }
}

function checkNames(
  names: readonly (string | undefined)[],
  path: string,
  { assets }: Manifest,
  fail: Fail,
): void {
  const missing = names.find(name => name !== undefined && !Object.hasOwn(assets, name));
  if (missing !== undefined) fail(path, `there is no asset "${missing}"`);
}

/** The user names the address, so a plain http one is accepted: it was asked for. */
function applyBaseUrls(manifest: Manifest, baseUrls: Readonly<Record<string, string>>): Manifest {
  const mirrors = { ...manifest.mirrors };
  for (const [name, base] of Object.entries(baseUrls)) {
    const mirror = getMirror(manifest, name);
    if (!URL.canParse(base) || !/^https?:$/.test(new URL(base).protocol)) {
      throw new LxmertDataError('ERR_USAGE', {
        what: `--base-url of "${name}" is not an http(s) URL`,
        got: base,
      });
    }
    const allowHttp = new URL(base).protocol === 'http:' ? { allow_http: true } : {};
    mirrors[name] = { ...mirror, base, ...allowHttp, dead: undefined };
  }
  return { ...manifest, mirrors, given_bases: baseUrls };
}
