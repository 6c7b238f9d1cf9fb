import { withSnakeKeys } from '../json-keys.ts';
import { LxmertDataError } from '../../errors.ts';
import { formatBytes, formatFreeBytes } from '../../files/format-bytes.ts';
import { builtInDatasets } from '../../manifest/built-in-names.ts';
import { getMirror, loadManifest } from '../../manifest/load.ts';
import type { AssetKind, Manifest } from '../../manifest/load.ts';
import { fetchData, previewFetch } from '../../stages/fetch.ts';
import type { FetchOptions, FetchPreview } from '../../stages/fetch.ts';
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
    { name: 'dry-run', short: 'n', description: 'print the plan and do nothing' },
    { name: 'list', description: 'show datasets, splits and mirrors' },
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
      const plan = await previewFetch(options);
      context.emit({ event: 'result', stage: 'fetch', ok: true, plan: withSnakeKeys(plan) });
      printPlan(plan, context);
      return true;
    }
    const result = await fetchData(options, context);
    const { ok, ...details } = result;
    context.emit({ event: 'result', stage: 'fetch', ok, ...details });
    const counts = `${result.fetched.length} fetched, ${result.present.length} in place before`;
    const failed = result.failed.length === 0 ? '' : `, ${result.failed.length} could not be downloaded`;
    const unusable = result.unusable.length === 0 ? '' : `, ${result.unusable.length} files cannot be used`;
    context.print(ok ? counts : `${counts}${failed}${unusable} (reasons above)`);
    return ok;
  },
};

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

function printList(manifest: Manifest, { print, emit }: CommandContext): void {
  for (const [name, dataset] of Object.entries(manifest.datasets)) {
    print(`${name}: ${dataset.title}`);
    for (const [split, assets] of Object.entries(dataset.splits)) {
      const mark = dataset.default_splits.includes(split) ? '*' : ' ';
      print(`  ${mark} ${split}: ${assets.join(', ')}`);
    }
  }
  print('* fetched without --split');
  print('mirrors, in the order in which they are tried:');
  for (const [name, mirror] of Object.entries(manifest.mirrors)) {
    const state =
      mirror.dead === undefined ? '' : ` (gone since ${mirror.dead.since}: ${mirror.dead.evidence})`;
    print(`  ${name}: ${mirror.title}${mirror.experimental === true ? ', experimental' : ''}${state}`);
  }
  emit({ event: 'result', stage: 'fetch', ok: true, datasets: manifest.datasets, mirrors: manifest.mirrors });
}

function printPlan(plan: FetchPreview, { print }: CommandContext): void {
  const labels = {
    keep: 'in place',
    adopt: 'to check',
    fetch: 'to fetch',
    conflict: 'NOT AS LOCKED',
  } as const;
  for (const { file, action, downloadBytes, sources } of plan.assets) {
    const size = downloadBytes === undefined ? 'size unknown' : `about ${formatBytes(downloadBytes)}`;
    const mirrors = [...new Set(sources.map(({ mirror, dead }) => (dead ? `${mirror} (gone)` : mirror)))];
    print(
      action === 'fetch'
        ? `${labels[action]}  ${file}, ${size}: ${mirrors.join(', ')}`
        : `${labels[action]}  ${file}`,
    );
  }
  const unknown = plan.unknownSizes === 0 ? '' : `, ${plan.unknownSizes} of them of unknown size`;
  print(`${plan.files} files to fetch${unknown}, about ${formatBytes(plan.downloadBytes)}`);
  const [needed, free] = [formatBytes(plan.diskPeakBytes), formatFreeBytes(plan.diskFreeBytes)];
  const overlapped = formatBytes(plan.overlappedPeakBytes);
  print(
    plan.overlappedPeakBytes <= (plan.diskFreeBytes ?? Infinity)
      ? `disk: about ${overlapped} needed at the peak, ${free} free`
      : `disk: about ${needed} needed at the peak, ${free} free; with ${overlapped} the next file would be downloaded while one is converted`,
  );
}
