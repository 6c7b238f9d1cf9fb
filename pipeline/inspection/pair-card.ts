import { formatSimilarity, showAll } from '../show-text.ts';
import type { ImageAgreement } from './agreement.ts';
import type { PictureFinder } from './find-pictures.ts';
import type { FindingCount, ImageCard, PairData, PairFindingKind } from './findings.ts';
import { dataUri } from './read-cards.ts';
import type { MatchedRows } from './match-boxes.ts';
import type { MatchedPair, RowPair } from './store-pair.ts';
import { describeBoxes } from './stored-row.ts';

/** Cosine of features, and overlap, from which a pair of boxes counts as the same: rounding to 16 bits stays above. */
const SAME = 0.999;

const PAIR_FINDINGS: readonly (readonly [kind: PairFindingKind, label: string])[] = [
  ['differ_features', 'features differ'],
  ['differ_boxes', 'boxes differ'],
  ['differ_objects', 'object classes differ'],
  ['differ_attributes', 'attribute classes differ'],
];

/** In what the two rows of an image differ. */
export function differencesOf(
  { ious }: Pick<MatchedRows, 'ious'>,
  { cosine_worst: cosine, objects, attributes }: ImageAgreement,
): PairFindingKind[] {
  const kinds: PairFindingKind[] = [];
  // Not `<`: what is not a number differs.
  if (!(cosine >= SAME)) kinds.push('differ_features');
  if (!ious.every(iou => iou >= SAME)) kinds.push('differ_boxes');
  if (objects !== null && objects < 1) kinds.push('differ_objects');
  if (attributes !== null && attributes < 1) kinds.push('differ_attributes');
  return kinds;
}

/** How many images differ in what. */
export function countDifferences(images: readonly (readonly PairFindingKind[])[]): FindingCount[] {
  return PAIR_FINDINGS.flatMap(([kind, label]) => {
    const count = images.filter(kinds => kinds.includes(kind)).length;
    return count === 0 ? [] : [{ kind, label, tone: 'warn', images: count }];
  });
}

/** The card of one image in two stores. */
export async function readPairCard(
  { first, second, matched }: MatchedPair,
  { rows, agreement }: { readonly rows: RowPair; readonly agreement: ImageAgreement },
  pictures: PictureFinder,
  side: number,
): Promise<ImageCard<PairData>> {
  const found = await pictures.find(first.id, first.width, first.height, side);
  const round = (values: readonly number[]): number[] => values.map(value => Number(value.toPrecision(8)));
  const sameSize = first.width === second.width && first.height === second.height;
  return {
    data: {
      id: showAll(first.id),
      width: first.width,
      height: first.height,
      picture: typeof found === 'string' ? null : dataUri(found),
      partner: matched.partner,
      first: describeBoxes(first),
      second: describeBoxes(second),
      secondSize: [second.width, second.height],
      ious: round(matched.ious),
      cosines: round(matched.cosines),
    },
    row: rows[0],
    kinds: differencesOf(matched, agreement),
    caption: `cos. ${formatSimilarity(agreement.cosine_mean)}, worst ${formatSimilarity(agreement.cosine_worst)}`,
    chips: [
      `rows ${rows[0]} and ${rows[1]}`,
      `mean cosine ${formatSimilarity(agreement.cosine_mean)}`,
      `worst ${formatSimilarity(agreement.cosine_worst)}`,
      `mean IoU ${formatSimilarity(agreement.iou)}`,
    ].map(text => ({ text })),
    note: sameSize
      ? typeof found === 'string'
        ? undefined
        : found.note
      : `in B the image is ${second.width} × ${second.height}: overlaps are meaningless`,
  };
}
