import { LxmertDataError } from '../../errors.ts';
import { builtInImageSets } from '../../manifest/built-in-names.ts';
import { findImageSet } from '../../manifest/image-sets.ts';
import { loadManifest } from '../../manifest/load.ts';
import { type KnownVerdict, readVerdicts } from '../../fetch/data-lock.ts';
import {
  type ExtractionRequest,
  type ExtractPlan,
  extractionBytes,
  planExtraction,
} from '../../extraction/plan-extraction.ts';
import { withArchives } from '../../extraction/image-archives.ts';
import { extract, type ExtractResult } from '../../stages/extract.ts';
import { UNTRAINED_WARNING } from '../../store/metadata.ts';
import { formatBytes } from '../../files/format-bytes.ts';
import {
  type CommandContext,
  type CommandSpec,
  integerOption,
  MANIFEST_OPTION,
  manifestFiles,
  type OptionSpec,
  type OptionValues,
  textOption,
} from '../spec.ts';
import { type Backend, BACKEND_OPTIONS, chooseBackend, requireWeights } from '../choose-extractor.ts';
import { openReport, reportOption } from '../report-file.ts';
import { CLUSTER_OPTIONS, defaultOut, exitCodeOfWorker, nextFor, runOnPlan } from './extract-cluster.ts';
import { runShard } from './extract-shard.ts';

const MAX_LISTED = 20;

const SETS = builtInImageSets();
const DATASETS = [...new Set(SETS.map(name => name.replace(/\/.*/s, '')))];
const SPLITS = [...new Set(SETS.map(name => name.split('/')[1] ?? ''))];

const OPTIONS: readonly OptionSpec[] = [
  {
    name: 'split',
    short: 's',
    value: 'SPLIT',
    description: SETS.map(name => name.replace(/\/all$/, '')).join(', '),
    looksLike: new RegExp(`^(${DATASETS.join('|')})(/[a-z]+)?$|^(${SPLITS.join('|')})$`),
  },
  {
    name: 'dataset',
    value: 'NAME',
    description: 'dataset of a --split named without one',
    choices: DATASETS,
  },
  {
    name: 'images',
    short: 'i',
    value: 'DIR',
    description: 'folder or zip of the images, or a text file that names them',
    looksLike: /\/|^[^.]*$|\.(txt|lst|list|zip)$/,
  },
  {
    name: 'out',
    short: 'o',
    value: 'FILE',
    description: 'X.safetensors or X.tsv (default: what LXMERT opens, below --data)',
    looksLike: /\.(safetensors|tsv)$/,
  },
  { name: 'follow-links', description: 'take images that are links out of their folder too' },
  ...BACKEND_OPTIONS,
  {
    name: 'shard',
    value: 'I/N',
    description: 'only part I of N, on machines that share a folder; the last one publishes',
    looksLike: /^\d+\/\d+$/,
  },
  { name: 'limit', value: 'N', description: 'only the first N images', integer: true },
  {
    name: 'stall',
    value: 'SECONDS',
    description: 'end an extractor after this long without output (default 600)',
    integer: true,
  },
  { name: 'skip-bad', description: 'publish without the images that have no row, and exit with 1' },
  { name: 'keep-rows', description: 'keep the rows of the extraction beside the store' },
  { name: 'force', short: 'f', description: 'replace an existing output' },
  { name: 'dry-run', short: 'n', description: 'print what would be done' },
  reportOption('write the outcome as JSON'),
  MANIFEST_OPTION,
  ...CLUSTER_OPTIONS,
];

export const extractCommand: CommandSpec = {
  name: 'extract',
  description:
    'Computes the 36-box features of images with the bottom-up-attention detector and makes a verified store of them. After an interruption, run it again to continue.',
  argument: {
    name: 'split',
    description: 'the same as --split',
    required: false,
    many: false,
    looksLike: /^[a-z0-9]+(\/[a-z]+)?$/,
  },
  options: OPTIONS,
  examples: [
    ['lxmert-data extract custom --images photos --out photos.safetensors', 'any folder of images'],
    ['lxmert-data extract nlvr2/train --images images/train', 'a split under the name that LXMERT opens'],
    ['lxmert-data extract gqa --images images --backend docker --gpus 0,1', "in LXMERT's image, on two GPUs"],
    [
      'lxmert-data extract custom --images photos --weights untrained --out try.safetensors',
      'try it without the weights',
    ],
  ],
  exitCodeOf: exitCodeOfWorker,
  async run(args, options, context) {
    if (options['shard'] !== undefined)
      return await runShard(await readRequest(args, options, context), options, context);
    const planImages = async (): Promise<ExtractPlan> =>
      await planExtraction(await readRequest(args, options, context), context);
    if (options['plan'] !== undefined) return await runOnPlan(options, context, planImages);
    const report = await openReport(options, []);
    const request = await readRequest(args, options, context);
    const backend = await chooseBackend(options, context);
    context.emit({ event: 'note', message: `backend ${backend.name}: ${backend.why}` });
    const plan = await planExtraction(request, context);
    if (options['dry-run'] === true) {
      await showPlan(plan, backend, context);
      requireWeights(backend);
      const count = plan.images.length;
      context.finish(`${count} ${count === 1 ? 'image' : 'images'} would be extracted`, {
        next: 'the same without --dry-run',
      });
      return true;
    }
    requireWeights(backend);
    const result = await extract(
      {
        plan,
        extractors: await withArchives(plan, backend.prepare),
        stallSeconds: integerOption(options, 'stall'),
        skipBad: options['skip-bad'] === true,
        keepRows: options['keep-rows'] === true,
      },
      context,
    );
    await report.write(result);
    const { ok, ...details } = result;
    context.emit({ event: 'result', stage: 'extract', ok, ...details });
    printKnownAnswer(result.detector?.weights, await readVerdicts(context.data), context);
    printResult(result, context);
    return ok;
  },
};

/** What is to be extracted. Fails with ERR_USAGE where the split or its images are not given. */
async function readRequest(
  args: readonly string[],
  options: OptionValues,
  context: CommandContext,
): Promise<ExtractionRequest> {
  const name = args[0] ?? textOption(options, 'split');
  const images = textOption(options, 'images');
  if (name === undefined || images === undefined) {
    throw new LxmertDataError('ERR_USAGE', {
      what: 'extract needs a split and the folder of its images',
      expected: 'a split and --images DIR',
      got: [...args, ...Object.keys(options)].join(' ') || 'nothing',
      hint: 'lxmert-data extract custom --images DIR --out X.safetensors',
    });
  }
  const manifest = await loadManifest({ files: manifestFiles(options) });
  const folder = textOption(options, 'plan');
  return {
    split: findImageSet(manifest, name, textOption(options, 'dataset')),
    images,
    data: context.data,
    out: checkOut(textOption(options, 'out') ?? (folder === undefined ? undefined : defaultOut(folder))),
    limit: integerOption(options, 'limit'),
    followLinks: options['follow-links'] === true,
    force: options['force'] === true,
    verdicts: await readVerdicts(context.data),
  };
}

async function showPlan(plan: ExtractPlan, backend: Backend, context: CommandContext): Promise<void> {
  const { out, rowFolder, images } = plan;
  context.emit({
    event: 'result',
    stage: 'extract',
    ok: true,
    out,
    rows_in: rowFolder,
    images: images.length,
  });
  const disk = formatBytes(extractionBytes(images.length, 0));
  context.show(
    `${images.length} images -> ${out}; rows kept in ${rowFolder} until then; up to ${disk} of disk`,
  );
  for (const line of await backend.describe(plan)) context.show(line);
}

function printResult(result: ExtractResult, { print, fault, finish, error }: CommandContext): void {
  const { out, rows, resumed, missing, detector } = result;
  if (detector?.weights === 'untrained') print(`  ${UNTRAINED_WARNING}`);
  for (const { img_id: id, reason } of missing.slice(0, MAX_LISTED)) fault(`  no row for ${id}: ${reason}`);
  if (missing.length > MAX_LISTED)
    fault(`  … and ${missing.length - MAX_LISTED} more; --report FILE.json lists all`);
  if (out !== null) {
    finish(`${out}: ${rows} images, ${resumed} of them done before`, {
      done: rows - resumed,
      next: nextFor(out),
    });
  } else {
    error(
      `nothing was published: ${missing.length} images have no row; fix or remove them and run the same command again, or leave them out with --skip-bad`,
    );
  }
}

/** Whether the weights are the published detector; where that was never asked, how to. */
function printKnownAnswer(
  weights: string | undefined,
  verdicts: Readonly<Record<string, KnownVerdict>>,
  { print, emit }: CommandContext,
): void {
  if (weights === undefined || !/^[0-9a-f]{64}$/.test(weights)) return;
  const known = verdicts[weights];
  if (known?.verdict === 'published') {
    print(`  by the published detector, proven on ${known.images} images on ${known.date}`);
    return;
  }
  const message =
    known === undefined
      ? 'whether these weights are the published detector was not proven; lxmert-data verify detector does'
      : "these weights are NOT the detector of LXMERT's published features, as verify detector found";
  emit({ event: 'warning', message });
}

function checkOut(out: string | undefined): string | undefined {
  if (out === undefined || /\.(safetensors|tsv)$/.test(out)) return out;
  throw new LxmertDataError('ERR_USAGE', {
    what: 'the format of the output is not known by its name',
    expected: 'X.safetensors or X.tsv',
    got: out,
  });
}
