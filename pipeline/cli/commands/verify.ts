import { extname } from 'node:path';
import { LxmertDataError } from '../../errors.ts';
import { builtInDatasets } from '../../manifest/built-in-names.ts';
import { loadExpectedRows } from '../../manifest/expected-rows.ts';
import { loadManifest } from '../../manifest/load.ts';
import type { Manifest } from '../../manifest/load.ts';
import { readStatus } from '../../stages/status.ts';
import { verifyDatasets } from '../../stages/verify-dataset.ts';
import { commandFor, describeDatasetReport } from '../print-datasets.ts';
import type { SourceComparison } from '../../store/compare-rows.ts';
import { type CheckedStore, verifyStores } from '../../stages/verify-store.ts';
import {
  type CommandContext,
  type CommandSpec,
  integerOption,
  type OptionValues,
  textOption,
  MANIFEST_OPTION,
  manifestFiles,
  MEMBER_OPTION,
} from '../spec.ts';
import { describeDatasets } from '../health-pages.ts';
import { type KnownAnswerOptions, verifyDetector } from '../known-answer.ts';
import { verifyNlvr2Images } from '../nlvr2-images.ts';
import { openReport, pageReportOption, REPLACE_REPORT_OPTION } from '../report-file.ts';
import { describeStores } from '../store-health.ts';
import { describeDetector, UNTRAINED_WARNING } from '../../store/metadata.ts';
import { showAll } from '../../show-text.ts';
import { quoted } from '../typed-commands.ts';
import { printProblemSummary, resolveInputs, resolveStores } from '../inputs.ts';

const MAX_LISTED = 20;

export const verifyCommand: CommandSpec = {
  name: 'verify',
  description:
    'Verifies datasets (files, hashes, records, answers, images with features), or re-reads stores against the checksum of every image and of the header, and names every damaged image.',
  argument: {
    name: 'what',
    description: 'datasets (default: all that have a file here), or .safetensors stores',
    required: false,
    many: true,
    words: builtInDatasets(),
    looksLike: new RegExp(`\\.safetensors$|^(${builtInDatasets().join('|')})$`),
  },
  options: [
    {
      name: 'against',
      value: 'FILE',
      description: 'also compare row by row with this .tsv or .zip',
      looksLike: /\.(tsv|zip)$/,
    },
    MEMBER_OPTION,
    pageReportOption('write the outcome as a page (.html) or JSON'),
    REPLACE_REPORT_OPTION,
    { name: 'threads', value: 'N', description: 'reading threads (default: all cores)', integer: true },
    {
      name: 'split',
      short: 's',
      value: 'S,…',
      description: 'of datasets: splits, or all',
      looksLike: /^[a-z0-9_,-]+$/,
    },
    {
      name: 'weights',
      short: 'w',
      value: 'FILE',
      description: 'of detector: prove these weights (any form, or untrained) by rows that are known',
      looksLike: /\.(caffemodel|pth|bin|pkl|safetensors)$|^untrained$/,
    },
    {
      name: 'from',
      value: 'DIR',
      description:
        'of detector: images and a TSV of their published rows, instead of the ten that are fetched',
      looksLike: /[/.]/,
    },
    {
      name: 'images',
      short: 'i',
      value: 'DIR',
      description: 'of nlvr2: check the images in this folder or zip by the official hashes',
      looksLike: /[/.]/,
    },
    { name: 'quick', description: 'of datasets: files, sizes and headers only' },
    MANIFEST_OPTION,
  ],
  examples: [
    ['lxmert-data verify vqa', 'everything that training on VQA reads'],
    ['lxmert-data verify train2014_obj36.safetensors', 'every byte against its checksum'],
    ['lxmert-data verify x.safetensors --against x.zip', 'every row against the archive it came from'],
    ['lxmert-data verify detector', "whether the weights are the detector of LXMERT's features"],
    ['lxmert-data verify vqa --report vqa.html', 'the same as a page: what is wrong and how to fix it'],
  ],
  async run(args, options, context) {
    const images = textOption(options, 'images');
    if (images !== undefined) return await checkImages(args, images, options, context);
    const [weights, from] = [textOption(options, 'weights'), textOption(options, 'from')];
    if (weights !== undefined || from !== undefined || (args.length === 1 && args[0] === 'detector')) {
      return await proveDetector(args, { weights, from }, options, context);
    }
    return args.some(isFileName)
      ? await verifyStoreFiles(args, options, context)
      : await verifyData(args, options, context);
  },
};

async function checkImages(
  args: readonly string[],
  images: string,
  options: OptionValues,
  context: CommandContext,
): Promise<boolean> {
  if (args.length === 1 && args[0] === 'nlvr2')
    return await verifyNlvr2Images(images, await loadManifest({ files: manifestFiles(options) }), context);
  throw new LxmertDataError('ERR_USAGE', {
    what: '--images is for verify nlvr2: of no other images are hashes published',
    got: args.join(' ') || 'no argument',
    hint: 'lxmert-data verify nlvr2 --images DIR',
  });
}

/** The files of the detector, where none are named, and then what its weights compute. */
async function proveDetector(
  args: readonly string[],
  { weights, from }: Omit<KnownAnswerOptions, 'manifest'>,
  options: OptionValues,
  context: CommandContext,
): Promise<boolean> {
  if (args.length !== 1 || args[0] !== 'detector') {
    throw new LxmertDataError('ERR_USAGE', {
      what: '--weights and --from are for verify detector',
      got: args.join(' ') || 'no argument',
      hint: 'lxmert-data verify detector --weights FILE',
    });
  }
  const areFiles = weights !== undefined || (await verifyData(args, options, context));
  if (!areFiles || options['quick'] === true) return areFiles;
  const manifest = await loadManifest({ files: manifestFiles(options) });
  return await verifyDetector({ weights, from, manifest }, context);
}

/** Names of datasets have no ending. */
function isFileName(arg: string): boolean {
  return extname(arg) !== '' || arg.includes('/');
}

async function verifyStoreFiles(
  args: readonly string[],
  options: OptionValues,
  context: CommandContext,
): Promise<boolean> {
  const stores = resolveStores(args, context.data);
  const against = textOption(options, 'against');
  const files = against === undefined ? undefined : resolveInputs([against], context.data);
  const report = await openReport(options, [...stores, ...(files ?? [])], ['.json', '.html']);
  const outcomes = await verifyStores(
    {
      stores,
      against: files,
      member: textOption(options, 'member'),
      threads: integerOption(options, 'threads'),
      expectedRows: files === undefined ? undefined : await loadExpectedRows(manifestFiles(options)),
    },
    context,
  );
  for (const outcome of outcomes) {
    context.emit({ event: 'result', stage: 'verify', ...outcome });
    if (outcome.error !== null) context.error(outcome.error);
    else printStore(outcome, context);
  }
  await report.write(outcomes, () => describeStores(outcomes, context));
  const ok = outcomes.every(outcome => outcome.ok);
  const images = outcomes.reduce((sum, outcome) => sum + (outcome.error === null ? outcome.rows : 0), 0);
  const count = outcomes.length === 1 ? 'one store' : `${outcomes.length} stores`;
  // Of a store that cannot be read the error says all.
  if (outcomes.some(({ error }) => error === null)) {
    context.finish(`${images} images in ${count} verified${ok ? '' : ', WITH PROBLEMS'}`, {
      done: images,
      next: ok ? `lxmert-data inspect ${quoted(stores[0] ?? '')}` : undefined,
    });
  }
  return ok;
}

async function verifyData(
  args: readonly string[],
  options: OptionValues,
  context: CommandContext,
): Promise<boolean> {
  const report = await openReport(options, [], ['.json', '.html']);
  const manifest = await loadManifest({ files: manifestFiles(options) });
  const reports = await verifyDatasets(
    {
      manifest,
      dataRoot: context.data,
      datasets: args.length > 0 ? args : await findPresentDatasets(manifest, context.data),
      splits: textOption(options, 'split')?.split(','),
      quick: options['quick'] === true,
    },
    context,
  );
  const ok = reports.every(report => report.ok);
  context.emit({ event: 'result', stage: 'verify', ok, datasets: reports });
  for (const report of reports) {
    const write = report.ok ? context.show : context.fault;
    for (const line of describeDatasetReport(report, manifest)) write(line);
  }
  await report.write(reports, async () => await describeDatasets(reports, manifest, context));
  const files = reports.reduce((sum, { assets }) => sum + assets.length, 0);
  const names = reports.map(({ dataset }) => dataset).join(', ');
  const commands = reports.map(report => commandFor(report, manifest)).filter(next => next !== undefined);
  context.finish(`${names}: ${files} files verified${ok ? ', ready for training' : ', WITH PROBLEMS'}`, {
    next: commands.length === 0 ? undefined : commands.join(' && '),
  });
  return ok;
}

/** Datasets of which at least one file of their own is there. */
async function findPresentDatasets(manifest: Manifest, data: string): Promise<readonly string[]> {
  const { datasets } = await readStatus(manifest, data);
  const present = datasets.filter(({ assets }) => assets.some(({ state }) => state !== 'missing'));
  if (present.length > 0) return present.map(({ dataset }) => dataset);
  throw new LxmertDataError('ERR_USAGE', {
    what: 'no dataset was found to verify',
    where: data,
    hint: 'fetch one first, name one, or give a store: lxmert-data verify X.safetensors',
  });
}

function printStore(store: CheckedStore, context: CommandContext): void {
  const intact = store.faults.length + store.damaged.length === 0;
  // Of a store with problems every line is shown, since one explains the other.
  const print = store.ok ? context.show : context.fault;
  print(`${store.path}: ${store.rows} images, ${store.dtype}, ${intact ? 'intact' : 'DAMAGED'}`);
  const { detector } = store.provenance;
  print(`  detector ${describeDetector(detector)}`);
  if (detector.weights === 'untrained') print(`  ${UNTRAINED_WARNING}`);
  printSome(store.faults, fault => `  ${fault}`, print);
  printSome(
    store.damaged,
    image =>
      `  row ${image.row} ${showAll(image.img_id)}: at byte ${image.offset}, checksum ${image.got}, expected ${image.expected}`,
    print,
  );
  if (!intact)
    print('  what to do: convert it again from its source, or copy it again from where it was intact');
  if (store.against !== null) printComparison(store.against, context);
}

function printComparison(result: SourceComparison, context: CommandContext): void {
  const print = result.ok ? context.show : context.fault;
  print(`  ${result.compared} rows compared with the source: ${result.ok ? 'all equal' : 'NOT EQUAL'}`);
  printSome(
    result.differences,
    ({ img_id, line, differs }) => `  ${showAll(img_id)} (line ${line}): ${differs.join(', ')}`,
    print,
  );
  printSome(result.missing, id => `  ${showAll(id)}: in the source, not in the store`, print);
  printSome(result.extra, id => `  ${showAll(id)}: in the store, not in the source`, print);
  if (result.errors > 0) printProblemSummary(result, context);
}

function printSome<Item>(
  items: readonly Item[],
  describe: (item: Item) => string,
  print: (line: string) => void,
): void {
  for (const item of items.slice(0, MAX_LISTED)) print(describe(item));
  if (items.length > MAX_LISTED)
    print(`  … and ${items.length - MAX_LISTED} more; --report FILE.json writes all of them`);
}
