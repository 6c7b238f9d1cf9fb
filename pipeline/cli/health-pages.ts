import { formatBytes } from '../files/format-bytes.ts';
import { targetPath } from '../fetch/asset-files.ts';
import { type LockEntry, readLock } from '../fetch/data-lock.ts';
import { selectAssets } from '../manifest/select.ts';
import { type Manifest, orderSources } from '../manifest/load.ts';
import type { HealthReport, HealthRow, HealthSection, Tone } from '../report/health-page.ts';
import { formatCount } from '../show-text.ts';
import type { AssetStatus, DataStatus } from '../stages/status.ts';
import type { DatasetReport } from '../stages/verify-dataset.ts';

const STATES: Readonly<Record<AssetStatus['state'], readonly [words: string, tone: Tone]>> = {
  present: ['present', 'good'],
  unlocked: ['present, not locked', 'warn'],
  differs: ['not as locked', 'bad'],
  partial: ['begun', 'warn'],
  missing: ['missing', 'plain'],
};

/** What of the data sets is there, from which mirror, and what to do about the rest. */
export async function describeStatus(
  status: DataStatus,
  manifest: Manifest,
  dataRoot: string,
): Promise<HealthReport> {
  const lock = await readLock(dataRoot);
  const all = new Map(status.datasets.flatMap(({ assets }) => assets).map(file => [file.name, file]));
  const count = (...states: readonly AssetStatus['state'][]): number =>
    [...all.values()].filter(({ state }) => states.includes(state)).length;
  const there = count('present', 'unlocked');
  const differing = count('differs');
  const begun = count('partial');
  return {
    title: 'Data sets',
    about: `State of ${dataRoot}: sizes and headers; lxmert-data verify reads the contents`,
    tiles: [
      { value: `${there} of ${all.size}`, label: 'files there', tone: there === all.size ? 'good' : 'plain' },
      { value: String(differing), label: 'not as locked', tone: differing === 0 ? 'good' : 'bad' },
      { value: String(begun), label: 'begun', tone: begun === 0 ? 'plain' : 'warn' },
      { value: formatBytes(status.usedBytes), label: 'used' },
      { value: formatBytes(status.freeBytes), label: 'free on that disk' },
    ],
    sections: status.datasets.map(({ dataset, assets }): HealthSection => {
      const present = assets.filter(({ state }) => state === 'present' || state === 'unlocked').length;
      const tone = assets.some(({ state }) => state === 'differs')
        ? 'bad'
        : present === assets.length
          ? 'good'
          : 'plain';
      return {
        title: manifest.datasets[dataset]?.title ?? dataset,
        state: `${present} of ${assets.length} files`,
        tone,
        columns: ['Size', 'From', 'What to do'],
        rows: assets.map((file): HealthRow => {
          const [state, stateTone] = STATES[file.state];
          const size = file.bytes === 0 ? '' : formatBytes(file.bytes);
          const from = describeOrigin(manifest, file.name, lock[file.name]);
          return {
            what: file.file,
            state,
            tone: stateTone,
            cells: [size, from, mendFile(file, manifest, dataset)],
          };
        }),
        problems: [],
      };
    }),
  };
}

/** What verification found in data sets. */
export async function describeDatasets(
  reports: readonly DatasetReport[],
  manifest: Manifest,
  dataRoot: string,
): Promise<HealthReport> {
  const lock = await readLock(dataRoot);
  const problems = reports.reduce((sum, report) => sum + report.problems.length, 0);
  const sound = reports.filter(({ ok }) => ok).length;
  return {
    title: 'Verification',
    about: `Data sets in ${dataRoot}`,
    tiles: [
      {
        value: `${sound} of ${reports.length}`,
        label: 'data sets complete and sound',
        tone: sound === reports.length ? 'good' : 'bad',
      },
      {
        value: formatCount(problems),
        label: problems === 1 ? 'problem' : 'problems',
        tone: problems === 0 ? 'good' : 'bad',
      },
    ],
    sections: reports.map(({ dataset, ok, assets, problems: found }) => ({
      title: manifest.datasets[dataset]?.title ?? dataset,
      state: ok ? 'complete and sound' : `${found.length} problem${found.length === 1 ? '' : 's'}`,
      tone: ok ? 'good' : 'bad',
      columns: ['From'],
      rows: assets.map(({ name, file, ok: fine }) => ({
        what: file,
        state: fine ? 'sound' : 'not sound',
        tone: fine ? 'good' : 'bad',
        cells: [describeOrigin(manifest, name, lock[name])],
      })),
      problems: found.map(({ asset, what, hint }) => ({ where: asset, what, mend: hint })),
    })),
  };
}

/** The mirror that a locked file came from; for others, those that have it. */
function describeOrigin(manifest: Manifest, name: string, entry: LockEntry | undefined): string {
  if (entry !== undefined)
    return `${manifest.mirrors[entry.mirror]?.title ?? entry.mirror}, ${entry.place}, ${entry.date.slice(0, 10)}`;
  const sources = orderSources(manifest, manifest.assets[name]!);
  const mirrors = [...new Set(sources.map(({ mirror }) => mirror))];
  const isDead = (mirror: string): boolean => manifest.mirrors[mirror]?.dead !== undefined;
  return `to be had from ${mirrors.map(mirror => (isDead(mirror) ? `${mirror} (dead)` : mirror)).join(', ')}`;
}

function mendFile({ name, state }: AssetStatus, manifest: Manifest, dataset: string): string {
  if (state === 'present') return '';
  const fetch = `lxmert-data fetch ${dataset}${splitOf(name, manifest, dataset)}`;
  switch (state) {
    case 'unlocked':
      return `${fetch} checks and locks it`;
    case 'differs':
      return `move ${targetPath(manifest.assets[name]!)} away, then ${fetch}`;
    case 'partial':
      return `${fetch} goes on where it stopped`;
    case 'missing':
      return fetch;
  }
}

/** The option that takes in a file which the data set does not take by default. */
function splitOf(name: string, manifest: Manifest, dataset: string): string {
  if (selectAssets(manifest, { datasets: [dataset] }).includes(name)) return '';
  const splits = Object.entries(manifest.datasets[dataset]!.splits);
  const split = splits.find(([, names]) => names.includes(name));
  return split === undefined ? '' : ` --split ${split[0]}`;
}
