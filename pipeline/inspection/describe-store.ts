import { stat } from 'node:fs/promises';
import type { StoreFile } from '../store/reader.ts';
import type { Provenance, RawMetadata } from '../store/metadata.ts';
import type { ClassCount, Distribution, FindingCount } from './findings.ts';
import { showAll } from '../show-text.ts';
import { countFindings, type RankedImage } from './rank-images.ts';
import type { Vocabulary } from './read-vocabulary.ts';
import { SUMMARY } from './summarise-row.ts';
import { type StoreSurvey, summaryOf } from './survey-store.ts';
import type { ValueTally } from './value-tally.ts';

const TOP_CLASSES = 14;
const TOP_SIZES = 8;
/** Bars of a histogram; a power of two, so that edges fall between the bins of a tally. */
const BARS = 32;
const UNIT_EDGES = Array.from({ length: BARS + 1 }, (_, index) => index / BARS);
/** Two bars an octave from 0.006 % of the image to all of it. */
const SHARE_EDGES = Array.from(
  { length: 29 },
  (_, index) => 2 ** (-14 + (index >> 1)) * (index % 2 === 0 ? 1 : 1.5),
);

/** A store as a whole. */
export interface StoreOverview {
  readonly path: string;
  readonly bytes: number;
  readonly images: number;
  readonly dtype: string;
  readonly headerAgrees: boolean;
  readonly metadata: RawMetadata;
  readonly provenance: Provenance;
  /** Images that were read for the numbers below. */
  readonly surveyed: number;
  readonly invalid: number;
  readonly outliers: number;
  readonly findings: readonly FindingCount[];
  readonly norm: Distribution;
  readonly zeros: Distribution;
  readonly share: Distribution;
  readonly objectsConf: Distribution | undefined;
  readonly attrsConf: Distribution | undefined;
  /** The most frequent first. */
  readonly objects: readonly ClassCount[];
  readonly attributes: readonly ClassCount[];
  readonly distinctObjects: number;
  readonly distinctAttributes: number;
  readonly sizes: readonly ClassCount[];
  /** Folder that class names came from; undefined where there were none. */
  readonly vocabulary: string | undefined;
}

/** Sums up a survey of a store. */
export async function describeStore(
  store: StoreFile,
  survey: StoreSurvey,
  ranked: readonly RankedImage[],
  vocabulary: Vocabulary | undefined,
): Promise<StoreOverview> {
  const { tallies, objects, attributes } = survey;
  const hasClasses = store.shape.name === 'obj36';
  return {
    path: store.path,
    bytes: (await stat(store.path)).size,
    images: store.rows,
    dtype: store.dtype,
    headerAgrees: store.header.crcAgrees,
    metadata: store.header.metadata,
    provenance: store.provenance,
    surveyed: survey.rows.length,
    invalid: ranked.filter(image => image.invalid).length,
    outliers: ranked.filter(image => !image.invalid && image.reasons.length > 0).length,
    findings: countFindings(ranked),
    norm: describe(tallies.norm, normEdges(tallies.norm)),
    zeros: describe(tallies.zeros, UNIT_EDGES),
    share: describe(tallies.share, SHARE_EDGES),
    objectsConf: hasClasses ? describe(tallies.objectsConf, UNIT_EDGES) : undefined,
    attrsConf: hasClasses ? describe(tallies.attrsConf, UNIT_EDGES) : undefined,
    objects: topClasses(objects, vocabulary?.objects, 'object'),
    attributes: topClasses(attributes, vocabulary?.attributes, 'attribute'),
    distinctObjects: objects.filter(count => count > 0).length,
    distinctAttributes: attributes.filter(count => count > 0).length,
    sizes: topSizes(survey),
    vocabulary: vocabulary?.folder,
  };
}

/** Names of the classes that occur, by id. */
export function namesOf(
  counts: Uint32Array,
  names: readonly string[] | undefined,
): Record<string, string> | null {
  if (names === undefined) return null;
  return Object.fromEntries(
    names.flatMap((name, id) => ((counts[id] ?? 0) > 0 ? [[id, showAll(name)]] : [])),
  );
}

function describe(tally: ValueTally, edges: readonly number[]): Distribution {
  // A bin of the tally may reach beyond the largest value that there can be.
  const quantile = (share: number): number => Math.min(tally.quantile(share), edges.at(-1) ?? Infinity);
  return {
    edges,
    counts: tally.histogram(edges),
    low: quantile(0.1),
    median: quantile(0.5),
    high: quantile(0.9),
  };
}

function normEdges(tally: ValueTally): number[] {
  const most = tally.quantile(0.999);
  const width = 2 ** Math.ceil(Math.log2((most > 0 ? most : 1) / BARS));
  return Array.from({ length: Math.ceil(Math.max(most, width) / width) + 1 }, (_, index) => index * width);
}

function topClasses(counts: Uint32Array, names: readonly string[] | undefined, kind: string): ClassCount[] {
  return [...counts.entries()]
    .filter(([, count]) => count > 0)
    .sort((a, b) => b[1] - a[1])
    .slice(0, TOP_CLASSES)
    .map(([id, count]) => ({
      key: String(id),
      name: names === undefined ? `${kind} ${id}` : showAll(names[id] ?? ''),
      count,
    }));
}

function topSizes(survey: StoreSurvey): ClassCount[] {
  const sizes = new Map<string, number>();
  for (const at of survey.rows.keys()) {
    const size = `${summaryOf(survey, at, SUMMARY.width)} × ${summaryOf(survey, at, SUMMARY.height)}`;
    sizes.set(size, (sizes.get(size) ?? 0) + 1);
  }
  const sorted = [...sizes].sort((a, b) => b[1] - a[1]).slice(0, TOP_SIZES);
  return sorted.map(([name, count]) => ({ key: name.replaceAll(' ', ''), name, count }));
}
