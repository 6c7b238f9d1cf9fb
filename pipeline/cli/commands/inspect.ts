import { join } from 'node:path';
import { LxmertDataError } from '../../errors.ts';
import { formatBytes } from '../../files/format-bytes.ts';
import { inspectPair } from '../../stages/inspect-pair.ts';
import { inspectStore, type InspectResult } from '../../stages/inspect-store.ts';
import { readVocabulary, type Vocabulary } from '../../inspection/read-vocabulary.ts';
import { showAll } from '../../show-text.ts';
import {
  type CommandContext,
  type CommandSpec,
  integerOption,
  type OptionValues,
  textOption,
} from '../spec.ts';
import { resolveInputs } from '../inputs.ts';
import { openWithDesktop } from '../open-in-browser.ts';

const DEFAULT_LIMIT = 50;
const MAX_LISTED = 10;
const FOLDER = /^(?!.*\.(safetensors|html|png)$)([^.]*$|\.{1,2}(\/|$)|.*\/)/;

export const inspectCommand: CommandSpec = {
  name: 'inspect',
  description:
    'Writes one HTML file that shows what a store says: the store as a whole, and images with their 36 boxes, names, confidences and feature norms, the worst and oddest first. With two stores, shows them side by side.',
  argument: {
    name: 'store',
    description: '.safetensors store, or two; then img_ids to show',
    required: true,
    many: true,
  },
  options: [
    {
      name: 'images',
      value: 'DIR',
      description: 'folder of the images, found by img_id, sub-folders too',
      looksLike: FOLDER,
    },
    {
      name: 'vocab',
      value: 'DIR',
      description: 'folder of objects_vocab.txt and attributes_vocab.txt (default: vocab below --data)',
      looksLike: FOLDER,
    },
    {
      name: 'out',
      value: 'FILE',
      description: 'page to write (default: the name of the store with .html)',
      looksLike: /\.html$/,
    },
    {
      name: 'png',
      value: 'FILE',
      description: 'write a contact sheet; without --out, in place of the page',
      looksLike: /\.png$/,
    },
    {
      name: 'limit',
      value: 'N',
      description: `images to show where none is named (default ${DEFAULT_LIMIT})`,
      integer: true,
    },
    {
      name: 'sample',
      value: 'N',
      description: 'read only N images for the numbers of the whole store (default: all)',
      integer: true,
    },
    { name: 'threads', value: 'N', description: 'reading threads (default: all cores)', integer: true },
    { name: 'open', description: 'open the page in a browser' },
    { name: 'force', description: 'replace existing files' },
  ],
  examples: [
    [
      'lxmert-data inspect train2014_obj36.safetensors --images train2014',
      'the oddest images, and the store as a whole',
    ],
    ['lxmert-data inspect x.safetensors COCO_train2014_000000458752 --open', 'one image'],
    ['lxmert-data inspect x.safetensors --png x.png --limit 12', 'a picture for a terminal or a paper'],
    ['lxmert-data inspect mine.safetensors published.safetensors', 'two stores side by side'],
  ],
  async run(words, options, context) {
    const isStore = (word: string): boolean => word.endsWith('.safetensors');
    const stores = resolveInputs(words.filter(isStore), context.data);
    const [first, second, ...others] = stores;
    if (first === undefined || others.length > 0) {
      throw new LxmertDataError('ERR_USAGE', {
        what: 'inspect needs one store, or two to compare',
        expected: 'names that end in .safetensors',
        got: first === undefined ? words.join(' ') : `${stores.length} stores`,
      });
    }
    const settings = {
      ids: words.filter(word => !isStore(word)),
      limit: integerOption(options, 'limit') ?? DEFAULT_LIMIT,
      sample: integerOption(options, 'sample'),
      images: textOption(options, 'images'),
      vocabulary: await findVocabulary(options, context),
      force: options['force'] === true,
      threads: integerOption(options, 'threads'),
      ...chooseOutputs(options, first),
    };
    const result =
      second === undefined
        ? await inspectStore({ store: first, ...settings }, context)
        : await inspectPair({ stores: [first, second], ...settings }, context);
    const { ok, ...details } = result;
    context.emit({ event: 'result', stage: 'inspect', ok, ...details, out: settings.out, png: settings.png });
    if ('agreement' in result) for (const line of result.agreement) context.print(line);
    else describe(result, context);
    await announce(settings, details.page_bytes, options, context);
    if (details.lettered === false) {
      context.emit({
        event: 'warning',
        message:
          'this machine has no font, so the picture has no words; install one, for instance fonts-dejavu-core',
      });
    }
    return ok;
  },
};

interface Outputs {
  readonly out?: string | undefined;
  readonly png?: string | undefined;
}

function chooseOutputs(options: OptionValues, store: string): Outputs {
  const png = textOption(options, 'png');
  const out =
    textOption(options, 'out') ?? (png === undefined ? store.replace(/\.safetensors$/, '.html') : undefined);
  for (const [path, ending] of [
    [out, '.html'],
    [png, '.png'],
  ] as const) {
    if (path?.endsWith(ending) === false)
      throw new LxmertDataError('ERR_USAGE', {
        what: 'the output has the wrong ending',
        expected: `a name that ends in ${ending}`,
        got: path,
      });
  }
  return { out, png };
}

async function findVocabulary(
  options: OptionValues,
  context: CommandContext,
): Promise<Vocabulary | undefined> {
  const asked = textOption(options, 'vocab');
  return await readVocabulary(asked ?? join(context.data, 'vocab'), asked !== undefined);
}

function describe(result: InspectResult, { print }: CommandContext): void {
  const { images, surveyed, flawed, odd, shown } = result;
  print(
    `${surveyed === images ? `${images} images read` : `${surveyed} of ${images} images read`}: ${flawed === 0 ? 'no flaw found' : `${flawed} FLAWED`}, ${odd} out of the ordinary`,
  );
  const named = shown.filter(({ reasons }) => reasons.length > 0);
  for (const { img_id: id, reasons } of named.slice(0, MAX_LISTED))
    print(`  ${showAll(id)}: ${reasons.join('; ')}`);
}

async function announce(
  { out, png }: Outputs,
  bytes: number | undefined,
  options: OptionValues,
  context: CommandContext,
): Promise<void> {
  if (png !== undefined) context.print(png);
  if (out !== undefined)
    context.print(`${out}: ${formatBytes(bytes ?? 0)}, opens in any browser, needs nothing else`);
  if (options['open'] !== true) return;
  const shown = out ?? png!;
  if (!(await openWithDesktop(shown)))
    context.emit({
      event: 'note',
      message: `no program could be started to show ${shown}; open it in a browser yourself`,
    });
}
