import { join } from 'node:path';
import { LxmertDataError } from '../../errors.ts';
import { formatBytes } from '../../files/format-bytes.ts';
import { inspectPair, type InspectPairOptions } from '../../stages/inspect-pair.ts';
import { type InspectOptions, inspectStore, type InspectResult } from '../../stages/inspect-store.ts';
import { readVocabulary, type Vocabulary } from '../../inspection/read-vocabulary.ts';
import { formatSimilarity, showAll } from '../../show-text.ts';
import {
  type CommandContext,
  type CommandSpec,
  integerOption,
  type OptionValues,
  textOption,
} from '../spec.ts';
import { resolveStores } from '../inputs.ts';
import { openWithDesktop } from '../open-in-browser.ts';
import { quoted } from '../typed-commands.ts';

const DEFAULT_LIMIT = 50;
const MAX_LISTED = 10;
const FOLDER = /^(?!.*\.(safetensors|html|png)$)([^.]*$|\.{1,2}(\/|$)|.*\/)/;

export const inspectCommand: CommandSpec = {
  name: 'inspect',
  description:
    'Writes one HTML file about a store: distributions over the whole store, and images with their 36 boxes, names, confidences and feature norms, the worst first. With two stores, shows them side by side.',
  argument: {
    name: 'store',
    description: '.safetensors store, or two; then img_ids to show',
    required: true,
    many: true,
  },
  options: [
    {
      name: 'images',
      short: 'i',
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
      short: 'o',
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
      description: `images to show if none is named (default ${DEFAULT_LIMIT})`,
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
    { name: 'force', short: 'f', description: 'replace existing files' },
  ],
  examples: [
    [
      'lxmert-data inspect train2014_obj36.safetensors --images train2014',
      'the worst images, and the store as a whole',
    ],
    ['lxmert-data inspect x.safetensors COCO_train2014_000000458752 --open', 'one image'],
    ['lxmert-data inspect x.safetensors --png x.png --limit 12', 'a picture for a terminal or a paper'],
    ['lxmert-data inspect mine.safetensors published.safetensors', 'two stores side by side'],
  ],
  async run(args, options, context) {
    // Everything else is an img_id, which has no ending of ours.
    const isStore = (arg: string): boolean => /\.(safetensors|tsv|zip)$/i.test(arg);
    const [first, second, ...others] = resolveStores(args.filter(isStore), context.data);
    if (first === undefined || others.length > 0) {
      throw new LxmertDataError('ERR_USAGE', {
        what: 'inspect needs one store, or two to compare',
        expected: 'names that end in .safetensors',
        got: first === undefined ? args.join(' ') : `${others.length + 2} stores`,
      });
    }
    const outputs = chooseOutputs(options, first);
    const settings = {
      ids: args.filter(arg => !isStore(arg)),
      limit: integerOption(options, 'limit') ?? DEFAULT_LIMIT,
      sample: integerOption(options, 'sample'),
      images: textOption(options, 'images'),
      vocabulary: await findVocabulary(options, context),
      force: options['force'] === true,
    };
    const done =
      second === undefined
        ? await runStore(
            { store: first, ...settings, ...outputs, threads: integerOption(options, 'threads') },
            context,
          )
        : await runPair({ stores: [first, second], ...settings, out: onePage(outputs) }, context);
    await announce(outputs, done.pageBytes, options, context);
    const store = [first, ...(second === undefined ? [] : [second])].map(quoted).join(' ');
    context.finish(`${done.images} images inspected`, {
      done: done.images,
      next:
        options['open'] === true
          ? undefined
          : `open it with a browser, or lxmert-data inspect ${store} --open --force`,
    });
    return done.ok;
  },
};

interface Done {
  readonly ok: boolean;
  readonly pageBytes: number | undefined;
  readonly images: number;
}

async function runStore(settings: InspectOptions, context: CommandContext): Promise<Done> {
  const result = await inspectStore(settings, context);
  const { ok, ...details } = result;
  context.emit({ event: 'result', stage: 'inspect', ok, ...details, out: settings.out, png: settings.png });
  describe(result, context);
  if (result.lettered === false) {
    context.emit({
      event: 'warning',
      message: 'no font was found, so the picture has no text; install one, for instance fonts-dejavu-core',
    });
  }
  return { ok, pageBytes: result.page_bytes, images: result.surveyed };
}

async function runPair(settings: InspectPairOptions, context: CommandContext): Promise<Done> {
  const result = await inspectPair(settings, context);
  const { ok, ...details } = result;
  context.emit({ event: 'result', stage: 'inspect', ok, ...details, out: settings.out });
  const { images, totals, only_in_first: first, only_in_second: second } = result;
  const { print } = context;
  print(
    `${images} images in both, ${first} only in the first, ${second} only in the second; ${totals.images} compared`,
  );
  print(
    `cosine of features: mean ${formatSimilarity(totals.cosine_mean)}, worst ${formatSimilarity(totals.cosine_worst)}; overlap of boxes (IoU): mean ${formatSimilarity(totals.iou_mean)}`,
  );
  return { ok, pageBytes: result.page_bytes, images };
}

/** A contact sheet shows one store only. Fails with ERR_USAGE where one was asked for. */
function onePage({ out, png }: Outputs): string {
  if (out !== undefined && png === undefined) return out;
  throw new LxmertDataError('ERR_USAGE', {
    what: 'a contact sheet shows one store only',
    hint: 'leave out --png, or name one store',
  });
}

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

function describe(result: InspectResult, context: CommandContext): void {
  const { images, surveyed, invalid, outliers, shown } = result;
  const print = invalid === 0 ? context.print : context.fault;
  print(
    `${surveyed === images ? `${images} images read` : `${surveyed} of ${images} images read`}: ${invalid === 0 ? 'none invalid' : `${invalid} INVALID`}, ${outliers} outliers`,
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
  if (out !== undefined) context.print(`${out}: ${formatBytes(bytes ?? 0)}, opens in any browser, offline`);
  if (options['open'] !== true) return;
  const shown = out ?? png!;
  if (!(await openWithDesktop(shown)))
    context.emit({
      event: 'note',
      message: `no program could be started to show ${shown}; open it in a browser`,
    });
}
