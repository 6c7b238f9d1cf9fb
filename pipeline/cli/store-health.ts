import { describeDetector } from '../store/metadata.ts';
import type { HealthReport, HealthSection } from '../report/health-page.ts';
import { formatCount, listSome } from '../show-text.ts';
import type { CommandContext } from './spec.ts';
import type { CheckedStore, StoreOutcome } from '../stages/verify-store.ts';

/** Images that a page lists one by one. */
const MAX_LISTED = 200;
const CONVERT_AGAIN = 'convert it again from its source, or copy it again from where it was intact';

type Problems = HealthSection['problems'];

/** What `verify` found in stores, as a page. */
export function describeStores(
  outcomes: readonly StoreOutcome[],
  { asTyped }: Pick<CommandContext, 'asTyped'>,
): HealthReport {
  const intact = outcomes.filter(({ ok }) => ok).length;
  const checked = outcomes.filter(isChecked);
  const damaged = checked.reduce((sum, outcome) => sum + outcome.damaged.length, 0);
  return {
    title: 'Verification',
    date: new Date(),
    asTyped,
    about: 'Stores, every byte read against its checksum',
    tiles: [
      {
        value: `${intact} of ${outcomes.length}`,
        label: outcomes.length === 1 ? 'store intact' : 'stores intact',
        tone: intact === outcomes.length ? 'good' : 'bad',
      },
      { value: formatCount(checked.reduce((sum, { rows }) => sum + rows, 0)), label: 'images read' },
      { value: formatCount(damaged), label: 'damaged images', tone: damaged === 0 ? 'good' : 'bad' },
    ],
    sections: outcomes.map(outcome =>
      isChecked(outcome) ? describeChecked(outcome) : describeUnreadable(outcome.path, outcome.error),
    ),
  };
}

function isChecked(outcome: StoreOutcome): outcome is CheckedStore {
  return outcome.error === null;
}

function describeUnreadable(path: string, error: string): HealthSection {
  return {
    title: path,
    state: 'unreadable',
    tone: 'bad',
    facts: [],
    rowName: 'Image',
    columns: [],
    rows: [],
    problems: [{ where: path, what: error, fix: CONVERT_AGAIN }],
  };
}

function describeChecked(outcome: CheckedStore): HealthSection {
  const { path, damaged, against } = outcome;
  const state = outcome.ok ? 'intact' : against?.ok === false ? 'differs from its source' : 'damaged';
  return {
    title: path,
    state,
    tone: outcome.ok ? 'good' : 'bad',
    facts: factsOf(outcome),
    rowName: 'Image',
    columns: ['Row', 'At byte', 'Checksum', 'Expected'],
    rows: damaged.slice(0, MAX_LISTED).map(({ row, img_id: id, offset, got, expected }) => ({
      what: id,
      state: 'damaged',
      tone: 'bad',
      cells: [String(row), formatCount(offset), got, expected],
    })),
    problems: [...problemsOfStore(outcome), ...problemsOfSource(outcome)],
  };
}

function factsOf({ rows, dtype, provenance, against }: CheckedStore): HealthSection['facts'] {
  const { detector, sources } = provenance;
  return [
    ['Images', `${formatCount(rows)}, ${dtype}`],
    ['Detector', describeDetector(detector)],
    ...sources.map(({ name, sha256, rows: taken }): readonly [string, string] => [
      'Made from',
      `${name}: ${taken === undefined ? 'unknown' : formatCount(taken)} rows, sha256 ${sha256 ?? 'unknown'}`,
    ]),
    ...(against === null
      ? []
      : [['Compared with the source', `${formatCount(against.compared)} rows`] as const]),
  ];
}

function problemsOfStore({ path, faults, damaged }: CheckedStore): Problems {
  const listed = faults.map(what => ({ where: path, what, fix: CONVERT_AGAIN }));
  if (damaged.length === 0) return listed;
  const count = damaged.length === 1 ? '1 damaged image' : `${formatCount(damaged.length)} damaged images`;
  const hidden = damaged.length > MAX_LISTED ? `, of which the first ${MAX_LISTED} are listed` : '';
  return [...listed, { where: path, what: `${count}${hidden}`, fix: CONVERT_AGAIN }];
}

function problemsOfSource({ path, against }: CheckedStore): Problems {
  if (against === null) return [];
  const differences = against.differences.slice(0, MAX_LISTED).map(({ img_id: id, line, differs }) => ({
    where: `${id}, line ${line}`,
    what: `differs in ${differs.join(', ')}`,
    fix: CONVERT_AGAIN,
  }));
  const lists = [
    ['in the source, not in the store', against.missing],
    ['in the store, not in the source', against.extra],
  ] as const;
  return [
    ...differences,
    ...lists
      .filter(([, ids]) => ids.length > 0)
      .map(([what, ids]) => ({
        where: path,
        what: `${formatCount(ids.length)} images ${what}: ${listSome(ids)}`,
        fix: CONVERT_AGAIN,
      })),
  ];
}
