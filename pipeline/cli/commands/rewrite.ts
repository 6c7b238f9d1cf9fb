import { readIdRule, ID_RULES } from '../../inputs/id-rule.ts';
import { LxmertDataError } from '../../errors.ts';
import { formatBytes } from '../../files/format-bytes.ts';
import { FEATURE_DTYPES } from '../../rows/feature-dtype.ts';
import { rewriteStores } from '../../stages/rewrite-stores.ts';
import { resolveStores, storeName } from '../inputs.ts';
import { quoted } from '../typed-commands.ts';
import {
  type ArgumentSpec,
  type CommandContext,
  type CommandSpec,
  type OptionSpec,
  type OptionValues,
  textOption,
} from '../spec.ts';

const STORES: ArgumentSpec = {
  name: 'store',
  description: '.safetensors stores',
  required: true,
  many: true,
  looksLike: /\.safetensors$/,
};

const DTYPE: OptionSpec = {
  name: 'dtype',
  value: 'TYPE',
  description: 'type of the features in the new store (default: as they are)',
  choices: FEATURE_DTYPES,
};

const OUTPUT: readonly OptionSpec[] = [
  { name: 'out', short: 'o', value: 'FILE', description: 'the new store', looksLike: /\.safetensors$/ },
  { name: 'force', short: 'f', description: 'replace an existing store' },
];

export const subsetCommand: CommandSpec = {
  name: 'subset',
  description:
    'Makes a store of some images of others: those of a list, or of the JSON of a split. A listed image that no store has is an error.',
  argument: STORES,
  options: [
    {
      name: 'ids',
      value: 'IDS',
      description: `list of img_ids, or LXMERT JSON; or ${ID_RULES.join(', ')}, which only rename`,
      looksLike: /^coco-|\.(json|txt|lst|list|ids)$/,
    },
    DTYPE,
    ...OUTPUT,
  ],
  examples: [
    [
      'lxmert-data subset val2014_obj36.safetensors --ids vqa/minival.json --out minival.safetensors',
      'one split',
    ],
    [
      'lxmert-data subset train.safetensors val.safetensors --ids mine.txt -o mine.safetensors',
      'from several',
    ],
  ],
  async run(args, options, context) {
    if (textOption(options, 'ids') === undefined) {
      throw new LxmertDataError('ERR_USAGE', {
        what: 'subset needs to know which images',
        expected: '--ids with a list of img_ids or the JSON of a split',
        hint: 'to copy all rows use merge, for another dtype cast',
      });
    }
    return await runRewrite('subset', args, options, context);
  },
};

export const mergeCommand: CommandSpec = {
  name: 'merge',
  description: 'Makes one store of several, in their order. An image that two of them have is an error.',
  argument: STORES,
  options: [DTYPE, ...OUTPUT],
  examples: [
    [
      'lxmert-data merge train2014_obj36.safetensors val2014_obj36.safetensors --out trainval.safetensors',
      'train and val in one file',
    ],
  ],
  run: async (args, options, context) => await runRewrite('merge', args, options, context),
};

export const castCommand: CommandSpec = {
  name: 'cast',
  description:
    'Makes a store with another dtype of the features. f16 and bf16 take half the space and round; f32 holds both exactly.',
  argument: { ...STORES, many: false },
  options: [DTYPE, ...OUTPUT],
  examples: [
    [
      'lxmert-data cast train2014_obj36.safetensors --dtype f16 --out train2014_obj36.f16.safetensors',
      'half the size',
    ],
  ],
  async run(args, options, context) {
    if (textOption(options, 'dtype') === undefined) {
      throw new LxmertDataError('ERR_USAGE', {
        what: 'cast needs a dtype',
        expected: `--dtype ${FEATURE_DTYPES.join(', ')}`,
      });
    }
    return await runRewrite('cast', args, options, context);
  },
};

async function runRewrite(
  name: string,
  args: readonly string[],
  options: OptionValues,
  context: CommandContext,
): Promise<boolean> {
  const stores = resolveStores(args, context.data);
  const out = storeName(textOption(options, 'out'), name);
  if (out === undefined) {
    throw new LxmertDataError('ERR_USAGE', {
      what: `${name} needs the name of the new store`,
      expected: '--out X.safetensors',
    });
  }
  const ids = textOption(options, 'ids');
  const result = await rewriteStores(
    {
      stores,
      out,
      ids: ids === undefined ? undefined : await readIdRule(ids),
      dtype: FEATURE_DTYPES.find(dtype => dtype === options['dtype']),
      force: options['force'] === true,
    },
    context,
  );
  context.emit({ event: 'result', stage: name, ok: true, ...result });
  const left = result.left_out === 0 ? '' : `, ${result.left_out} left out`;
  const line = `${out}: ${result.rows} images, ${formatBytes(result.bytes)}${left}`;
  context.finish(line, { done: result.rows, next: `lxmert-data verify ${quoted(out)}` });
  return true;
}
