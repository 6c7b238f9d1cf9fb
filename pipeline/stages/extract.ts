import { mkdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import { type ListedImage, listImages } from '../extraction/list-images.ts';
import { openOrderedRows } from '../extraction/ordered-rows.ts';
import { RowFolder } from '../extraction/row-folder.ts';
import { runExtractors } from '../extraction/run-extractors.ts';
import type { Split } from '../extraction/splits.ts';
import type { DetectorName } from '../extraction/contract.ts';
import type { StartExtractor } from '../extraction/process.ts';
import { writeAtomically } from '../files/atomic.ts';
import { checkFreeSpace, checkOutput } from '../files/checks.ts';
import { type ConvertResult, convertSources } from './convert.ts';
import { writeReport } from '../report/write-report.ts';
import { readFirstIds } from '../inputs/pinned-ids.ts';

/** A row as TSV and in the store, for the check of free disk space. */
const BYTES_PER_IMAGE = 395_182 + 296_400;

export interface ExtractOptions {
  readonly split: Split;
  /** Folder of images, or a text file that names them. */
  readonly images: string;
  /** Root of the data. */
  readonly data: string;
  /** .safetensors or .tsv; default: what LXMERT opens for this split, below the data root. */
  readonly out?: string | undefined;
  /** Part `index` (from 1) of `count` of the images, for several machines. */
  readonly shard?: { readonly index: number; readonly count: number } | undefined;
  /** Only the first so many images. */
  readonly limit?: number | undefined;
  /** One entry an extractor that runs at the same time; or what makes them ready once it is known what to do. */
  readonly starts: readonly StartExtractor[] | ((plan: ExtractPlan) => Promise<Extractors>);
  readonly stallSeconds?: number | undefined;
  /** Publishes what there is even if images have no row. */
  readonly skipBad?: boolean | undefined;
  /** Keeps the rows of the extraction after the store is made. */
  readonly keepRows?: boolean | undefined;
  readonly force?: boolean | undefined;
  readonly report?: string | undefined;
}

/** Extractors, and how they see a path of this machine. */
export interface Extractors {
  readonly starts: readonly StartExtractor[];
  readonly seenAs?: (path: string) => string;
}

export interface ExtractResult {
  /** Every image has its row. */
  readonly ok: boolean;
  readonly out: string | null;
  readonly wanted: number;
  readonly rows: number;
  /** Rows that an earlier run had made. */
  readonly resumed: number;
  readonly detector: DetectorName | undefined;
  readonly device: string | undefined;
  /** Images without a row, and why. */
  readonly missing: readonly { readonly img_id: string; readonly path: string; readonly reason: string }[];
}

export interface ExtractPlan {
  readonly out: string;
  readonly rowFolder: string;
  readonly images: readonly ListedImage[];
  readonly bytes: number;
}

/** Decides what to extract and where to, and checks it, before anything starts. */
export async function planExtraction(
  options: Omit<ExtractOptions, 'starts'>,
  context: StageContext,
): Promise<ExtractPlan> {
  const { split, data } = options;
  const out = options.out ?? join(data, defaultName(split, options.shard));
  const { images: all, left_out: left } = await listImages(options.images, split.recursive);
  for (const [reason, count] of Object.entries(left)) {
    context.emit({
      event: 'warning',
      message: `${count} files of ${options.images} are no images (${reason}) and left out`,
    });
  }
  const chosen = await orderImages(all, split, data, context);
  const { shard } = options;
  const part = shard === undefined ? chosen : chosen.slice(...shardRange(chosen.length, shard));
  const images = part.slice(0, options.limit);
  await mkdir(dirname(out), { recursive: true });
  await checkOutput(out, options.force === true);
  return {
    out,
    rowFolder: `${out.replace(/\.(safetensors|tsv)$/, '')}.rows`,
    images,
    bytes: images.length * BYTES_PER_IMAGE,
  };
}

/** Extracts the features of a split's images and publishes them; what an earlier run did is not done again. */
export async function extract(options: ExtractOptions, context: StageContext): Promise<ExtractResult> {
  const plan = await planExtraction(options, context);
  // Before rows are looked at: extractors that a killed run has left may still be writing some.
  const extractors: Extractors =
    typeof options.starts === 'function' ? await options.starts(plan) : { starts: options.starts };
  const folder = await RowFolder.open(plan.rowFolder, message => context.emit({ event: 'note', message }));
  try {
    const left = plan.images.filter(({ img_id: id }) => !folder.rows.has(id));
    const resumed = plan.images.length - left.length;
    if (resumed > 0)
      context.emit({ event: 'note', message: `${resumed} of ${plan.images.length} images are done already` });
    await checkFreeSpace(plan.out, left.length * BYTES_PER_IMAGE + resumed * 296_400);
    let done = resumed;
    const doneBy = extractors.starts.map(() => 0);
    const began = Date.now();
    const progress = (): void => {
      const total = plan.images.length;
      const seconds = (Date.now() - began) / 1000;
      const rates = doneBy.map(count => (count / seconds).toPrecision(2));
      context.emit({
        event: 'progress',
        stage: 'extract',
        input: basename(plan.out),
        done,
        total,
        unit: 'images',
        ...(rates.length > 1 && seconds > 1 ? { detail: `workers ${rates.join(' + ')} images/s` } : {}),
      });
    };
    progress();
    const { stallSeconds = 600 } = options;
    const onDone = (worker: number): void => {
      done++;
      doneBy[worker]!++;
      progress();
    };
    const run = await runExtractors({ images: left, folder, ...extractors, stallSeconds, onDone }, context);
    const missing = plan.images
      .filter(({ img_id: id }) => !folder.rows.has(id))
      .map(image => ({ ...image, reason: run.failures.get(image.img_id) ?? 'no row' }));
    const detector = run.detector ?? (await folder.readDetector());
    const rows = plan.images.length - missing.length;
    const publishable = rows > 0 && (missing.length === 0 || options.skipBad === true);
    const published = publishable && (await publishRows(plan, folder, detector, options, context));
    const result: ExtractResult = {
      ok: published && missing.length === 0,
      out: published ? plan.out : null,
      wanted: plan.images.length,
      rows,
      resumed,
      detector,
      device: run.device,
      missing,
    };
    if (options.report !== undefined) await writeReport(options.report, result);
    // With images missing the rows stay, so that a rerun tries only those.
    if (result.ok && options.keepRows !== true) await folder.remove();
    return result;
  } finally {
    await folder.close();
  }
}

function defaultName(split: Split, shard: ExtractOptions['shard']): string {
  // Parts are joined by convert, which takes TSVs.
  return shard === undefined
    ? `${split.target}.safetensors`
    : `${split.target}-${shard.index}-of-${shard.count}.tsv`;
}

/** Names first the images that LXMERT takes by their place, then all others by name. */
async function orderImages(
  images: readonly ListedImage[],
  split: Split,
  data: string,
  context: StageContext,
): Promise<readonly ListedImage[]> {
  const byId = new Map(images.map(image => [image.img_id, image]));
  if (split.only !== undefined) {
    const list = join(data, split.only);
    if ((await stat(list).catch(() => undefined)) === undefined) {
      throw new LxmertDataError('ERR_INPUT', {
        what: `${split.dataset}/${split.split} needs the list of its images`,
        where: list,
        hint: `fetch ${split.only} first`,
      });
    }
    const { ids } = await readFirstIds(list);
    const absent = ids.filter(id => !byId.has(id));
    if (absent.length > 0) throw absentImages(list, absent, ids.length);
    return ids.map(id => byId.get(id)!);
  }
  if (split.first === undefined) return images;
  const list = join(data, split.first);
  if ((await stat(list).catch(() => undefined)) === undefined) {
    const message = `${list} is not there, so minival's images do not come first; LXMERT takes the first 5,000 rows of this file for minival`;
    context.emit({ event: 'warning', message });
    return images;
  }
  const { ids } = await readFirstIds(list);
  const absent = ids.filter(id => !byId.has(id));
  if (absent.length > 0) throw absentImages(list, absent, ids.length);
  const leading = new Set(ids);
  return [...ids.map(id => byId.get(id)!), ...images.filter(({ img_id: id }) => !leading.has(id))];
}

function absentImages(where: string, absent: readonly string[], of: number): LxmertDataError {
  return new LxmertDataError('ERR_INPUT', {
    what: 'images that this list names are not in the folder',
    where,
    expected: `${of} images`,
    got: `${absent.length} missing: ${absent.slice(0, 5).join(', ')}${absent.length > 5 ? ', …' : ''}`,
    hint: 'give the folder that holds all of them',
  });
}

function shardRange(
  count: number,
  { index, count: parts }: { readonly index: number; readonly count: number },
): [number, number] {
  return [Math.floor(((index - 1) * count) / parts), Math.floor((index * count) / parts)];
}

async function publishRows(
  plan: ExtractPlan,
  folder: RowFolder,
  detector: DetectorName | undefined,
  options: ExtractOptions,
  context: StageContext,
): Promise<boolean> {
  const ids = plan.images.map(({ img_id: id }) => id);
  const name = `${basename(plan.out).replace(/\.(safetensors|tsv)$/, '')}.tsv`;
  const source = openOrderedRows(folder, ids, name);
  try {
    if (plan.out.endsWith('.tsv')) {
      await copyRows(source, plan.out, options.force);
      return true;
    }
    const made: ConvertResult = await convertSources(
      [source],
      plan.out,
      {
        force: options.force,
        ...(detector === undefined ? {} : { detector: { ...detector } }),
        countRows: false,
      },
      context,
    );
    return made.store !== null;
  } finally {
    await source.close();
  }
}

async function copyRows(
  source: ReturnType<typeof openOrderedRows>,
  out: string,
  force: boolean | undefined,
): Promise<void> {
  await writeAtomically(
    out,
    'tsv',
    async file => {
      const chunk = Buffer.allocUnsafe(1 << 20);
      for (let read = await source.read(chunk); read > 0; read = await source.read(chunk)) {
        await file.writeFile(chunk.subarray(0, read));
      }
    },
    { force },
  );
}
