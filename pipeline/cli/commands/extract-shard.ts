import { resolve } from 'node:path';
import { LxmertDataError } from '../../errors.ts';
import {
  hasPlan,
  isSifBackend,
  rowOptionsOf,
  UNIT_IMAGES,
  writePlan,
  type WrittenPlan,
} from '../../extraction/cluster/plan.ts';
import type { PublishResult } from '../../extraction/cluster/publish.ts';
import { nameUnits, type WorkerIndex } from '../../extraction/cluster/schedule.ts';
import { identifyWeights } from '../../extraction/cluster/weights-identity.ts';
import {
  type ExtractionRequest,
  type ExtractPlan,
  outputOf,
  planExtraction,
  rowFolderOf,
} from '../../extraction/plan-extraction.ts';
import { publishPlan } from '../../stages/extract-on-cluster.ts';
import { type Backend, chooseBackend, requireWeights } from '../choose-extractor.ts';
import { openReport } from '../report-file.ts';
import { type CommandContext, type OptionValues, textOption } from '../spec.ts';
import { quoted } from '../typed-commands.ts';
import { printPublication, publishOptions, runPlanWorker } from './extract-cluster.ts';

/** Units of each part, so that one that was interrupted loses little and others can take over the rest of it. */
const UNITS_OF_PART = 4;
/** What a plan has and a part does not. */
const OF_PLANS = ['plan', 'worker', 'publish', 'status', 'on', 'unit-images'];

/**
 * Part I of N of an extraction, on machines that share a folder: the first one plans, each computes its units, and the one
 * that ends last publishes.
 */
export async function runShard(
  request: ExtractionRequest,
  options: OptionValues,
  context: CommandContext,
): Promise<boolean> {
  const shard = parseShard(textOption(options, 'shard') ?? '');
  const others = OF_PLANS.filter(name => options[name] !== undefined);
  if (others.length > 0) {
    throw new LxmertDataError('ERR_USAGE', {
      what: '--shard I/N plans, works and publishes by itself',
      got: others.map(name => `--${name}`).join(' '),
      hint: 'either --shard I/N with the images, or --plan X.rows and --worker I/N',
    });
  }
  const report = await openReport(options, []);
  const backend = await chooseBackend(options, context);
  context.emit({ event: 'note', message: `backend ${backend.name}: ${backend.why}` });
  // The output of a plan may be there: a part that is run again when all is published is done.
  const isPlanned = await hasPlan(rowFolderOf(outputOf(request)));
  const listed = await planExtraction({ ...request, force: request.force === true || isPlanned }, context);
  if (options['dry-run'] === true) {
    await showShard(listed, shard, backend, context);
    requireWeights(backend);
    context.finish(`part ${shard.index}/${shard.count} would be extracted`, {
      next: 'the same without --dry-run',
    });
    return true;
  }
  const { plan, root, isNew } = await planShards(listed, shard, backend, options);
  const { folder } = plan;
  context.emit({
    event: 'note',
    message: isNew ? `planned in ${folder}` : `working on the plan in ${folder}`,
  });
  const work = { ...shard, plan, root, chosen: backend, ownOnly: true };
  const computed = await runPlanWorker(work, options, context);
  const published = await publishPlan(await publishOptions(plan, options, context), context);
  const isLast = published.missing_units.length === 0 && published.publisher === undefined;
  const ok = !isLast || published.ok;
  await report.write({ ...published, ok });
  const part = { shard: `${shard.index}/${shard.count}`, units: computed.units, images: computed.images };
  context.emit({ event: 'result', stage: 'extract', ...published, ok, ...part });
  const line = `part ${part.shard}: ${part.units} units, ${part.images} images computed`;
  if (isLast) {
    context.print(line);
    printPublication(published, context);
  } else {
    context.finish(`${line}; ${describeRest(published, shard)}`, {
      done: part.images,
      next: `lxmert-data extract --plan ${quoted(folder)} --status`,
    });
  }
  return ok;
}

/** Plans, or finds the plan of the same extraction. */
async function planShards(
  { rowFolder, out, images }: ExtractPlan,
  { count }: WorkerIndex,
  backend: Backend,
  options: OptionValues,
): Promise<WrittenPlan> {
  const fixed: Record<string, string> = {};
  const { name, weights } = backend;
  for (const option of rowOptionsOf(name)) {
    const value = textOption(options, option);
    if (value !== undefined) fixed[option] = value;
  }
  const image = textOption(options, 'image');
  if (image !== undefined && isSifBackend(name)) fixed['image'] = resolve(image);
  return await writePlan({
    folder: rowFolder,
    out,
    images,
    unitImages: unitImagesFor(images.length, count),
    backend: { ...fixed, backend: name, weights: weights === 'untrained' ? weights : resolve(weights) },
    weights: await identifyWeights(weights),
    ownPaths: true,
  });
}

function unitImagesFor(images: number, parts: number): number {
  return Math.min(UNIT_IMAGES, Math.max(1, Math.ceil(images / (parts * UNITS_OF_PART))));
}

async function showShard(
  listed: ExtractPlan,
  { index, count }: WorkerIndex,
  backend: Backend,
  context: CommandContext,
): Promise<void> {
  const { out, rowFolder, images } = listed;
  const shard = `${index}/${count}`;
  const counts = { images: images.length, rows_in: rowFolder, out };
  context.emit({ event: 'result', stage: 'extract', ok: true, ...counts, shard });
  context.show(
    `part ${shard} of ${images.length} images -> ${out}; rows of all parts in ${rowFolder} until then`,
  );
  for (const line of await backend.describe(listed)) context.show(line);
}

/** What is left for others when a part is done. */
function describeRest({ missing_units: open, publisher }: PublishResult, { count }: WorkerIndex): string {
  if (publisher !== undefined) return `${publisher} is publishing`;
  const parts = [...new Set(open.map(unit => (unit % count) + 1))].sort((a, b) => a - b);
  const some = parts.slice(0, 5).join(', ') + (parts.length > 5 ? ', …' : '');
  const left = `${open.length} units are not done: ${nameUnits(open)}, of part ${some}`;
  return `${left}; the part that ends last publishes`;
}

function parseShard(text: string): WorkerIndex {
  const [, index, count] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  const shard = { index: Number(index), count: Number(count) };
  if (shard.index >= 1 && shard.index <= shard.count) return shard;
  throw new LxmertDataError('ERR_USAGE', {
    what: '--shard needs a part and a number of parts',
    expected: 'I/N, such as 1/4',
    got: text,
  });
}
