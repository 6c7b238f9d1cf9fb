import { createHash } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { LxmertDataError } from '../../errors.ts';
import type { StageContext } from '../../events.ts';
import { checkOutput } from '../../files/checks.ts';
import { openOwn } from '../../files/open-checked.ts';
import { v } from '../../schema.ts';
import type { DetectorName } from '../contract.ts';
import { readDetectorFile } from '../detector-file.ts';
import { type PublishedFile, publishSource, sourceNameOf } from '../publish-rows.ts';
import { readJsonFile, writeJsonFile } from './json-file.ts';
import { failedFile, unitOfFailures } from './layout.ts';
import type { ClusterPlan } from './plan.ts';
import { listDoneUnits, nameUnits } from './schedule.ts';
import { UnitSource } from './unit-source.ts';

const factsSchema = v.array(v.object({ img_id: v.string(), path: v.string(), reason: v.string() }));
const publishedSchema = v.object({ out: v.string(), rows: v.number(), time: v.number() });

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
}

/** What an earlier publication made; undefined where there was none. */
export async function readPublished(
  folder: string,
): Promise<v.InferOutput<typeof publishedSchema> | undefined> {
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
 * units are missing, or images without `skipBad`. Fails (ERR_INPUT) where a unit has other rows than the plan.
 */
export async function publishUnits(
  { plan, skipBad, keepRows, force, verdicts }: PublishOptions,
  context: StageContext,
): Promise<PublishResult> {
  const { folder, out, units } = plan;
  const wanted = plan.file.images;
  const detector = await readDetectorFile(folder);
  const before = await readPublished(folder);
  if (before !== undefined) {
    context.emit({ event: 'note', message: `${out} was published before` });
    return { ok: true, out, wanted, rows: before.rows, detector, missing: [], missing_units: [] };
  }
  const done = await listDoneUnits(folder);
  const open = Array.from({ length: units }, (_, unit) => unit).filter(unit => !done.has(unit));
  const missing = await readFailures(folder);
  const rows = wanted - missing.length;
  const nothing = { ok: false, out: null, wanted, rows, detector, missing, missing_units: open };
  if (open.length > 0 || rows === 0 || (missing.length > 0 && !skipBad)) return nothing;
  await checkOutput(out, force);
  await checkList(plan);
  const excused = new Set(missing.map(({ img_id: id }) => id));
  const source = await UnitSource.open(plan, { name: sourceNameOf(out), excused });
  try {
    if (!(await publishSource(source, { out, force, detector, verdicts }, context))) return nothing;
  } finally {
    await source.close();
  }
  const ok = missing.length === 0;
  if (ok && !keepRows) await removeRows(folder, { out, rows, time: Date.now() });
  return { ok, out, wanted, rows, detector, missing, missing_units: [] };
}

/** Fails (ERR_INPUT) where the list of images is not the one that was planned. */
async function checkList({ folder, file }: ClusterPlan): Promise<void> {
  const path = join(folder, 'images.txt');
  const hash = createHash('sha256');
  const list = await openOwn(path);
  for await (const block of list.createReadStream()) hash.update(block as Buffer);
  const got = hash.digest('hex');
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
async function removeRows(folder: string, published: v.InferOutput<typeof publishedSchema>): Promise<void> {
  await writeJsonFile(join(folder, 'published.json'), published);
  for (const name of ['units', 'partial', 'attempts', 'free-units.json'])
    await rm(join(folder, name), { recursive: true, force: true });
}

/** The missing units in a sentence. */
export function describeMissingUnits(units: readonly number[]): string {
  return `${units.length} units are not done: ${nameUnits(units)}`;
}
