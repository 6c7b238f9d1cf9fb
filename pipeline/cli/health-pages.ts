import { type LockEntries, type LockEntry, readLock } from '../fetch/data-lock.ts';
import type { AssetState } from '../fetch/target-states.ts';
import { formatBytes, formatFreeBytes } from '../files/format-bytes.ts';
import { assetOf, type Manifest, orderSources } from '../manifest/load.ts';
import type {
  HealthCommand,
  HealthLink,
  HealthReport,
  HealthRow,
  HealthSection,
  Tone,
} from '../report/health-page.ts';
import { homeOf } from '../mirrors/registry.ts';
import { formatCount } from '../show-text.ts';
import { fetchAgain } from './fetch-again.ts';
import type { CommandContext } from './spec.ts';
import type { AssetStatus, DatasetStatus, DataStatus } from '../stages/status.ts';
import { type DatasetReport, MISSING } from '../stages/verify-dataset.ts';

const STATES: Readonly<Record<AssetState, { readonly label: string; readonly tone: Tone }>> = {
  present: { label: 'present', tone: 'good' },
  unlocked: { label: 'present, not locked', tone: 'warn' },
  differs: { label: 'not as locked', tone: 'bad' },
  partial: { label: 'partial', tone: 'warn' },
  missing: { label: 'missing', tone: 'plain' },
};

type Reader = Pick<CommandContext, 'data' | 'asTyped'>;

const isPresent = ({ state }: AssetStatus): boolean => state === 'present' || state === 'unlocked';

/** Which files of the datasets are downloaded, from which mirror, and what to do about the others. */
export async function describeStatus(
  status: DataStatus,
  manifest: Manifest,
  { data, asTyped }: Reader,
): Promise<HealthReport> {
  const lock = await readLock(data);
  const files = [
    ...new Map(status.datasets.flatMap(({ assets }) => assets).map(file => [file.name, file])).values(),
  ];
  const count = (state: AssetState): number => files.filter(file => file.state === state).length;
  const present = files.filter(isPresent).length;
  const [differing, partial] = [count('differs'), count('partial')];
  return {
    title: 'Datasets',
    date: new Date(),
    asTyped,
    about: `State of ${data}: sizes and headers; lxmert-data verify reads the contents`,
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
    sections: describeEach(status.datasets, manifest, lock),
  };
}

/** Each file stands under the first dataset that has it. */
function describeEach(
  datasets: readonly DatasetStatus[],
  manifest: Manifest,
  lock: LockEntries,
): HealthSection[] {
  const owners = new Map<string, string>();
  for (const { dataset, assets } of datasets)
    for (const { name } of assets) if (!owners.has(name)) owners.set(name, dataset);
  return datasets.map(({ dataset, assets }) => {
    const present = assets.filter(isPresent).length;
    const isWhole = present === assets.length;
    const own = assets.filter(({ name }) => owners.get(name) === dataset);
    const elsewhere = new Map<string, number>();
    for (const { name } of assets) {
      const owner = owners.get(name) ?? dataset;
      if (owner !== dataset) elsewhere.set(owner, (elsewhere.get(owner) ?? 0) + 1);
    }
    const shared = [...elsewhere].map(
      ([owner, files]) => `${files} listed under ${manifest.datasets[owner]?.title ?? owner}`,
    );
    return {
      title: manifest.datasets[dataset]?.title ?? dataset,
      state: `${present} of ${assets.length} files`,
      tone: assets.some(({ state }) => state === 'differs') ? 'bad' : isWhole ? 'good' : 'plain',
      columns: ['Size', 'From'],
      rows: own.map(({ name, file, state, bytes, extracted }): HealthRow => {
        const { label, tone } = STATES[state];
        const size = bytes === 0 ? '' : formatBytes(bytes);
        return {
          what: file,
          state: label,
          tone,
          cells: [size, describeOrigin(manifest, name, lock[name], extracted)],
        };
      }),
      facts: shared.length > 0 ? [['Shared files', shared.join(', ')]] : undefined,
      problems: [],
      command: commandOf(dataset, assets, manifest),
      folded: assets.every(({ state }) => state === 'missing'),
    };
  });
}

/** What gets everything that a dataset lacks; undefined where it lacks nothing. */
function commandOf(
  dataset: string,
  assets: readonly AssetStatus[],
  manifest: Manifest,
): HealthCommand | undefined {
  const lacking = assets.filter(({ state }) => state !== 'present');
  if (lacking.length === 0) return undefined;
  const differing = assets.filter(({ state }) => state === 'differs');
  return {
    command: fetchAgain(
      dataset,
      lacking.map(({ name }) => name),
      manifest,
    ),
    before: differing.map(({ file }) => `Move ${file} away first.`),
  };
}

/** What verification found in datasets. */
export async function describeDatasets(
  reports: readonly DatasetReport[],
  manifest: Manifest,
  { data, asTyped }: Reader,
): Promise<HealthReport> {
  const lock = await readLock(data);
  // Datasets share files, and a file has its problems in each of them.
  const found = new Set(
    reports.flatMap(({ problems }) => problems.map(({ asset, what }) => `${asset}: ${what}`)),
  );
  const problems = found.size;
  const valid = reports.filter(({ ok }) => ok).length;
  const listed = new Set<string>();
  return {
    title: 'Verification',
    date: new Date(),
    asTyped,
    about: `Datasets in ${data}`,
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
    sections: reports.map(report => describeReport(report, manifest, lock, listed)),
  };
}

/** One dataset; files in `listed` stand under another one, and are added to it. */
function describeReport(
  { dataset, ok, assets, problems }: DatasetReport,
  manifest: Manifest,
  lock: LockEntries,
  listed: Set<string>,
): HealthSection {
  const own = assets.filter(({ name }) => !listed.has(name));
  const shared = assets.length - own.length;
  for (const { name } of assets) listed.add(name);
  const names = new Set(assets.map(({ name }) => name));
  const missing = problems.filter(({ what }) => what === MISSING).map(({ asset }) => asset);
  const others = problems.filter(({ what }) => what !== MISSING);
  const isShown = (name: string): boolean => own.some(asset => asset.name === name) || !names.has(name);
  return {
    title: manifest.datasets[dataset]?.title ?? dataset,
    state: ok ? 'complete and valid' : `${problems.length} problem${problems.length === 1 ? '' : 's'}`,
    tone: ok ? 'good' : 'bad',
    columns: ['From'],
    facts: shared > 0 ? [['Shared files', `${shared} listed above`]] : undefined,
    rows: own.map(({ name, file, ok: isValid, extracted }) => ({
      what: file,
      state: isValid ? 'valid' : missing.includes(name) ? 'missing' : 'not valid',
      tone: isValid ? 'good' : 'bad',
      cells: [describeOrigin(manifest, name, lock[name], extracted)],
    })),
    // Those that are missing stand in the table, and one command gets them all.
    problems: others
      .filter(({ asset }) => isShown(asset))
      .map(({ asset, what, hint }) => ({ where: asset, what, fix: hint })),
    command: missing.length === 0 ? undefined : { command: fetchAgain(dataset, missing, manifest) },
  };
}

/** The mirror that a locked file came from; for others, those that have it. */
function describeOrigin(
  manifest: Manifest,
  name: string,
  entry: LockEntry | undefined,
  extracted: string | null,
): readonly HealthLink[] {
  if (extracted !== null) return [{ text: `extracted by ${extracted}` }];
  if (entry !== undefined) {
    const title = manifest.mirrors[entry.mirror]?.title ?? entry.mirror;
    return [
      linkTo(manifest, entry.mirror, title),
      { text: `, ${entry.location}, ${entry.date.slice(0, 10)}` },
    ];
  }
  const sources = orderSources(manifest, assetOf(manifest, name));
  const mirrors = [...new Set(sources.map(({ mirror }) => mirror))];
  const isDead = (mirror: string): boolean => manifest.mirrors[mirror]?.dead !== undefined;
  return [
    { text: 'available from ' },
    ...mirrors.flatMap((mirror, index) => [
      ...(index === 0 ? [] : [{ text: ', ' }]),
      isDead(mirror) ? { text: `${mirror} (dead)` } : linkTo(manifest, mirror, mirror),
    ]),
  ];
}

/** A mirror's host; mirrors without one, and those that are not encrypted, are no links. */
function linkTo(manifest: Manifest, mirror: string, text: string): HealthLink {
  const entry = manifest.mirrors[mirror];
  const home = entry === undefined ? undefined : homeOf(entry);
  return home?.startsWith('https://') === true ? { text, address: home } : { text };
}
