import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDemoImages } from '../../extraction/demo-images.ts';
import { LxmertDataError } from '../../errors.ts';
import { findSplit } from '../../extraction/splits.ts';
import { startEmbeddedExtractor } from '../../extraction/embedded/start.ts';
import { convert, defaultStorePath } from '../../stages/convert.ts';
import { exportTsv } from '../../stages/export-tsv.ts';
import { planExtraction } from '../../extraction/plan-extraction.ts';
import { extract } from '../../stages/extract.ts';
import { validate } from '../../stages/validate.ts';
import { fetchData } from '../../stages/fetch.ts';
import { verifyStore } from '../../stages/verify-store.ts';
import { loadManifest } from '../../manifest/load.ts';
import { openStore } from '../../store/feature-store.ts';
import { type CommandContext, type CommandSpec, integerOption, textOption } from '../spec.ts';
import { DEFAULT_WEIGHTS, resolveInputs } from '../inputs.ts';

export const startCommand: CommandSpec = {
  name: 'start',
  description:
    'Takes images to features to a verified store and reads it back: a few images drawn for it, or those of --images. With a feature TSV or zip, takes that through validate, convert, verify and a read-back.',
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
      value: 'DIR',
      description: 'folder of images to extract',
      looksLike: /^[^.]*$|^\.{1,2}(\/|$)|\//,
    },
    {
      name: 'weights',
      value: 'FILE',
      description: 'caffemodel, or untrained',
      looksLike: /\.caffemodel$|^untrained$/,
    },
    { name: 'rois', value: 'N', description: 'regions looked at, 36 to 300 (default 300)', integer: true },
  ],
  examples: [
    ['npm start', 'see it work, on images drawn for it'],
    ['npm start -- train2014_obj36.zip', 'do it with your feature file'],
    ['npm start -- --images photos', 'do it with your images'],
  ],
  async run(words, options, context) {
    const [given] = resolveInputs(words, context.data);
    const store =
      given === undefined ? await extractImages(options, context) : await convertFile(given, context);
    if (store === undefined) return false;
    context.print('verify every byte of it');
    const verified = await verifyStore(store, context);
    context.print(`  ${verified.ok ? 'intact' : 'DAMAGED'}`);
    const same = await readBack(store, context);
    context.emit({ event: 'result', stage: 'start', ok: verified.ok && same, store, rows: verified.rows });
    context.print(
      `\nTrain from it, in Python:  from lxmert_data import FeatureStore; store = FeatureStore("${store}")`,
    );
    const images =
      given === undefined ? ` --images ${textOption(options, 'images') ?? demoImages(context.data)}` : '';
    context.print(`Look at it, in a browser:  npm run inspect -- ${store}${images} --open`);
    return verified.ok && same;
  },
};

async function convertFile(file: string, context: CommandContext): Promise<string | undefined> {
  context.print(`validate ${file}`);
  const checked = await validate({ files: [file] }, context);
  context.print(
    `  ${checked.sources[0]!.rows} sound rows, ${checked.errors} errors, ${checked.warnings} warnings`,
  );
  if (!checked.ok) return undefined;
  const store = defaultStorePath(file);
  context.print(`convert it to ${store}`);
  const converted = await convert({ files: [file], out: store, force: true }, context);
  context.print(`  ${converted.rows} images, ${converted.bytes} bytes`);
  return converted.store ?? undefined;
}

function demoImages(data: string): string {
  return join(data, 'demo', 'images');
}

async function extractImages(
  options: Parameters<CommandSpec['run']>[1],
  context: CommandContext,
): Promise<string | undefined> {
  const demo = join(context.data, 'demo');
  await mkdir(demo, { recursive: true });
  const images = textOption(options, 'images') ?? (await makeDemoImages(demoImages(context.data)));
  const weights = await chooseWeights(textOption(options, 'weights'), context);
  context.print(
    `extract 36-box features of the images in ${images} (about 5 to 15 s an image on two processor cores)`,
  );
  const start = startEmbeddedExtractor({
    weights,
    cacheDirectory: join(context.data, 'detector', 'converted'),
    rois: integerOption(options, 'rois'),
  });
  const out = join(demo, 'demo_obj36.safetensors');
  const request = { split: findSplit('custom'), images, data: context.data, out, force: true };
  const plan = await planExtraction(request, context);
  const result = await extract({ plan, extractors: { start: [start] } }, context);
  context.print(
    `  ${result.rows} of ${result.wanted} images, by ${result.detector?.name ?? 'nothing'} on ${result.device ?? 'nothing'}`,
  );
  for (const { img_id: id, reason } of result.missing) context.print(`  no row for ${id}: ${reason}`);
  return result.out ?? undefined;
}

/** The trained weights where they are or can be fetched, else those of the formula, said plainly. */
async function chooseWeights(given: string | undefined, context: CommandContext): Promise<string> {
  const { data, print } = context;
  const trained = given ?? join(data, DEFAULT_WEIGHTS);
  if (trained === 'untrained' || existsSync(trained)) return trained;
  if (given !== undefined) {
    const hint = 'or give --weights untrained';
    throw new LxmertDataError('ERR_INPUT', { what: 'there is no such file of weights', where: given, hint });
  }
  if (await fetchWeights(context)) return trained;
  print(
    `The trained weights are not to be had (${trained}), so the network runs with weights made by a formula:`,
  );
  print(
    'UNTRAINED. Every step is the real one, but the numbers are those of no detector; train nothing on them.',
  );
  return 'untrained';
}

/** Tries once to fetch the trained weights, without much patience: this is a demonstration. */
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
      steps: { convert, verifyStore, exportTsv },
    },
    {
      signal: context.signal,
      emit(event) {
        if (event.event === 'progress') context.emit(event);
      },
    },
  );
  for (const { reasons } of result.failed) {
    for (const { mirror, reason } of reasons) context.print(`  ${mirror}: ${reason}`);
  }
  return result.ok;
}

/** Reads a row as training would, and proves that TSV and store say the same. */
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
  if (source === undefined || others.length > 0 || source.rejected !== 0 || store.rows > 1000) return true;
  const back = path.replace(/\.safetensors$/, '.back.tsv');
  await exportTsv({ store: path, out: back, force: true }, context);
  const again = await validate({ files: [back] }, context);
  const same = again.sources[0]!.sha256 === source.sha256;
  context.print(
    `  as TSV again: ${back}, ${same ? 'the same bytes as the rows it came from' : 'OTHER BYTES than the rows it came from'}`,
  );
  return same;
}
