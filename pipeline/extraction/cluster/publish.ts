import { readdir, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { digestHandle } from '../../files/digest.ts';
import { LxmertDataError } from '../../errors.ts';
import type { StageContext } from '../../events.ts';
import { checkFreeSpace, checkOutput } from '../../files/checks.ts';
import { openOwn } from '../../files/open-checked.ts';
import { v } from '../../schema.ts';
import type { DetectorName } from '../contract.ts';
import { readDetectorFile } from '../detector-file.ts';
import { extractionBytes } from '../plan-extraction.ts';
import { type PublishedFile, publishSource, sourceNameOf } from '../publish-rows.ts';
import { readJsonFile, writeJsonFile } from './json-file.ts';
import { failedFile, unitOfFailures } from './layout.ts';
import { isMadeOf } from './earlier-output.ts';
import type { ClusterPlan } from './plan.ts';
import { claimPublication } from './publisher.ts';
import { listDoneUnits, nameUnits } from './schedule.ts';
import { UnitSource } from './unit-source.ts';

const factsSchema = v.array(v.object({ img_id: v.string(), path: v.string(), reason: v.string() }));
const publishedSchema = v.object({
  out: v.string(),
  rows: v.number(),
  time: v.number(),
  /** The rows are still there, and may be published again. */
  kept: v.optional(v.boolean()),
});

/** How long another publication that just made the same file may take to say so. */
const SAYS_SO_MS = 5000;
const POLL_MS = 100;

type Published = v.InferOutput<typeof publishedSchema>;

/** An image without a row, and why. */
export type MissingImage = v.InferOutput<typeof factsSchema>[number];

export interface PublishOptions {
  readonly plan: ClusterPlan;
  /** Publish without the images that have no row. */
  readonly skipBad: boolean;
  readonly keepRows: boolean;
  readonly force: boolean;
  /** What is known of weights, by their sha256. */
  readonly verdicts?: PublishedFile['verdicts'];
}

export interface PublishResult {
  /** Every image has its row. */
  readonly ok: boolean;
  readonly out: string | null;
  readonly wanted: number;
  readonly rows: number;
  readonly detector: DetectorName | undefined;
  readonly missing: readonly MissingImage[];
  /** Units that nobody has finished. */
  readonly missing_units: readonly number[];
  /** Another process that publishes at the moment. */
  readonly publisher?: string | undefined;
}

/** What an earlier publication made; undefined where there was none. */
export async function readPublished(folder: string): Promise<Published | undefined> {
  return await readJsonFile(join(folder, 'published.json'), publishedSchema);
}

/** Images of a plan that have no row, from the facts of its units. */
export async function readFailures(folder: string): Promise<readonly MissingImage[]> {
  const units: number[] = [];
  for (const name of await readdir(join(folder, 'units'))) {
    const unit = unitOfFailures(name);
    if (unit !== undefined) units.push(unit);
  }
  const facts: MissingImage[] = [];
  for (const unit of units.sort((a, b) => a - b))
    facts.push(...((await readJsonFile(failedFile(folder, unit), factsSchema)) ?? []));
  return facts;
}

/**
 * Makes the one output of a plan's units, in one pass: the bytes of an extraction on one machine. Publishes nothing where
 * units are missing, images without `skipBad`, or where another process publishes. Should two publish, as after a
 * suspended one, the second finds the first one's output. Fails (ERR_INPUT) where a unit has other rows than the plan,
 * and where the output that was published is gone and so are its rows.
 */
export async function publishUnits(options: PublishOptions, context: StageContext): Promise<PublishResult> {
  const { plan, skipBad } = options;
  const { folder, units } = plan;
  const before = await findPublished(plan);
  if (before !== undefined) return await describePublished(plan, before, context);
  const done = listDoneUnits(folder);
  const open = Array.from({ length: units }, (_, unit) => unit).filter(unit => !done.has(unit));
  const missing = await readFailures(folder);
  const wanted = plan.file.images;
  const rows = wanted - missing.length;
  const detector = await readDetectorFile(folder);
  const nothing = { ok: false, out: null, wanted, rows, detector, missing, missing_units: open };
  if (open.length > 0 || rows === 0 || (missing.length > 0 && !skipBad)) return nothing;
  const claim = await claimPublication(folder, context.signal);
  if (claim.release === undefined) return { ...nothing, publisher: claim.holder };
  try {
    const meanwhile = await findPublished(plan);
    if (meanwhile !== undefined) return await describePublished(plan, meanwhile, context);
    const isMade = await publishAll(options, { missing, detector }, context);
    return isMade ? { ...nothing, ok: missing.length === 0, out: plan.out } : nothing;
  } finally {
    await claim.release();
  }
}

interface Finished {
  readonly missing: readonly MissingImage[];
  readonly detector: DetectorName | undefined;
}

/** False where rows were rejected. */
async function publishAll(
  { plan, keepRows, force, verdicts }: PublishOptions,
  { missing, detector }: Finished,
  context: StageContext,
): Promise<boolean> {
  const { out } = plan;
  const wanted = plan.file.images;
  const open = async (): Promise<UnitSource> => await openSource(plan, missing);
  if (!force && (await isMadeOf(out, sourceNameOf(out), open, context))) {
    await finishPublication(plan, missing, keepRows);
    return true;
  }
  await checkOutput(out, force);
  await checkFreeSpace(out, extractionBytes(0, wanted));
  context.emit({ event: 'note', message: `publishing ${wanted} images to ${basename(out)}` });
  try {
    await checkList(plan);
    const rows = await open();
    try {
      if (!(await publishSource(rows, { out, force, detector, verdicts }, context))) return false;
    } finally {
      await rows.close();
    }
  } catch (error) {
    if (context.signal.aborted || !(await isPublishedByOther(plan, error))) throw error;
    context.emit({ event: 'note', message: `${out} was published by another process in the meantime` });
    return true;
  }
  await finishPublication(plan, missing, keepRows);
  return true;
}

async function openSource(plan: ClusterPlan, missing: readonly MissingImage[]): Promise<UnitSource> {
  const excused = new Set(missing.map(({ img_id: id }) => id));
  return await UnitSource.open(plan, { name: sourceNameOf(plan.out), excused });
}

/** Records what was published, and removes rows. Where images have no row, these may come yet, and all rows stay. */
async function finishPublication(
  { folder, out, file }: ClusterPlan,
  missing: readonly MissingImage[],
  keepRows: boolean,
): Promise<void> {
  if (missing.length > 0) return;
  const published = { out, rows: file.images, time: Date.now() };
  await writeJsonFile(join(folder, 'published.json'), keepRows ? { ...published, kept: true } : published);
  if (!keepRows) await removeRows(folder);
}

/** What was published and still holds. Fails (ERR_INPUT) where neither output nor rows are there any more. */
async function findPublished(plan: ClusterPlan): Promise<Published | undefined> {
  const published = await readPublished(plan.folder);
  if (published === undefined || (await stat(plan.out).catch(() => undefined)) !== undefined)
    return published;
  if (published.kept === true) return undefined;
  throw new LxmertDataError('ERR_INPUT', {
    what: 'the output of this plan was published and is gone, and so are its rows',
    where: plan.out,
    hint: `bring it back; or extract again after rm -r ${plan.folder}`,
  });
}

async function describePublished(
  { folder, out, file }: ClusterPlan,
  { rows, kept }: Published,
  context: StageContext,
): Promise<PublishResult> {
  // The publication may have died before it had removed them all.
  if (kept !== true) await removeRows(folder);
  context.emit({ event: 'note', message: `${out} was published before` });
  const detector = await readDetectorFile(folder);
  return { ok: true, out, wanted: file.images, rows, detector, missing: [], missing_units: [] };
}

/** Whether a failure to publish comes of another process that published the same rows at the same time. */
async function isPublishedByOther({ folder }: ClusterPlan, error: unknown): Promise<boolean> {
  const hasOutput = error instanceof LxmertDataError && error.code === 'ERR_OUTPUT_EXISTS';
  const until = Date.now() + (hasOutput ? SAYS_SO_MS : 0);
  for (;;) {
    if ((await readPublished(folder)) !== undefined) return true;
    if (Date.now() >= until) return false;
    await delay(POLL_MS);
  }
}

/** Fails (ERR_INPUT) where the list of images is not the one that was planned. */
async function checkList({ folder, file }: ClusterPlan): Promise<void> {
  const path = join(folder, 'images.txt');
  const list = await openOwn(path);
  const { sha256: got } = await digestHandle(list).finally(() => list.close());
  if (got === file.list) return;
  throw new LxmertDataError('ERR_INPUT', {
    what: 'the list of a planned extraction was changed',
    where: path,
    expected: `sha256 ${file.list}`,
    got,
    hint: 'restore it, or plan anew in another folder',
  });
}

/** Removes rows; plan and logs stay, so that a worker that comes late finds that all is done. */
async function removeRows(folder: string): Promise<void> {
  for (const name of ['units', 'partial', 'attempts', 'free-units.json'])
    await rm(join(folder, name), { recursive: true, force: true });
}

/** The missing units in a sentence. */
export function describeMissingUnits(units: readonly number[]): string {
  return `${units.length} units are not done: ${nameUnits(units)}`;
}
