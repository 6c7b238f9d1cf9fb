import { LxmertDataError } from '../../errors.ts';
import { STDIN } from '../../inputs/stdin-source.ts';
import { formatBytes } from '../../files/format-bytes.ts';
import { loadExpectedRows } from '../../manifest/expected-rows.ts';
import { FEATURE_DTYPES, type FeatureDtype } from '../../rows/feature-dtype.ts';
import { convert, type ConvertResult, defaultStorePath } from '../../stages/convert.ts';
import {
  type CommandSpec,
  integerOption,
  textOption,
  DECODING_THREADS_OPTION,
  MANIFEST_OPTION,
  manifestFiles,
  MEMBER_OPTION,
  SUBSET_OPTION,
} from '../spec.ts';
import { ID_RULES, readIdRule } from '../../inputs/id-rule.ts';
import { readPinnedIds } from '../../inputs/pinned-ids.ts';
import { printProblemSummary, resolveInputs, storeName } from '../inputs.ts';
import { openReport, reportOption } from '../report-file.ts';
import { quoted } from '../typed-commands.ts';

export const convertCommand: CommandSpec = {
  name: 'convert',
  description:
    'Turns obj36 TSVs, or the TSV inside zip archives, into one store that training maps into memory, checking every row on the way. With a bad row nothing is published.',
  argument: {
    name: 'file',
    description: '.tsv or .zip files; - is the standard input',
    required: true,
    many: true,
    looksLike: /\.(tsv|zip)$|^-$/,
  },
  options: [
    {
      name: 'out',
      short: 'o',
      value: 'FILE',
      description: 'the store (default: the first input with the ending .safetensors)',
      looksLike: /\.safetensors$/,
    },
    {
      name: 'dtype',
      value: 'TYPE',
      description: 'type of the features (default f32, which is lossless)',
      choices: FEATURE_DTYPES,
    },
    {
      name: 'first',
      value: 'IDS',
      description: 'list of img_ids, or LXMERT JSON, whose rows come first',
      looksLike: /\.(json|txt|lst|list|ids)$/,
    },
    {
      name: 'ids',
      value: 'IDS',
      description: `which rows to take and how to name them: ${ID_RULES.join(', ')} turn COCO numbers into LXMERT's ids; a list of img_ids, or LXMERT JSON, also leaves out the rows it does not list`,
      looksLike: /^coco-|\.(json|txt|lst|list|ids)$/,
    },
    { name: 'skip-bad', description: 'leave bad rows out, list them, and exit with 1' },
    SUBSET_OPTION,
    { name: 'force', short: 'f', description: 'replace an existing store' },
    reportOption('write the outcome and all problems as JSON'),
    MEMBER_OPTION,
    DECODING_THREADS_OPTION,
    MANIFEST_OPTION,
  ],
  examples: [
    ['lxmert-data convert train2014_obj36.zip', 'archive to store, no TSV on disk'],
    [
      'lxmert-data convert val2014_obj36.tsv --first vqa/minival.json',
      "minival's images lead, as LXMERT expects",
    ],
    [
      'lxmert-data convert trainval_resnet101_faster_rcnn_genome_36.tsv --ids vqa/train.json --out train2014_obj36.safetensors',
      "rows of the original release under LXMERT's ids",
    ],
    ['unzip -p x.zip | lxmert-data convert - --out x.safetensors', 'rows of another program'],
    ['lxmert-data convert a.tsv b.tsv --out all.safetensors --dtype f16', 'several inputs, half the size'],
  ],
  async run(args, options, context) {
    const files = resolveInputs(args, context.data);
    const named = storeName(textOption(options, 'out'), 'convert');
    if (named === undefined && files[0] === STDIN) {
      throw new LxmertDataError('ERR_USAGE', {
        what: 'rows from the standard input have no name',
        expected: '--out X.safetensors',
      });
    }
    const out = named ?? defaultStorePath(files[0] ?? '');
    const report = await openReport(options, [...files, out]);
    const first = textOption(options, 'first');
    const ids = textOption(options, 'ids');
    const result = await convert(
      {
        files,
        out,
        dtype: FEATURE_DTYPES.find((dtype): dtype is FeatureDtype => dtype === options['dtype']),
        pinned: first === undefined ? undefined : await readPinnedIds(first),
        ids: ids === undefined ? undefined : await readIdRule(ids),
        skipBad: options['skip-bad'] === true,
        force: options['force'] === true,
        member: textOption(options, 'member'),
        threads: integerOption(options, 'threads'),
        subset: options['subset'] === true,
        expectedRows: await loadExpectedRows(manifestFiles(options)),
      },
      context,
    );
    const { ok, store, ...details } = result;
    const outcome = { ok, out: store, ...details };
    await report.write(outcome);
    context.emit({ event: 'result', stage: 'convert', ...outcome });
    if (!ok) printProblemSummary(result, context);
    context.finish(describeOutcome(result, ids), {
      done: result.sources.reduce((sum, { size }) => sum + size, 0),
      unit: 'bytes',
      next: ok && store !== null ? `lxmert-data verify ${quoted(store)}` : undefined,
    });
    return ok;
  },
};

/** One line: what was published and what it lacks, or why nothing was; `ids` is what names the rows to take, if anything. */
function describeOutcome(result: ConvertResult, ids: string | undefined): string {
  const { store, rows, bytes, sources, problems } = result;
  const sum = (count: 'rejected' | 'renamed' | 'left_out'): number =>
    sources.reduce((total, source) => total + source[count], 0);
  const rejected = sum('rejected');
  // Problems of a whole file: rows that it lacks, though those that it has may all be valid.
  const incomplete = problems
    .filter(({ code, line }) => code === 'rows' && line === 0)
    .map(({ expected, got }) => `${expected} expected, ${got} found`)
    .join('; ');
  if (store !== null) {
    const without = rejected === 0 ? '' : `, ${rejected} invalid rows left out`;
    const renamed = `${sum('renamed')} rows renamed`;
    const chosen =
      ids === undefined ? '' : `; ${renamed}, ${sum('left_out')} left out that ${ids} does not list`;
    const lacks = incomplete === '' ? '' : `; incomplete: ${incomplete}`;
    return `${store}: ${rows} images, ${formatBytes(bytes)}${without}${chosen}${lacks}`;
  }
  if (rejected > 0 || incomplete === '')
    return `nothing was published: ${rejected} invalid rows; --skip-bad leaves them out`;
  return `nothing was published: no row is invalid, but ${incomplete}; get the whole file, or allow a part with --subset; --skip-bad publishes what is there`;
}
