import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { LxmertDataError } from '../../errors.ts';
import { makeDemoImages } from '../../extraction/demo-images.ts';
import { findImageSet } from '../../manifest/image-sets.ts';
import { startEmbeddedExtractor } from '../../extraction/embedded/start.ts';
import { planExtraction } from '../../extraction/plan-extraction.ts';
import { formatBytes } from '../../files/format-bytes.ts';
import { loadManifest } from '../../manifest/load.ts';
import { convert, defaultStorePath } from '../../stages/convert.ts';
import { exportTsv } from '../../stages/export-tsv.ts';
import { extract } from '../../stages/extract.ts';
import { fetchData } from '../../stages/fetch.ts';
import { validate } from '../../stages/validate.ts';
import { verifyStore } from '../../stages/verify-store.ts';
import { openStore } from '../../store/feature-store.ts';
import { UNTRAINED_WARNING } from '../../store/metadata.ts';
import { requireWeights } from '../choose-extractor.ts';
import { findTrainedWeights, resolveInputs } from '../inputs.ts';
import {
  type CommandContext,
  type CommandSpec,
  integerOption,
  type OptionValues,
  SUBSET_OPTION,
  textOption,
} from '../spec.ts';
import { quoted } from '../typed-commands.ts';
import { makeFolder } from '../../files/make-folder.ts';

/** Larger stores are not written as TSV again, only to compare. */
const MAX_ROWS_WRITTEN_BACK = 1000;

export const startCommand: CommandSpec = {
  name: 'start',
  description:
    'The main job from end to end: images to features to a verified store, read back. Uses a few drawn images, or those of --images. With a feature TSV or zip: validate, convert, verify, read back. Replaces nothing of yours without --force.',
  argument: {
    name: 'file',
    description: '.tsv or .zip',
    required: false,
    many: false,
    looksLike: /\.(tsv|zip)$/,
  },
  options: [
    {
      name: 'images',
      short: 'i',
      value: 'DIR',
      description: 'folder of images to extract',
      looksLike: /^[^.]*$|^\.{1,2}(\/|$)|\//,
    },
    {
      name: 'out',
      short: 'o',
      value: 'FILE',
      description: 'the store (default: beside FILE, or beside DIR)',
      looksLike: /\.safetensors$/,
    },
    {
      name: 'weights',
      short: 'w',
      value: 'FILE',
      description: 'caffemodel, or untrained',
      looksLike: /\.caffemodel$|^untrained$/,
    },
    { name: 'rois', value: 'N', description: 'regions looked at, 36 to 300 (default 300)', integer: true },
    SUBSET_OPTION,
    { name: 'force', short: 'f', description: 'replace an existing store' },
  ],
  examples: [
    ['npm start', 'see it work, on drawn images'],
    ['npm start -- train2014_obj36.zip', 'with your feature file'],
    ['npm start -- --images photos --out photos.safetensors', 'with your images'],
  ],
  async run(args, options, context) {
    const [file] = resolveInputs(args, context.data);
    const images = textOption(options, 'images');
    if (file !== undefined && images !== undefined) {
      throw new LxmertDataError('ERR_USAGE', {
        what: 'start takes a feature file or --images, not both',
        got: `${file} and --images ${images}`,
      });
    }
    const made =
      file !== undefined
        ? await convertFile(file, options, context)
        : images !== undefined
          ? await extractImages(images, options, context)
          : await extractDemo(options, context);
    if (made === undefined) return false;
    context.print('verify every byte of it');
    const verified = await verifyStore(made.store, context);
    if (verified.ok) context.print('  intact');
    else context.fault('  DAMAGED');
    const same = await readBack(made.store, context);
    const ok = verified.ok && same;
    context.emit({ event: 'result', stage: 'start', ok, store: made.store, rows: verified.rows });
    printNextSteps(made, context);
    context.finish(`${made.store}: ${verified.rows} images${ok ? '' : ', NOT AS EXPECTED'}`);
    return ok;
  },
};

/** A finished store, and the images it was made of where these are at hand. */
interface Made {
  readonly store: string;
  readonly images?: string;
}

function printNextSteps({ store, images }: Made, { print }: CommandContext): void {
  const shown = images === undefined ? '' : ` --images ${quoted(images)}`;
  print(
    `\nTrain from it, in Python:  from lxmert_data import FeatureStore; store = FeatureStore(${JSON.stringify(store)})`,
  );
  print(`Look at it, in a browser:  npm run inspect -- ${quoted(store)}${shown} --open`);
}

async function convertFile(
  file: string,
  options: OptionValues,
  context: CommandContext,
): Promise<Made | undefined> {
  const out = textOption(options, 'out') ?? defaultStorePath(file);
  const force = options['force'] === true;
  context.print(`validate and convert ${file}`);
  const { store, rows, bytes, errors, warnings } = await convert(
    { files: [file], out, force, subset: options['subset'] === true },
    context,
  );
  context.print(`  ${rows} valid rows, ${errors} errors, ${warnings} warnings`);
  if (store === null) {
    context.error(`nothing was published: ${errors} errors; convert with --skip-bad leaves invalid rows out`);
    return undefined;
  }
  context.print(`  ${store}: ${formatBytes(bytes)}`);
  return { store };
}

async function extractImages(
  images: string,
  options: OptionValues,
  context: CommandContext,
): Promise<Made | undefined> {
  const out = textOption(options, 'out') ?? `${resolve(images)}_obj36.safetensors`;
  return await extractTo({ images, out, force: options['force'] === true }, options, context);
}

/** Draws images and extracts them. What is in the demo folder is the demo's own and is replaced. */
async function extractDemo(options: OptionValues, context: CommandContext): Promise<Made | undefined> {
  const folder = join(context.data, 'demo');
  await makeFolder(folder);
  const images = await makeDemoImages(join(folder, 'images'));
  const given = textOption(options, 'out');
  const out = given ?? join(folder, 'demo_obj36.safetensors');
  const force = given === undefined || options['force'] === true;
  return await extractTo({ images, out, force }, options, context);
}

async function extractTo(
  { images, out, force }: { readonly images: string; readonly out: string; readonly force: boolean },
  options: OptionValues,
  context: CommandContext,
): Promise<Made | undefined> {
  const plan = await planExtraction(
    { split: findImageSet(await loadManifest(), 'custom'), images, data: context.data, out, force },
    context,
  );
  const weights = await chooseWeights(textOption(options, 'weights'), context);
  context.print(`extract 36-box features of ${plan.images.length} images in ${images}`);
  const start = startEmbeddedExtractor({
    weights,
    cacheDirectory: join(context.data, 'detector', 'converted'),
    rois: integerOption(options, 'rois'),
  });
  const result = await extract({ plan, extractors: { start: [start] } }, context);
  const { rows, wanted, detector, device } = result;
  context.print(
    `  ${rows} of ${wanted} images, by ${detector?.name ?? 'no detector'} on ${device ?? 'no device'}`,
  );
  for (const { img_id: id, reason } of result.missing) context.error(`no row for ${id}: ${reason}`);
  return result.out === null ? undefined : { store: result.out, images };
}

/** The trained weights where they exist or can be downloaded, else synthetic ones, said plainly. */
async function chooseWeights(given: string | undefined, context: CommandContext): Promise<string> {
  if (given !== undefined) {
    requireWeights({ weights: given });
    return given;
  }
  const trained = findTrainedWeights(context.data);
  if (existsSync(trained)) return trained;
  if (await fetchWeights(context)) return trained;
  context.print(`The trained weights were not found (${trained}), so synthetic weights are used.`);
  context.print(`${UNTRAINED_WARNING}. Every step is the real one.`);
  return 'untrained';
}

/** Tries once to fetch the trained weights, with little patience: this is a demonstration. */
async function fetchWeights(context: CommandContext): Promise<boolean> {
  context.print(
    'fetch the trained weights (262 MB), one try at each mirror; --weights untrained goes without them',
  );
  const result = await fetchData(
    {
      datasets: ['detector'],
      kinds: ['weights'],
      dataRoot: context.data,
      manifest: await loadManifest({}),
      transfer: { retry: { attempts: 1, firstDelayMs: 0, maxDelayMs: 0, maxRetryAfterMs: 0 } },
    },
    {
      signal: context.signal,
      emit(event) {
        if (event.event === 'progress') context.emit(event);
      },
    },
  ).catch((error: unknown) => {
    if (error instanceof LxmertDataError && error.code === 'ERR_FETCH') return error;
    throw error;
  });
  if (result instanceof LxmertDataError) {
    context.print(`  ${result.parts.what}`);
    return false;
  }
  const mirrors = result.failed.flatMap(({ reasons }) => reasons.map(({ mirror }) => mirror));
  if (mirrors.length > 0)
    context.print(`  not available from ${mirrors.join(', ')}; npm run fetch -- detector says why`);
  return result.ok;
}

/** Reads a row as training would, and proves that the TSV of the store has the bytes that it was made from. */
async function readBack(path: string, context: CommandContext): Promise<boolean> {
  context.print('read it back');
  const store = await openStore(path);
  const row = await store.row(store.rows - 1);
  const [source, ...others] = store.provenance.sources;
  await store.close();
  const peak = row.features.reduce((most, value) => Math.max(most, value), 0);
  context.print(
    `  image ${row.img_id} (${row.img_w}x${row.img_h}): 36 boxes, features 36 x 2048, largest ${peak.toFixed(3)}`,
  );
  const isComparable = source !== undefined && others.length === 0 && source.rejected === 0;
  if (!isComparable || store.rows > MAX_ROWS_WRITTEN_BACK) return true;
  const folder = await mkdtemp(join(tmpdir(), 'lxmert-data-'));
  try {
    const back = join(folder, `${basename(path, '.safetensors')}.tsv`);
    await exportTsv({ store: path, out: back }, context);
    const again = await validate({ files: [back] }, context);
    const same = again.sources[0]?.sha256 === source.sha256;
    if (same) context.print('  as TSV again: the same bytes as the rows it came from');
    else context.fault('  as TSV again: NOT the bytes of the rows it came from');
    return same;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
