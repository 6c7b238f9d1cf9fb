import { LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import { BOXES, FEATURE_DIM } from '../format/row-shape.ts';
import { type FeatureStore, openStore, type StoreRow } from '../store.ts';

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
  const partner = matchBoxes(first.boxes, second.boxes);
  let iou = 0;
  let worst = 0;
  const cosines: number[] = [];
  for (const [box, other] of partner.entries()) {
    iou += overlap(first.boxes, box, second.boxes, other);
    const a = first.features.subarray(box * FEATURE_DIM, (box + 1) * FEATURE_DIM);
    const b = second.features.subarray(other * FEATURE_DIM, (other + 1) * FEATURE_DIM);
    const { cosine, difference } = compareFeatures(a, b);
    cosines.push(cosine);
    worst = Math.max(worst, difference);
  }
  return {
    img_id: first.img_id,
    iou: iou / BOXES,
    objects: agreement(first.objects_id, second.objects_id, partner),
    attributes: agreement(first.attrs_id, second.attrs_id, partner),
    cosine_mean: cosines.reduce((sum, cosine) => sum + cosine, 0) / BOXES,
    cosine_worst: Math.min(...cosines),
    features_worst: worst,
    same_place: partner.filter((other, box) => other === box).length,
  };
}

/** For each box of `first` its partner in `second`: pairs by falling overlap, on equal overlap those in the same place first. */
function matchBoxes(first: Float32Array, second: Float32Array): number[] {
  const pairs: { box: number; other: number; iou: number }[] = [];
  for (let box = 0; box < BOXES; box++) {
    for (let other = 0; other < BOXES; other++)
      pairs.push({ box, other, iou: overlap(first, box, second, other) });
  }
  pairs.sort((a, b) => b.iou - a.iou || Math.abs(a.box - a.other) - Math.abs(b.box - b.other));
  const partner = new Array<number>(BOXES).fill(-1);
  const taken = new Set<number>();
  for (const { box, other } of pairs) {
    if (partner[box] !== -1 || taken.has(other)) continue;
    partner[box] = other;
    taken.add(other);
  }
  return partner;
}

function overlap(first: Float32Array, box: number, second: Float32Array, other: number): number {
  const [ax1, ay1, ax2, ay2] = first.subarray(box * 4, box * 4 + 4) as unknown as [
    number,
    number,
    number,
    number,
  ];
  const [bx1, by1, bx2, by2] = second.subarray(other * 4, other * 4 + 4) as unknown as [
    number,
    number,
    number,
    number,
  ];
  const shared =
    Math.max(0, Math.min(ax2, bx2) - Math.max(ax1, bx1)) *
    Math.max(0, Math.min(ay2, by2) - Math.max(ay1, by1));
  return shared / ((ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - shared);
}

function compareFeatures(a: Float32Array, b: Float32Array): { cosine: number; difference: number } {
  let dot = 0;
  let normA = 0;
  let normB = 0;
  let difference = 0;
  for (let index = 0; index < a.length; index++) {
    const x = a[index]!;
    const y = b[index]!;
    dot += x * y;
    normA += x * x;
    normB += y * y;
    difference = Math.max(difference, Math.abs(x - y));
  }
  const norm = Math.sqrt(normA * normB);
  return { cosine: norm === 0 ? Number(normA === normB) : dot / norm, difference };
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
