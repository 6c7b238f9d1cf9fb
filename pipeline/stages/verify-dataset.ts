import { digestFile } from '../files/digest.ts';
import { assetOf, datasetOf } from '../manifest/load.ts';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import { targetPath } from '../fetch/asset-files.ts';
import { checkContent, sizeOf } from '../fetch/check-content.ts';
import { describeLockMismatch, readLock } from '../fetch/data-lock.ts';
import type { LockEntries } from '../fetch/data-lock.ts';
import { selectAssets } from '../manifest/select.ts';
import { readStoreSource } from '../fetch/target-states.ts';
import { IMAGE_WITHOUT_FEATURES, readAnswers, verifyRecords } from '../annotations/verify-records.ts';
import type { RecordFindings } from '../annotations/verify-records.ts';
import type { Asset, Dataset, Manifest } from '../manifest/load.ts';
import { MirrorFault } from '../net/mirror-fault.ts';
import { checkStore } from '../store/check-store.ts';
import { StoreFile } from '../store/reader.ts';

export interface VerifyDatasetOptions {
  readonly manifest: Manifest;
  readonly dataRoot: string;
  readonly datasets: readonly string[];
  readonly splits?: readonly string[] | undefined;
  /** Files, sizes and headers only. */
  readonly quick?: boolean | undefined;
}

/** What is wrong with a file that is not there. */
export const MISSING = 'missing';

export interface DatasetProblem {
  readonly asset: string;
  readonly what: string;
  readonly hint: string;
}

export interface DatasetReport {
  readonly dataset: string;
  readonly ok: boolean;
  readonly assets: readonly {
    readonly name: string;
    readonly file: string;
    readonly ok: boolean;
    /** The detector of a store that was extracted and not downloaded. */
    readonly extracted: string | null;
  }[];
  readonly problems: readonly DatasetProblem[];
}

/** Verifies whole datasets: files, hashes, records, answers, images, and how they fit together. */
export async function verifyDatasets(
  options: VerifyDatasetOptions,
  context: StageContext,
): Promise<readonly DatasetReport[]> {
  const lock = await readLock(options.dataRoot);
  const run = new Verification(options, lock, context);
  const reports: DatasetReport[] = [];
  for (const name of options.datasets) reports.push(await run.verify(name));
  return reports;
}

class Verification {
  readonly #options: VerifyDatasetOptions;
  readonly #lock: LockEntries;
  readonly #context: StageContext;
  /** Assets are shared by datasets and looked at once. */
  readonly #checked = new Map<string, Promise<readonly DatasetProblem[]>>();
  readonly #records = new Map<string, number>();
  readonly #extracted = new Map<string, string>();
  readonly #ids = new Map<string, Promise<readonly string[] | undefined>>();

  constructor(options: VerifyDatasetOptions, lock: LockEntries, context: StageContext) {
    this.#options = options;
    this.#lock = lock;
    this.#context = context;
  }

  async verify(name: string): Promise<DatasetReport> {
    const { manifest, splits } = this.#options;
    const names = selectAssets(manifest, { datasets: [name], splits });
    const dataset = datasetOf(manifest, name);
    const problems: DatasetProblem[] = [];
    const assets: DatasetReport['assets'][number][] = [];
    for (const asset of names) {
      this.#context.signal.throwIfAborted();
      this.#context.emit({ event: 'note', message: `checking ${asset}` });
      const found = [...(await this.#checkOnce(asset))];
      if (found.length === 0 && this.#options.quick !== true) {
        found.push(...(await this.#checkTogether(asset, dataset)));
      }
      problems.push(...found);
      assets.push({
        name: asset,
        file: targetPath(assetOf(manifest, asset)),
        ok: found.length === 0,
        extracted: this.#extracted.get(asset) ?? null,
      });
    }
    for (const total of dataset.totals ?? []) {
      const counts = total.assets.map(asset => this.#records.get(asset));
      if (counts.includes(undefined)) continue;
      const sum = counts.reduce<number>((a, b) => a + (b ?? 0), 0);
      if (sum === total.records) continue;
      const what = `${sum} records together, expected ${total.records}`;
      problems.push({
        asset: total.assets.join(' + '),
        what,
        hint: 'delete them and fetch them again',
      });
    }
    return { dataset: name, ok: problems.length === 0, assets, problems };
  }

  #checkOnce(name: string): Promise<readonly DatasetProblem[]> {
    const checked = this.#checked.get(name) ?? this.#checkAlone(name);
    this.#checked.set(name, checked);
    return checked;
  }

  /** The file by itself: there, as locked, as the manifest says. */
  async #checkAlone(name: string): Promise<DatasetProblem[]> {
    const { manifest, dataRoot, quick } = this.#options;
    const asset = assetOf(manifest, name);
    const path = join(dataRoot, targetPath(asset));
    const problem = (what: string, hint = `move ${path} away and fetch it again`): DatasetProblem[] => [
      { asset: name, what, hint },
    ];
    const sizeBytes = await sizeOf(path);
    if (sizeBytes === undefined)
      return problem(MISSING, `fetch it: lxmert-data fetch ${this.#datasetOf(name)}`);
    try {
      if (asset.kind === 'features') return await this.#checkStore(path, asset, problem, name);
      const entry = this.#lock[name];
      if (quick === true) {
        return entry !== undefined && entry.size !== sizeBytes
          ? problem(`${sizeBytes} bytes, the lock has ${entry.size}`)
          : [];
      }
      const digest = await digestFile(path, this.#context.signal);
      const mismatch = describeLockMismatch(entry, digest);
      if (mismatch !== undefined) return problem(`not the locked copy: ${mismatch}`);
      await checkContent(path, asset, digest);
      return [];
    } catch (error) {
      if (error instanceof MirrorFault || error instanceof LxmertDataError) return problem(error.message);
      throw error;
    }
  }

  async #checkStore(
    path: string,
    asset: Extract<Asset, { kind: 'features' }>,
    problem: (what: string, hint?: string) => DatasetProblem[],
    name: string,
  ): Promise<DatasetProblem[]> {
    const store = await readStoreSource(path);
    if (store.extracted !== undefined) this.#extracted.set(name, store.extracted);
    if (store.isUntrained) {
      return problem(
        'made with UNTRAINED weights: these are not the features of any real detector',
        `move ${path} away; then fetch it, or extract it with trained weights`,
      );
    }
    if (asset.rows !== undefined && store.rows !== asset.rows) {
      return problem(`${store.rows} images, expected ${asset.rows}`);
    }
    const entry = this.#lock[name];
    if (entry !== undefined && entry.sha256 !== store.sha256) {
      return problem(`made from other rows (sha256 ${store.sha256}) than the locked ones (${entry.sha256})`);
    }
    if (this.#options.quick === true) return [];
    const { ok } = await checkStore(path, this.#context);
    return ok
      ? []
      : problem('the store is damaged', `lxmert-data verify ${path} names the images; make it again`);
  }

  /** Checks the records against the answer table and the features that the dataset uses with them. */
  async #checkTogether(name: string, dataset: Dataset): Promise<DatasetProblem[]> {
    const { manifest, dataRoot } = this.#options;
    const asset = assetOf(manifest, name);
    if (asset.kind !== 'json') return [];
    const features = Object.values(dataset.splits)
      .filter(names => names.includes(name))
      .flat()
      .filter(other => assetOf(manifest, other).kind === 'features');
    const rows = features[0] === undefined ? undefined : await this.#idsOf(features[0]);
    const answers = await this.#answersOf(dataset);
    const findings = await verifyRecords(join(dataRoot, targetPath(asset)), {
      schema: asset.schema,
      answers,
      images: rows === undefined ? undefined : new Set(rows),
      signal: this.#context.signal,
    });
    this.#records.set(name, findings.records);
    const problems = describeFindings(name, findings, features[0], rows);
    const { first_rows } = asset;
    if (first_rows !== undefined && rows !== undefined) {
      problems.push(...checkFirstRows(name, findings, rows.slice(0, first_rows), features[0]!));
    }
    return problems;
  }

  #idsOf(features: string): Promise<readonly string[] | undefined> {
    const path = join(this.#options.dataRoot, targetPath(assetOf(this.#options.manifest, features)));
    const ids = this.#ids.get(features) ?? readIds(path).catch(() => undefined);
    this.#ids.set(features, ids);
    return ids;
  }

  async #answersOf(dataset: Dataset): Promise<ReadonlySet<string> | undefined> {
    const { manifest, dataRoot } = this.#options;
    for (const name of dataset.common) {
      const asset = assetOf(manifest, name);
      if (asset.kind !== 'table' || asset.schema === 'lines') continue;
      // A table that is missing or damaged is a problem of its own; the records are then checked without it.
      if ((await this.#checkOnce(name)).length > 0) continue;
      const path = join(dataRoot, asset.target);
      return readAnswers(await readFile(path, 'utf8'), path);
    }
    return undefined;
  }

  #datasetOf(name: string): string {
    const { manifest } = this.#options;
    const has = (dataset: string): boolean =>
      selectAssets(manifest, { datasets: [dataset], splits: ['all'] }).includes(name);
    return Object.keys(manifest.datasets).find(has) ?? 'DATASET';
  }
}

async function readIds(path: string): Promise<readonly string[]> {
  const store = await StoreFile.open(path);
  return await store.readImageIds().finally(() => store.close());
}

function describeFindings(
  name: string,
  findings: RecordFindings,
  features: string | undefined,
  rows: readonly string[] | undefined,
): DatasetProblem[] {
  return [...findings.problems].map(([kind, { count, examples }]) => {
    const what = `${kind}: ${count} of ${findings.records} records; ${examples.join('; ')}`;
    if (kind !== IMAGE_WITHOUT_FEATURES)
      return { asset: name, what, hint: 'move the file away and fetch it again' };
    const present = new Set(rows);
    const hasAny = [...findings.images].some(image => present.has(image));
    const [wanted = ''] = findings.images;
    const [stored = ''] = rows ?? [];
    if (hasAny)
      return {
        asset: name,
        what,
        hint: `LXMERT would leave these out without a word; fetch or extract ${features ?? 'the features'} again`,
      };
    return {
      asset: name,
      what: `${what}; no image at all has features: the records name images such as ${wanted}, the features such as ${stored}`,
      hint: `if these are the same images under other ids, convert the source again with --ids and this JSON`,
    };
  });
}

/** LXMERT's loaders read only the first rows of val2014 for minival, and leave the rest out without a word. */
function checkFirstRows(
  name: string,
  findings: RecordFindings,
  rows: readonly string[],
  features: string,
): DatasetProblem[] {
  const first = new Set(rows);
  const outside = [...findings.images].filter(image => !first.has(image));
  if (outside.length === 0) return [];
  const shown = outside.slice(0, 3).join(', ');
  const what = `${outside.length} of its ${findings.images.size} images are not among the first ${rows.length} rows of ${features} (${shown})`;
  return [{ asset: name, what, hint: `convert ${features} again with --first and this JSON` }];
}
