import { readdir } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { LxmertDataError } from '../../errors.ts';
import { claimFolder } from '../folder-owner.ts';
import type { ListedImage } from '../list-images.ts';
import { v } from '../../schema.ts';
import { TOOL_VERSION } from '../../version.ts';
import { ImageTable, writeImageTable } from './image-table.ts';
import { readJsonFile, writeJsonFile } from './json-file.ts';
import { openPrivateFolder } from '../private-folder.ts';
import { openPlanFolder } from './layout.ts';

const FORMAT = 1;
/** How long one host waits for another that plans in the same folder. */
const PLANNING_MS = 60_000;
/** Images of a unit: 100 MB of rows, a minute of a GPU. */
export const UNIT_IMAGES = 256;

const ROW_OPTIONS: readonly string[] = ['backend', 'rois', 'image'];

/**
 * Options of a backend that decide what the rows are. The path of a .sif does not: hosts may keep the file in different
 * folders, and rows name its sha256.
 */
export function rowOptionsOf(backend: string | undefined): readonly string[] {
  return isSifBackend(backend) ? ROW_OPTIONS.filter(name => name !== 'image') : ROW_OPTIONS;
}

/** Whether `--image` of this backend is a path. */
export function isSifBackend(backend: string | undefined): boolean {
  return backend === 'apptainer' || backend === 'singularity';
}

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const planSchema = v.object({
  format: v.literal(FORMAT),
  /** Version of this program. */
  version: v.string(),
  /** The store or TSV to be published; relative to the folder that X.rows is in. */
  out: v.string(),
  /** Folder that the paths of images.txt are relative to. */
  root: v.string(),
  images: count,
  unit_images: v.pipe(count, v.minValue(1)),
  /** sha256 of images.txt. */
  list: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  /** Options of the backend, as on the command line. */
  backend: v.record(v.string(), v.string()),
  /** sha256 of the file of weights; `untrained` for weights made by a formula. */
  weights: v.pipe(v.string(), v.regex(/^(untrained|[0-9a-f]{64})$/)),
});

type PlanFile = v.InferOutput<typeof planSchema>;

export interface PlanRequest {
  /** X.rows. */
  readonly folder: string;
  readonly out: string;
  readonly images: readonly ListedImage[];
  readonly unitImages: number;
  readonly backend: Readonly<Record<string, string>>;
  readonly weights: string;
  /**
   * Each host gives its own paths and options of its machine: an existing plan is the same where its rows would be, in
   * units of any size.
   */
  readonly ownPaths?: boolean | undefined;
}

export interface WrittenPlan {
  readonly plan: ClusterPlan;
  /** False where the same plan was there. */
  readonly isNew: boolean;
  /** Folder of the images on this host. */
  readonly root: string;
}

/** A plan that is on disk: what is to be computed, cut into units that do not depend on the number of workers. */
export class ClusterPlan {
  readonly folder: string;
  readonly file: PlanFile;
  readonly table: ImageTable;

  constructor(folder: string, file: PlanFile) {
    this.folder = resolve(folder);
    this.file = file;
    this.table = new ImageTable(this.folder, file.images, file.unit_images);
  }

  get units(): number {
    return this.table.units;
  }

  get out(): string {
    return resolve(dirname(this.folder), this.file.out);
  }

  /** Images of a unit in the order of the plan, below `root`, which is the plan's own where not given. */
  async readUnit(unit: number, root = this.file.root): Promise<readonly ListedImage[]> {
    const images = await this.table.readUnit(unit);
    return images.map(({ img_id, path }) => ({ img_id, path: isAbsolute(path) ? path : join(root, path) }));
  }

  imagesOf(unit: number): number {
    return Math.min(this.file.unit_images, this.file.images - unit * this.file.unit_images);
  }
}

/** Reads a plan. Fails (ERR_INPUT) where there is none, and where it is of another version. */
export async function openPlan(folder: string): Promise<ClusterPlan> {
  const file = await readJsonFile(join(folder, 'plan.json'), planSchema);
  if (file !== undefined) return new ClusterPlan(folder, file);
  throw new LxmertDataError('ERR_USAGE', {
    what: 'there is no plan here',
    where: folder,
    expected: 'the folder of an earlier extract … --plan X.rows',
    hint: 'plan first: lxmert-data extract SPLIT --images DIR --backend NAME --plan X.rows',
  });
}

/** Whether a folder has a plan. Fails (ERR_INPUT) where it is damaged or of another version. */
export async function hasPlan(folder: string): Promise<boolean> {
  return (await readPlanFile(folder)) !== undefined;
}

async function readPlanFile(folder: string): Promise<PlanFile | undefined> {
  return await readJsonFile(join(folder, 'plan.json'), planSchema);
}

/**
 * Writes a plan, or takes the same one that is there already; a host that plans there at the moment is waited for. Fails
 * (ERR_INPUT) where the folder has another plan, the rows of an extraction without one, or images whose names cannot
 * stand in a list.
 */
export async function writePlan(request: PlanRequest): Promise<WrittenPlan> {
  const { folder } = request;
  await openPrivateFolder(folder);
  const root = commonFolder(request.images);
  const known = await readPlanFile(folder);
  if (known !== undefined) return { ...(await comparePlan(request, known, root)), root };
  await openPlanFolder(folder);
  const release = await claimFolder(folder, PLANNING_MS);
  try {
    const before = await readPlanFile(folder);
    if (before !== undefined) return { ...(await comparePlan(request, before, root)), root };
    await checkNoRows(folder);
    const file = await describePlan(request, root, false);
    await writeJsonFile(join(folder, 'plan.json'), file, true);
    return { plan: new ClusterPlan(folder, file), isNew: true, root };
  } finally {
    await release();
  }
}

async function comparePlan(
  request: PlanRequest,
  before: PlanFile,
  root: string,
): Promise<Pick<WrittenPlan, 'plan' | 'isNew'>> {
  const { folder, ownPaths = false } = request;
  checkSame(folder, before, await describePlan(request, root, true), ownPaths);
  return { plan: new ClusterPlan(folder, before), isNew: false };
}

/** The plan of a request; writes the list of its images unless only their hash is asked for. */
async function describePlan(request: PlanRequest, root: string, keep: boolean): Promise<PlanFile> {
  const { folder, images, unitImages } = request;
  const list = await writeImageTable(folder, {
    images,
    pathOf: path => relative(root, resolve(path)),
    unitImages,
    keep,
  });
  return {
    format: FORMAT,
    version: TOOL_VERSION,
    out: shortest(dirname(resolve(folder)), request.out),
    root,
    images: images.length,
    unit_images: unitImages,
    list,
    backend: { ...request.backend },
    weights: request.weights,
  };
}

function checkSame(folder: string, before: PlanFile, now: PlanFile, ownPaths: boolean): void {
  // Another version may go on with a plan; the detector's name says whether its rows fit.
  const free = new Set<string>(['version', ...(ownPaths ? ['root', 'unit_images'] : [])]);
  const keys = (Object.keys(planSchema.entries) as (keyof PlanFile)[]).filter(key => !free.has(key));
  const text = (plan: PlanFile, key: keyof PlanFile): string =>
    key === 'backend' ? describeBackend(plan.backend, ownPaths) : String(plan[key]);
  const other = keys.filter(key => text(before, key) !== text(now, key));
  if (other.length === 0) return;
  throw new LxmertDataError('ERR_INPUT', {
    what: 'another extraction is planned here',
    where: join(folder, 'plan.json'),
    expected: other.map(key => `${key} ${text(before, key)}`).join('; '),
    got: other.map(key => `${key} ${text(now, key)}`).join('; '),
    hint: ownPaths
      ? `give the images and options of that plan, or another --out; where it is an old one, rm -r ${folder}`
      : 'give the images and options of that plan, or another --plan; a list that changed needs a plan of its own',
  });
}

function describeBackend(backend: PlanFile['backend'], rowOptionsOnly: boolean): string {
  const options = Object.entries(backend).sort();
  const rowOptions = rowOptionsOf(backend['backend']);
  return JSON.stringify(rowOptionsOnly ? options.filter(([name]) => rowOptions.includes(name)) : options);
}

async function checkNoRows(folder: string): Promise<void> {
  const found = (await readdir(folder)).find(name => /^rows-\d+\.tsv$/.test(name));
  if (found === undefined) return;
  throw new LxmertDataError('ERR_INPUT', {
    what: 'an extraction without a plan has its rows here',
    where: join(folder, found),
    hint: 'finish it with its own command, or give another --plan',
  });
}

/** The folder that all images are below; paths only, links are not followed. */
function commonFolder(images: readonly ListedImage[]): string {
  let common: string[] | undefined;
  let last: string | undefined;
  for (const { path } of images) {
    const folder = dirname(path);
    // Neighbours are in the same folder mostly.
    if (folder === last) continue;
    last = folder;
    const parts = resolve(folder).split('/');
    common ??= parts;
    let same = 0;
    while (same < common.length && common[same] === parts[same]) same++;
    common = common.slice(0, same);
  }
  return common?.join('/') || '/';
}

function shortest(folder: string, path: string): string {
  const absolute = resolve(path);
  return dirname(absolute) === folder ? basename(absolute) : absolute;
}
