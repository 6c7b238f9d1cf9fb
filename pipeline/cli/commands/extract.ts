import { LxmertDataError } from '../../errors.ts';
import { findSplit } from '../../extraction/splits.ts';
import { extract, type ExtractOptions, planExtraction } from '../../stages/extract.ts';
import { formatBytes } from '../../files/format-bytes.ts';
import { type CommandSpec, integerOption, type OptionSpec, textOption } from '../spec.ts';
import { BACKEND_OPTIONS, chooseBackend } from '../choose-extractor.ts';

const MAX_LISTED = 20;

const OPTIONS: readonly OptionSpec[] = [
  {
    name: 'split',
    value: 'SPLIT',
    description: 'coco/{train,valid,test}, nlvr2/{train,valid,test,hidden}, gqa, gqa/testdev, custom',
    looksLike: /^(coco|nlvr2|gqa|custom)(\/[a-z]+)?$|^(train|valid|test|hidden|testdev|all)$/,
  },
  {
    name: 'dataset',
    value: 'NAME',
    description: 'data set of a --split that is named alone',
    choices: ['coco', 'nlvr2', 'gqa', 'custom'],
  },
  {
    name: 'images',
    value: 'DIR',
    description: 'folder of the images, or a text file that names them',
    looksLike: /\/|^[^.]*$|\.(txt|lst|list)$/,
  },
  {
    name: 'out',
    value: 'FILE',
    description: 'X.safetensors or X.tsv (default: what LXMERT opens, below --data)',
    looksLike: /\.(safetensors|tsv)$/,
  },
  ...BACKEND_OPTIONS,
  {
    name: 'shard',
    value: 'I/N',
    description: 'only part I of N, for several machines',
    looksLike: /^\d+\/\d+$/,
  },
  { name: 'limit', value: 'N', description: 'only the first N images', integer: true },
  {
    name: 'stall',
    value: 'SECONDS',
    description: 'end an extractor that says nothing for so long (default 600)',
    integer: true,
  },
  { name: 'skip-bad', description: 'publish without the images that have no row, and exit with 1' },
  { name: 'keep-rows', description: 'keep the rows of the extraction beside the store' },
  { name: 'force', description: 'replace an existing output' },
  { name: 'dry-run', description: 'print what would be done' },
  { name: 'report', value: 'FILE', description: 'write the outcome as JSON', looksLike: /\.json$/ },
];

export const extractCommand: CommandSpec = {
  name: 'extract',
  description:
    'Computes the 36-box features of images with the bottom-up-attention detector and makes a verified store of them. Run it again to go on after an interruption.',
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
  async run(words, options, context) {
    const name = words[0] ?? textOption(options, 'split');
    const images = textOption(options, 'images');
    if (name === undefined || images === undefined) {
      throw new LxmertDataError('ERR_USAGE', {
        what: 'extract needs to know which split, and where its images are',
        expected: 'a split and --images DIR',
        got: [...words, ...Object.keys(options)].join(' ') || 'nothing',
        hint: 'lxmert-data extract custom --images DIR --out X.safetensors',
      });
    }
    const settings: Omit<ExtractOptions, 'starts'> = {
      split: findSplit(name, textOption(options, 'dataset')),
      images,
      data: context.data,
      out: checkOut(textOption(options, 'out')),
      shard: parseShard(textOption(options, 'shard')),
      limit: integerOption(options, 'limit'),
      stallSeconds: integerOption(options, 'stall'),
      skipBad: options['skip-bad'] === true,
      keepRows: options['keep-rows'] === true,
      force: options['force'] === true,
      report: textOption(options, 'report'),
    };
    const backend = await chooseBackend(options, context);
    context.emit({ event: 'note', message: `backend ${backend.name}: ${backend.why}` });
    if (options['dry-run'] === true) {
      const plan = await planExtraction(settings, context);
      context.emit({
        event: 'result',
        stage: 'extract',
        ok: true,
        out: plan.out,
        rows_in: plan.rowFolder,
        images: plan.images.length,
      });
      context.print(
        `${plan.images.length} images -> ${plan.out}; rows meanwhile in ${plan.rowFolder}; up to ${formatBytes(plan.bytes)} of disk`,
      );
      for (const line of await backend.describe(plan)) context.print(line);
      return true;
    }
    const result = await extract({ ...settings, starts: backend.starts }, context);
    const { ok, ...details } = result;
    context.emit({ event: 'result', stage: 'extract', ok, ...details });
    if (result.out !== null)
      context.print(`${result.out}: ${result.rows} images, ${result.resumed} of them done before`);
    if (result.detector?.weights === 'untrained') {
      context.print('  UNTRAINED weights: the numbers are those of no real detector; train nothing on them');
    }
    for (const { img_id: id, reason } of result.missing.slice(0, MAX_LISTED))
      context.print(`  no row for ${id}: ${reason}`);
    if (result.missing.length > MAX_LISTED)
      context.print(`  … and ${result.missing.length - MAX_LISTED} more; --report FILE.json lists all`);
    if (result.out === null)
      context.print(
        'nothing was published; mend or remove these images and run it again, or give --skip-bad',
      );
    return ok;
  },
};

function checkOut(out: string | undefined): string | undefined {
  if (out === undefined || /\.(safetensors|tsv)$/.test(out)) return out;
  throw new LxmertDataError('ERR_USAGE', {
    what: 'the form of the output is not known by its name',
    expected: 'X.safetensors or X.tsv',
    got: out,
  });
}

function parseShard(text: string | undefined): ExtractOptions['shard'] {
  if (text === undefined) return undefined;
  const [index, count] = text.split('/').map(Number) as [number, number | undefined];
  if (
    count !== undefined &&
    Number.isInteger(index) &&
    Number.isInteger(count) &&
    index >= 1 &&
    index <= count
  )
    return { index, count };
  throw new LxmertDataError('ERR_USAGE', {
    what: '--shard needs a part and a number of parts',
    expected: 'I/N, such as 1/4',
    got: text,
  });
}
