import { LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import { BOXES } from '../rows/row-shape.ts';
import { type FeatureStore, openStore, type StoreRow } from '../store/feature-store.ts';
import { matchRows } from '../inspection/match-boxes.ts';

/** How alike two sets of 36 boxes of the same image are. Boxes are matched one to one, the best overlap first. */
export interface ImageAgreement {
  readonly img_id: string;
  /** Mean intersection over union of matched boxes. */
  readonly iou: number;
  /** Matched boxes with the same object and attribute class, 0 to 1. */
  readonly objects: number | null;
  readonly attributes: number | null;
  /** Cosine of the features of matched boxes. */
  readonly cosine_mean: number;
  readonly cosine_worst: number;
  /** Largest difference of a feature value of matched boxes. */
  readonly features_worst: number;
  /** Boxes that stand in the same place in both. */
  readonly same_place: number;
}

export interface CompareStoresResult {
  readonly images: readonly ImageAgreement[];
  readonly only_in_first: number;
  readonly only_in_second: number;
  readonly detectors: readonly [string, string];
}

/** Compares what two stores say of the images that both have, for instance a detector's results with published rows. */
export async function compareStores(
  paths: readonly [string, string],
  context: StageContext,
): Promise<CompareStoresResult> {
  const stores = [await openStore(paths[0]), await openStore(paths[1])] as const;
  try {
    const [ids, others] = (await Promise.all(stores.map(async store => await store.ids()))) as [
      readonly string[],
      readonly string[],
    ];
    const known = new Set(others);
    const common = ids.filter(id => known.has(id));
    if (common.length === 0) {
      throw new LxmertDataError('ERR_INPUT', {
        what: 'the stores have no image in common',
        where: paths.join(' and '),
        got: `${ids[0]!}, … and ${others[0]!}, …`,
      });
    }
    const images: ImageAgreement[] = [];
    for (const id of common) {
      context.signal.throwIfAborted();
      const [first, second] = await Promise.all(stores.map(async store => await store.row(id)));
      images.push(compareRows(first!, second!));
      const done = images.length;
      context.emit({
        event: 'progress',
        stage: 'compare',
        input: paths[0],
        done,
        total: common.length,
        unit: 'images',
      });
    }
    return {
      images,
      only_in_first: ids.length - common.length,
      only_in_second: others.length - common.length,
      detectors: [detectorOf(stores[0]), detectorOf(stores[1])],
    };
  } finally {
    await Promise.all(stores.map(async store => await store.close()));
  }
}

export function compareRows(first: StoreRow, second: StoreRow): ImageAgreement {
  const { partner, ious, cosines, differences } = matchRows(first, second);
  return {
    img_id: first.img_id,
    iou: meanOf(ious),
    objects: agreement(first.objects_id, second.objects_id, partner),
    attributes: agreement(first.attrs_id, second.attrs_id, partner),
    cosine_mean: meanOf(cosines),
    cosine_worst: Math.min(...cosines),
    features_worst: Math.max(...differences),
    same_place: partner.filter((other, box) => other === box).length,
  };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function agreement(
  first: BigInt64Array | undefined,
  second: BigInt64Array | undefined,
  partner: readonly number[],
): number | null {
  if (first === undefined || second === undefined) return null;
  return partner.filter((other, box) => first[box] === second[other]).length / BOXES;
}

function detectorOf(store: FeatureStore): string {
  const { name, weights } = JSON.parse(store.metadata['detector']!) as { name: string; weights: string };
  return `${name}, weights ${weights}`;
}
