import { mkdir, readdir, rm, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import { formatBytes } from '../files.ts';
import { downloadPath, targetPath } from '../fetch/artefact-files.ts';
import { checkContent, digestFile } from '../fetch/check-content.ts';
import { addToLock, readLock } from '../fetch/data-lock.ts';
import type { LockEntries } from '../fetch/data-lock.ts';
import { Downloader } from '../fetch/download-source.ts';
import type { DownloaderOptions } from '../fetch/download-source.ts';
import { keepDownload, placeArtefact } from '../fetch/place-artefact.ts';
import type { StoreSteps } from '../fetch/place-artefact.ts';
import { orderedSources, planFetch } from '../fetch/plan-fetch.ts';
import type { FetchPlan, PlannedArtefact } from '../fetch/plan-fetch.ts';
import { recogniseFolder } from '../fetch/recognise-folder.ts';
import type { Recognised } from '../fetch/recognise-folder.ts';
import { selectArtefacts } from '../fetch/select-artefacts.ts';
import type { Selection } from '../fetch/select-artefacts.ts';
import { readStoreSource, readTargetStates } from '../fetch/target-states.ts';
import { claimDataRoot } from '../fetch/single-run.ts';
import type { Manifest, Source } from '../manifest.ts';
import { MirrorFault } from '../sources/http/mirror-fault.ts';

export interface FetchOptions extends Selection {
  readonly dataRoot: string;
  readonly manifest: Manifest;
  readonly mirrors?: readonly string[] | undefined;
  readonly keep?: 'zip' | 'tsv' | 'none' | undefined;
  readonly connections?: number | undefined;
  /** Take only what the lock file names, exactly as it names it. */
  readonly frozen?: boolean | undefined;
  /** A folder of files that the user downloaded by hand, instead of mirrors. */
  readonly from?: string | undefined;
  readonly environment?: NodeJS.ProcessEnv | undefined;
  readonly transfer?: DownloaderOptions['transfer'];
  readonly steps: StoreSteps;
}

export interface FailedArtefact {
  readonly name: string;
  /** One a mirror that was tried. */
  readonly reasons: readonly { readonly mirror: string; readonly place: string; readonly reason: string }[];
  /** What a person can do. */
  readonly manual: readonly string[];
}

export interface FetchResult {
  readonly ok: boolean;
  readonly fetched: readonly string[];
  /** In place before, and as locked. */
  readonly present: readonly string[];
  readonly failed: readonly FailedArtefact[];
}

export interface FetchPreview extends FetchPlan {
  readonly diskFreeBytes: number;
}

/** What `fetch` would do, without doing it. */
export async function previewFetch(options: FetchOptions): Promise<FetchPreview> {
  const names = selectNames(options);
  const plan = planFetch(options.manifest, {
    names,
    mirrors: options.mirrors,
    keep: options.keep ?? 'none',
    lock: await readLock(options.dataRoot),
    states: await readTargetStates(options, names),
  });
  return { ...plan, diskFreeBytes: await readFreeBytes(options.dataRoot) };
}

/**
 * Brings data sets below the data root: each file from the first mirror that has it, checked, put in place, and locked.
 * A file that cannot be had does not stop the others; the result names it with every mirror's reason.
 */
export async function fetchData(options: FetchOptions, context: StageContext): Promise<FetchResult> {
  await mkdir(options.dataRoot, { recursive: true });
  const release = await claimDataRoot(options.dataRoot);
  try {
    const lock = await readLock(options.dataRoot);
    const found =
      options.from === undefined ? undefined : await recogniseFolder(options.from, options.manifest, context);
    const names =
      options.from !== undefined && options.datasets.length === 0 ? [...found!.keys()] : selectNames(options);
    if (options.frozen === true) checkFrozen(names, lock);
    const plan = planFetch(options.manifest, {
      names,
      mirrors: options.mirrors,
      keep: options.keep ?? 'none',
      lock,
      states: await readTargetStates(options, names),
    });
    if (found === undefined) await checkSpace(plan, options.dataRoot);
    return await new FetchRun(options, context, lock, plan, found).run();
  } finally {
    await release();
  }
}

class FetchRun {
  readonly #options: FetchOptions;
  readonly #context: StageContext;
  readonly #lock: LockEntries;
  readonly #plan: FetchPlan;
  readonly #found: ReadonlyMap<string, Recognised> | undefined;
  readonly #downloader: Downloader;

  constructor(
    options: FetchOptions,
    context: StageContext,
    lock: LockEntries,
    plan: FetchPlan,
    found: ReadonlyMap<string, Recognised> | undefined,
  ) {
    this.#options = options;
    this.#context = context;
    this.#lock = lock;
    this.#plan = plan;
    this.#found = found;
    const { dataRoot, manifest, connections, transfer } = options;
    const environment = options.environment ?? process.env;
    this.#downloader = new Downloader({ dataRoot, manifest, connections, environment, context, transfer });
  }

  async run(): Promise<FetchResult> {
    const fetched: string[] = [];
    const present: string[] = [];
    const failed: FailedArtefact[] = [];
    try {
      for (const [index, planned] of this.#plan.artefacts.entries()) {
        this.#context.signal.throwIfAborted();
        const failure = await this.#handle(planned, this.#plan.artefacts.slice(index + 1));
        if (failure === 'present') present.push(planned.name);
        else if (failure === undefined) fetched.push(planned.name);
        else {
          failed.push(failure);
          this.#context.emit({ event: 'warning', message: describeFailed(failure).join('\n') });
        }
      }
    } finally {
      this.#downloader.close();
    }
    if (failed.length === 0) await this.#removeLeftovers();
    await removeEmptyFolders(join(this.#options.dataRoot, '.downloads'));
    return { ok: failed.length === 0, fetched, present, failed };
  }

  async #handle(
    planned: PlannedArtefact,
    later: readonly PlannedArtefact[],
  ): Promise<FailedArtefact | 'present' | undefined> {
    const { name, file, action } = planned;
    const path = join(this.#options.dataRoot, file);
    if (action === 'keep') return 'present';
    if (action === 'conflict') {
      const reason = 'the file in place is not the locked one';
      const manual = `move ${path} away and fetch again; or, if it is the right one, take "${name}" out of the lock file`;
      return { name, reasons: [{ mirror: 'in place', place: path, reason }], manual: [manual] };
    }
    if (action === 'adopt') return this.#adopt(planned, path);
    this.#context.emit({ event: 'start', stage: 'fetch', input: name, bytes: planned.downloadBytes ?? 0 });
    if (this.#found !== undefined) return this.#takeFound(name, this.#found.get(name));
    return this.#tryMirrors(name, later);
  }

  /** A file that the user put in place is checked like a download and locked. */
  async #adopt(planned: PlannedArtefact, path: string): Promise<FailedArtefact | 'present'> {
    const artefact = this.#options.manifest.artefacts[planned.name]!;
    try {
      if (artefact.kind === 'features') {
        const verified = await this.#options.steps.verifyStore(path, this.#context);
        const store = await readStoreSource(path);
        if (!verified.ok) throw new MirrorFault('wrong-content', 'the store is damaged');
        if (artefact.rows !== undefined && store.rows !== artefact.rows) {
          throw new MirrorFault('wrong-content', `${store.rows} rows, expected ${artefact.rows}`);
        }
        await this.#record(planned.name, { sizeBytes: store.size, sha256: store.sha256 }, 'in place', path);
      } else {
        const digest = await digestFile(path, this.#context.signal);
        await checkContent(path, artefact, digest);
        await this.#record(planned.name, digest, 'in place', path);
      }
      return 'present';
    } catch (error) {
      if (!(error instanceof MirrorFault) && !(error instanceof LxmertDataError)) throw error;
      const reasons = [{ mirror: 'in place', place: path, reason: error.message }];
      return { name: planned.name, reasons, manual: [`move ${path} away and fetch again`] };
    }
  }

  async #tryMirrors(name: string, later: readonly PlannedArtefact[]): Promise<FailedArtefact | undefined> {
    const { manifest, dataRoot, keep } = this.#options;
    const artefact = manifest.artefacts[name]!;
    const reasons: FailedArtefact['reasons'][number][] = [];
    const sources = orderedSources(manifest, artefact, this.#options);
    for (const source of sources) {
      try {
        const downloaded = await this.#downloader.download(name, artefact, source, this.#lock[name]);
        const { paths, digest } = downloaded;
        try {
          const placed = await placeArtefact({
            ...this.#placing(name),
            ...howToGet(source),
            paths,
            digest,
            areForeign: false,
          });
          await this.#record(name, placed, source.mirror, sourceOf(source));
        } catch (error) {
          // Complete and wrong: fetching it again would bring the same.
          if (error instanceof MirrorFault) await this.#downloader.discard(downloaded);
          throw error;
        }
        if (artefact.kind === 'features' && keep === 'tsv')
          await this.#exportTsv(join(dataRoot, artefact.target));
        if (this.#isNeeded(downloadPath(artefact, source), later)) return undefined;
        if (artefact.kind === 'features' && keep === 'zip' && source.get !== 'file') {
          await keepDownload(paths, join(dataRoot, dirname(artefact.target)));
        } else await this.#downloader.discard(downloaded);
        return undefined;
      } catch (error) {
        if (!(error instanceof MirrorFault)) throw error;
        const dead = manifest.mirrors[source.mirror]?.dead;
        const known = dead === undefined ? '' : ` (known to be gone since ${dead.since}: ${dead.evidence})`;
        const reason = { mirror: source.mirror, place: sourceOf(source), reason: `${error.message}${known}` };
        reasons.push(reason);
        this.#context.emit({ event: 'note', message: `${name}: ${reason.mirror} left: ${reason.reason}` });
      }
    }
    return { name, reasons, manual: this.#manualWays(sources) };
  }

  async #takeFound(name: string, found: Recognised | undefined): Promise<FailedArtefact | undefined> {
    const from = this.#options.from!;
    const manual = this.#manualWays(
      orderedSources(this.#options.manifest, this.#options.manifest.artefacts[name]!, {}),
    );
    if (found === undefined) {
      return { name, reasons: [{ mirror: from, place: '', reason: 'no file there holds it' }], manual };
    }
    const { get, member, split, paths } = found;
    try {
      const placing = { ...this.#placing(name), get, member, split, paths, areForeign: true };
      await this.#record(name, await placeArtefact(placing), 'own folder', paths[0]!);
      const artefact = this.#options.manifest.artefacts[name]!;
      if (artefact.kind === 'features' && this.#options.keep === 'tsv') {
        await this.#exportTsv(join(this.#options.dataRoot, artefact.target));
      }
      return undefined;
    } catch (error) {
      if (!(error instanceof MirrorFault)) throw error;
      return { name, reasons: [{ mirror: from, place: paths.join(', '), reason: error.message }], manual };
    }
  }

  #placing(name: string) {
    const { manifest, dataRoot, steps } = this.#options;
    return {
      dataRoot,
      name,
      artefact: manifest.artefacts[name]!,
      locked: this.#lock[name],
      steps,
      context: this.#context,
    };
  }

  async #record(
    name: string,
    digest: { sizeBytes: number; sha256: string },
    mirror: string,
    place: string,
  ): Promise<void> {
    if (this.#lock[name] !== undefined) return;
    const file = targetPath(this.#options.manifest.artefacts[name]!);
    const date = new Date().toISOString().slice(0, 10);
    await addToLock(this.#options.dataRoot, name, {
      file,
      size: digest.sizeBytes,
      sha256: digest.sha256,
      mirror,
      place,
      date,
    });
  }

  async #exportTsv(target: string): Promise<void> {
    const out = `${target}.tsv`;
    await this.#options.steps.exportTsv({ store: `${target}.safetensors`, out, force: true }, this.#context);
  }

  /** Partial files of mirrors that were left, and zips kept for artefacts that then came from elsewhere. */
  async #removeLeftovers(): Promise<void> {
    const { manifest, dataRoot } = this.#options;
    const done = new Set(this.#plan.artefacts.map(({ name }) => name));
    const others = Object.entries(manifest.artefacts).filter(([name]) => !done.has(name));
    const wanted = new Set(
      others.flatMap(([, artefact]) => artefact.sources.map(s => downloadPath(artefact, s))),
    );
    for (const name of done) {
      const artefact = manifest.artefacts[name]!;
      for (const source of artefact.sources) {
        const path = downloadPath(artefact, source);
        if (source.get === 'parts-member' || wanted.has(path)) continue;
        for (const suffix of ['', '.partial', '.partial-journal']) {
          await rm(`${join(dataRoot, path)}${suffix}`, { force: true });
        }
      }
    }
  }

  #isNeeded(path: string, later: readonly PlannedArtefact[]): boolean {
    const { manifest } = this.#options;
    return later.some(({ name, action }) => {
      const artefact = manifest.artefacts[name]!;
      return action === 'fetch' && artefact.sources.some(source => downloadPath(artefact, source) === path);
    });
  }

  #manualWays(sources: readonly Source[]): string[] {
    const names = new Set(sources.map(source => source.mirror));
    return [...names].flatMap(name => {
      const mirror = this.#options.manifest.mirrors[name]!;
      return mirror.manual === undefined || mirror.dead !== undefined
        ? []
        : [`${mirror.title}: ${mirror.manual}`];
    });
  }
}

/** Lines for people: every mirror with its reason, then what is left to do by hand. */
export function describeFailed({ name, reasons, manual }: FailedArtefact): string[] {
  return [
    `${name} could not be had`,
    ...reasons.map(({ mirror, place, reason }) => `  ${mirror} (${place}): ${reason}`),
    ...manual.map(way => `  by hand: ${way}`),
  ];
}

function howToGet(source: Source): Pick<Recognised, 'get' | 'member' | 'split'> {
  return {
    get: source.get,
    member: 'member' in source ? source.member : undefined,
    split: source.get === 'raw' ? source.split : undefined,
  };
}

function sourceOf(source: Source): string {
  return source.get === 'parts-member' ? source.parts : (source.path ?? source.id ?? source.link ?? '');
}

function selectNames(options: FetchOptions): readonly string[] {
  if (options.datasets.length > 0) return selectArtefacts(options.manifest, options);
  throw new LxmertDataError('ERR_USAGE', {
    what: 'no data set is named',
    expected: Object.keys(options.manifest.datasets).join(', '),
    hint: 'for example: fetch vqa',
  });
}

function checkFrozen(names: readonly string[], lock: LockEntries): void {
  const missing = names.filter(name => !Object.hasOwn(lock, name));
  if (missing.length === 0) return;
  throw new LxmertDataError('ERR_LOCK', {
    what: '--frozen takes only what the lock file names',
    got: `not in it: ${missing.join(', ')}`,
    hint: 'fetch once without --frozen, or put the shared lock file into the data folder',
  });
}

async function checkSpace(plan: FetchPlan, dataRoot: string): Promise<void> {
  const free = await readFreeBytes(dataRoot);
  if (plan.diskPeakBytes <= free) return;
  throw new LxmertDataError('ERR_NO_SPACE', {
    what: 'not enough disk space for this fetch',
    where: dataRoot,
    expected: `about ${formatBytes(plan.diskPeakBytes)} at its peak`,
    got: `${formatBytes(free)} free`,
    hint: 'fetch fewer splits with --split, or choose another disk with --data',
  });
}

async function readFreeBytes(dataRoot: string): Promise<number> {
  for (let folder = dataRoot; ; folder = dirname(folder)) {
    const found = await statfs(folder).catch(() => undefined);
    if (found !== undefined) return found.bavail * found.bsize;
    if (folder === dirname(folder)) return 0;
  }
}

async function removeEmptyFolders(folder: string): Promise<boolean> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return false;
  let isEmpty = true;
  for (const entry of entries) {
    if (!entry.isDirectory() || !(await removeEmptyFolders(join(folder, entry.name)))) isEmpty = false;
  }
  if (isEmpty) await rm(folder, { recursive: true, force: true });
  return isEmpty;
}
