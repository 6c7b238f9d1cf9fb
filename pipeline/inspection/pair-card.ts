import { formatSimilarity, showAll } from '../show-text.ts';
import type { ImageAgreement } from './agreement.ts';
import type { PictureFinder } from './find-pictures.ts';
import type { ImageCard, PairData } from './findings.ts';
import { dataUri } from './read-cards.ts';
import type { MatchedPair, RowPair } from './store-pair.ts';
import { describeBoxes } from './stored-row.ts';

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
      picture: typeof found === 'string' ? null : dataUri(found.bytes),
      partner: matched.partner,
      first: describeBoxes(first),
      second: describeBoxes(second),
      secondSize: [second.width, second.height],
      ious: round(matched.ious),
      cosines: round(matched.cosines),
    },
    row: rows[0],
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
