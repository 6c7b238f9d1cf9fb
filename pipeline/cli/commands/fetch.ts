import { join } from 'node:path';
import { withSnakeKeys } from '../json-keys.ts';
import { LxmertDataError } from '../../errors.ts';
import { formatBytes, formatFreeBytes } from '../../files/format-bytes.ts';
import { builtInDatasets } from '../../manifest/built-in-names.ts';
import { targetPath } from '../../fetch/asset-files.ts';
import { assetOf, getMirror, loadManifest } from '../../manifest/load.ts';
import type { AssetKind, Manifest } from '../../manifest/load.ts';
import { unpackArchive, unpackedFolderOf } from '../../fetch/unpack-archive.ts';
import type { PlannedAsset } from '../../fetch/plan-fetch.ts';
import { fetchData, previewFetch } from '../../stages/fetch.ts';
import { extractMissing } from '../extract-missing.ts';
import type { FetchOptions, FetchPreview, FetchResult } from '../../stages/fetch.ts';
import {
  type CommandContext,
  type CommandSpec,
  integerOption,
  MANIFEST_OPTION,
  manifestFiles,
  textOption,
} from '../spec.ts';
import type { OptionValues } from '../spec.ts';

const KINDS: readonly AssetKind[] = ['json', 'features', 'weights', 'archive', 'image'];
const KEEPS = ['zip', 'tsv', 'none'] as const;
const NAME_LIST = /^[a-z0-9_-]+(,[a-z0-9_-]+)*$/;

export const fetchCommand: CommandSpec = {
  name: 'fetch',
  description:
    'Downloads every file of the named datasets from the first mirror that has it, checks it, and makes stores of the image features. Continues where an earlier run stopped.',
  argument: {
    name: 'dataset',
    description: builtInDatasets().join(', '),
    required: false,
    many: true,
    looksLike: new RegExp(`^(${builtInDatasets().join('|')})(/[a-z0-9_-]+)?$`),
  },
  options: [
    {
      name: 'split',
      short: 's',
      value: 'S,…',
      description: 'splits, or all (default: those that training needs)',
      looksLike: NAME_LIST,
    },
    {
      name: 'mirror',
      value: 'NAME,…',
      description: 'only these mirrors, in this order',
      looksLike: NAME_LIST,
    },
    { name: 'kind', value: 'KIND', description: 'only this kind of file', choices: KINDS },
    {
      name: 'keep',
      value: 'WHAT',
      description: 'what to keep beside the stores (default none)',
      choices: KEEPS,
    },
    {
      name: 'connections',
      value: 'N',
      description: 'concurrent requests, where the server allows them',
      integer: true,
    },
    {
      name: 'from',
      value: 'DIR',
      description: 'take files downloaded by hand from this folder',
      looksLike: /[/.]/,
    },
    MANIFEST_OPTION,
    {
      name: 'base-url',
      value: 'NAME=URL,…',
      description: 'another address for a mirror',
      looksLike: /^[a-z0-9-]+=https?:/,
    },
    { name: 'frozen', description: 'take only what the lock file names' },
    { name: 'extract', description: 'compute features that no mirror has, which takes days: see --dry-run' },
    { name: 'unpack', description: 'of images: unpack their zips, which extract can also read as they are' },
    {
      name: 'dry-run',
      short: 'n',
      description: 'print every way to each file, sizes and disk, and do nothing',
    },
    { name: 'list', description: 'show datasets with their splits and files, and mirrors' },
  ],
  examples: [
    ['lxmert-data fetch vqa', 'everything that fine-tuning on VQA needs'],
    ['lxmert-data fetch vqa --split test --dry-run', 'what that would be'],
    ['lxmert-data fetch --from ~/Downloads', 'put in place what a browser downloaded'],
    ['lxmert-data fetch nlvr2 --kind json', 'questions only'],
  ],
  async run(args, values, context) {
    const manifest = await loadManifest({
      files: manifestFiles(values),
      baseUrls: parseBaseUrls(textOption(values, 'base-url')),
    });
    if (values['list'] === true) {
      printList(manifest, context);
      return true;
    }
    const options = readOptions(args, values, manifest, context);
    if (values['dry-run'] === true) {
      const plan = await previewFetch(options, context);
      const ok = plan.fits && plan.unusable.length === 0;
      context.emit({ event: 'result', stage: 'fetch', ok, plan: withSnakeKeys(plan) });
      printPlan(plan, options, context);
      context.finish(
        `${plan.files} of ${plan.assets.length} files would be ${options.from === undefined ? 'fetched' : 'taken'}`,
        {
          next: ok && plan.files > 0 ? 'the same without --dry-run' : undefined,
        },
      );
      return ok;
    }
    const result = await fetchAll(options, values, context);
    const { ok, ...details } = result;
    context.emit({ event: 'result', stage: 'fetch', ok, ...details });
    const counts = `${result.fetched.length} fetched, ${result.present.length} in place before`;
    const failed = result.failed.length === 0 ? '' : `, ${result.failed.length} could not be downloaded`;
    const unusable = result.unusable.length === 0 ? '' : `, ${result.unusable.length} files cannot be used`;
    const named = options.datasets.join(' ');
    context.finish(ok ? counts : `${counts}${failed}${unusable} (reasons above)`, {
      next: ok && named !== '' ? `lxmert-data verify ${named}` : undefined,
    });
    return ok;
  },
};

/** Fetches; where that is asked for, computes what no mirror has, and unpacks archives of images. */
async function fetchAll(
  options: FetchOptions,
  values: OptionValues,
  context: CommandContext,
): Promise<FetchResult & { readonly unpacked: readonly string[] }> {
  let result = await fetchData(options, context);
  if (values['extract'] === true && result.failed.length > 0) {
    const made = await extractMissing(
      result.failed.map(({ name }) => name),
      options,
      context,
    );
    // Looks at the new stores as at any others, and locks them.
    if (made.length > 0) result = await fetchData(options, context);
  }
  const unpacked: string[] = [];
  for (const name of values['unpack'] === true ? [...result.fetched, ...result.present] : []) {
    const asset = assetOf(options.manifest, name);
    if (asset.kind !== 'archive' || !name.startsWith('images/')) continue;
    const path = join(options.dataRoot, targetPath(asset));
    const files = await unpackArchive(path, context);
    const folder = unpackedFolderOf(path);
    context.print(files === undefined ? `${folder}: unpacked before` : `${folder}: ${files} files`);
    unpacked.push(folder);
  }
  return { ...result, unpacked };
}

function readOptions(
  args: readonly string[],
  values: OptionValues,
  manifest: Manifest,
  context: CommandContext,
): FetchOptions {
  const mirrors = splitList(textOption(values, 'mirror'));
  for (const name of mirrors ?? []) getMirror(manifest, name);
  const kind = KINDS.find(known => known === values['kind']);
  return {
    ...splitNames(args, splitList(textOption(values, 'split'))),
    kinds: kind === undefined ? undefined : [kind],
    dataRoot: context.data,
    manifest,
    mirrors,
    keep: KEEPS.find(known => known === values['keep']),
    connections: integerOption(values, 'connections'),
    frozen: values['frozen'] === true,
    from: textOption(values, 'from'),
  };
}

/** Datasets and splits of arguments such as `vqa` and `images/coco-train2014`. */
function splitNames(
  args: readonly string[],
  splits: readonly string[] | undefined,
): Pick<FetchOptions, 'datasets' | 'splits'> {
  const named = args.filter(arg => arg.includes('/'));
  if (named.length === 0) return { datasets: args, splits };
  if (named.length < args.length || splits !== undefined) {
    throw new LxmertDataError('ERR_USAGE', {
      what: 'a dataset with its split cannot stand beside other datasets or --split',
      expected: 'DATASET/SPLIT only, or DATASET with --split',
      got: args.join(' '),
    });
  }
  const parts = named.map(arg => arg.split('/'));
  return {
    datasets: [...new Set(parts.map(([dataset = '']) => dataset))],
    splits: parts.map(([, ...split]) => split.join('/')),
  };
}

function splitList(text: string | undefined): readonly string[] | undefined {
  return text?.split(',').filter(part => part !== '');
}

function parseBaseUrls(text: string | undefined): Record<string, string> {
  return Object.fromEntries(
    (text?.split(',') ?? []).map(pair => {
      const at = pair.indexOf('=');
      if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)];
      throw new LxmertDataError('ERR_USAGE', { what: '--base-url needs NAME=URL', got: pair });
    }),
  );
}

function printList(manifest: Manifest, { show, emit, finish }: CommandContext): void {
  for (const [name, dataset] of Object.entries(manifest.datasets)) {
    show(`${name}: ${dataset.title}`);
    const groups: (readonly [string, readonly string[]])[] = Object.entries(dataset.splits);
    if (dataset.common.length > 0) groups.unshift(['every split', dataset.common]);
    for (const [split, assets] of groups) {
      const mark = dataset.default_splits.includes(split) || assets === dataset.common ? '*' : ' ';
      show(`  ${mark} ${split}: ${assets.map(asset => targetPath(assetOf(manifest, asset))).join(', ')}`);
    }
  }
  show('* fetched without --split');
  show('mirrors, in the order in which they are tried:');
  for (const [name, mirror] of Object.entries(manifest.mirrors)) {
    const state =
      mirror.dead === undefined ? '' : ` (gone since ${mirror.dead.since}: ${mirror.dead.evidence})`;
    show(`  ${name}: ${mirror.title}${mirror.experimental === true ? ', experimental' : ''}${state}`);
  }
  emit({ event: 'result', stage: 'fetch', ok: true, datasets: manifest.datasets, mirrors: manifest.mirrors });
  const count = (entries: object): number => Object.keys(entries).length;
  finish(`${count(manifest.datasets)} datasets, ${count(manifest.mirrors)} mirrors`, {
    next: 'lxmert-data fetch DATASET --dry-run',
  });
}

function printPlan(plan: FetchPreview, { from }: FetchOptions, { show }: CommandContext): void {
  for (const asset of plan.assets)
    for (const line of describePlanned(asset, plan.taken[asset.name], from)) show(line);
  if (from !== undefined) return;
  show(`${plan.files} ${plan.files === 1 ? 'file' : 'files'} to fetch, ${describeTotal(plan)}`);
  const [needed, free] = [formatBytes(plan.diskPeakBytes), formatFreeBytes(plan.diskFreeBytes)];
  const overlapped = formatBytes(plan.overlappedPeakBytes);
  if (plan.files === 0) return;
  if (!plan.fits) show(`disk: NOT ENOUGH: about ${needed} needed at the peak, ${free} free`);
  else if (plan.overlappedPeakBytes <= (plan.diskFreeBytes ?? Infinity))
    show(`disk: about ${overlapped} needed at the peak, ${free} free`);
  else
    show(
      `disk: about ${needed} needed at the peak, ${free} free; with ${overlapped} the next file would be downloaded while one is converted`,
    );
}

const LABELS = {
  keep: 'in place',
  adopt: 'to check',
  fetch: 'to fetch',
  conflict: 'NOT AS LOCKED',
} as const;
const ROADS = { download: 'from', make: 'made', extract: 'computed:' } as const;

/** A file of the plan, and every way to it. */
function describePlanned(
  { file, action, downloadBytes, roads }: PlannedAsset,
  taken: readonly string[] | undefined,
  from: string | undefined,
): readonly string[] {
  if (action !== 'fetch') return [`${LABELS[action]}  ${file}`];
  if (taken !== undefined) return [`to take   ${file} from ${taken.join(', ')}`];
  if (from !== undefined) return [`MISSING   ${file}: no file in ${from} holds it`];
  const size = downloadBytes === undefined ? 'size unknown' : `about ${formatBytes(downloadBytes)}`;
  const ways = roads.map(({ road, what, why }, index) => `  ${index + 1}. ${ROADS[road]} ${what}: ${why}`);
  return [`${LABELS.fetch}  ${file}, ${size}`, ...ways];
}

/** Sizes that are known; nothing is said of none. */
function describeTotal({ files, downloadBytes, unknownSizes }: FetchPreview): string {
  if (files === 0) return 'nothing to download';
  if (unknownSizes === files) return 'of unknown size';
  const known = `about ${formatBytes(downloadBytes)}`;
  return unknownSizes === 0
    ? known
    : `${known} and ${unknownSizes} ${unknownSizes === 1 ? 'file' : 'files'} of unknown size`;
}
