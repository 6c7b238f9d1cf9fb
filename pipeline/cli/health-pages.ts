import { type LockEntries, type LockEntry, readLock } from '../fetch/data-lock.ts';
import type { AssetState } from '../fetch/target-states.ts';
import { formatBytes, formatFreeBytes } from '../files/format-bytes.ts';
import { assetOf, datasetOf, type Manifest, orderSources } from '../manifest/load.ts';
import { selectAssets } from '../manifest/select.ts';
import type { HealthReport, HealthRow, HealthSection, Tone } from '../report/health-page.ts';
import { formatCount } from '../show-text.ts';
import type { AssetStatus, DatasetStatus, DataStatus } from '../stages/status.ts';
import type { DatasetReport } from '../stages/verify-dataset.ts';

interface StateWords {
  readonly label: string;
  readonly tone: Tone;
  /** What to do, given the command that fetches the file and the path of the file. */
  readonly advice: (fetch: string, target: string) => string;
}

const STATES: Readonly<Record<AssetState, StateWords>> = {
  present: { label: 'present', tone: 'good', advice: () => '' },
  unlocked: {
    label: 'present, not locked',
    tone: 'warn',
    advice: fetch => `${fetch} checks and locks it`,
  },
  differs: {
    label: 'not as locked',
    tone: 'bad',
    advice: (fetch, target) => `move ${target} away, then ${fetch}`,
  },
  partial: { label: 'partial', tone: 'warn', advice: fetch => `${fetch} continues it` },
  missing: { label: 'missing', tone: 'plain', advice: fetch => fetch },
};

const isPresent = ({ state }: AssetStatus): boolean => state === 'present' || state === 'unlocked';

/** Which files of the datasets are downloaded, from which mirror, and what to do about the others. */
export async function describeStatus(
  status: DataStatus,
  manifest: Manifest,
  dataRoot: string,
): Promise<HealthReport> {
  const lock = await readLock(dataRoot);
  const files = [
    ...new Map(status.datasets.flatMap(({ assets }) => assets).map(file => [file.name, file])).values(),
  ];
  const count = (state: AssetState): number => files.filter(file => file.state === state).length;
  const present = files.filter(isPresent).length;
  const [differing, partial] = [count('differs'), count('partial')];
  return {
    title: 'Datasets',
    about: `State of ${dataRoot}: sizes and headers; lxmert-data verify reads the contents`,
    names: Object.keys(manifest.datasets),
    tiles: [
      {
        value: `${present} of ${files.length}`,
        label: 'files present',
        tone: present === files.length ? 'good' : 'plain',
      },
      { value: String(differing), label: 'not as locked', tone: differing === 0 ? 'good' : 'bad' },
      { value: String(partial), label: 'partial', tone: partial === 0 ? 'plain' : 'warn' },
      { value: formatBytes(status.usedBytes), label: 'used' },
      { value: formatFreeBytes(status.freeBytes), label: 'free on that disk' },
    ],
    sections: status.datasets.map(dataset => describeDataset(dataset, manifest, lock)),
  };
}

function describeDataset(
  { dataset, assets }: DatasetStatus,
  manifest: Manifest,
  lock: LockEntries,
): HealthSection {
  const present = assets.filter(isPresent).length;
  const isWhole = present === assets.length;
  return {
    title: manifest.datasets[dataset]?.title ?? dataset,
    state: `${present} of ${assets.length} files`,
    tone: assets.some(({ state }) => state === 'differs') ? 'bad' : isWhole ? 'good' : 'plain',
    columns: ['Size', 'From', 'What to do'],
    rows: assets.map(({ name, file, state, bytes, extracted }): HealthRow => {
      const { label, tone, advice } = STATES[state];
      const fetch = `lxmert-data fetch ${dataset}${splitOption(name, manifest, dataset)}`;
      const size = bytes === 0 ? '' : formatBytes(bytes);
      const origin =
        extracted === null ? describeOrigin(manifest, name, lock[name]) : `extracted by ${extracted}`;
      const cells = [size, origin, advice(fetch, file)];
      return { what: file, state: label, tone, cells };
    }),
    problems: [],
  };
}

/** What verification found in datasets. */
export async function describeDatasets(
  reports: readonly DatasetReport[],
  manifest: Manifest,
  dataRoot: string,
): Promise<HealthReport> {
  const lock = await readLock(dataRoot);
  const problems = reports.reduce((sum, report) => sum + report.problems.length, 0);
  const valid = reports.filter(({ ok }) => ok).length;
  return {
    title: 'Verification',
    about: `Datasets in ${dataRoot}`,
    names: Object.keys(manifest.datasets),
    tiles: [
      {
        value: `${valid} of ${reports.length}`,
        label: 'datasets complete and valid',
        tone: valid === reports.length ? 'good' : 'bad',
      },
      {
        value: formatCount(problems),
        label: problems === 1 ? 'problem' : 'problems',
        tone: problems === 0 ? 'good' : 'bad',
      },
    ],
    sections: reports.map(({ dataset, ok, assets, problems: found }) => ({
      title: manifest.datasets[dataset]?.title ?? dataset,
      state: ok ? 'complete and valid' : `${found.length} problem${found.length === 1 ? '' : 's'}`,
      tone: ok ? 'good' : 'bad',
      columns: ['From'],
      rows: assets.map(({ name, file, ok: isValid }) => ({
        what: file,
        state: isValid ? 'valid' : 'not valid',
        tone: isValid ? 'good' : 'bad',
        cells: [describeOrigin(manifest, name, lock[name])],
      })),
      problems: found.map(({ asset, what, hint }) => ({ where: asset, what, fix: hint })),
    })),
  };
}

/** The mirror that a locked file came from; for others, those that have it. */
function describeOrigin(manifest: Manifest, name: string, entry: LockEntry | undefined): string {
  if (entry !== undefined)
    return `${manifest.mirrors[entry.mirror]?.title ?? entry.mirror}, ${entry.location}, ${entry.date.slice(0, 10)}`;
  const sources = orderSources(manifest, assetOf(manifest, name));
  const mirrors = [...new Set(sources.map(({ mirror }) => mirror))];
  const isDead = (mirror: string): boolean => manifest.mirrors[mirror]?.dead !== undefined;
  return `available from ${mirrors.map(mirror => (isDead(mirror) ? `${mirror} (dead)` : mirror)).join(', ')}`;
}

/** The option that selects a file which is not fetched by default. */
function splitOption(name: string, manifest: Manifest, dataset: string): string {
  if (selectAssets(manifest, { datasets: [dataset] }).includes(name)) return '';
  const splits = Object.entries(datasetOf(manifest, dataset).splits);
  const split = splits.find(([, names]) => names.includes(name));
  return split === undefined ? '' : ` --split ${split[0]}`;
}
