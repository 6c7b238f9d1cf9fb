import type { ImageCard } from '../inspection/findings.ts';
import { formatBytes } from '../files/format-bytes.ts';
import { formatCount } from '../show-text.ts';
import { type Html, markupOf } from './html.ts';
import { renderImageData } from './image-grid.ts';
import { PageIndexBuilder } from './page-index.ts';
import type { PageIndex } from './page-data.ts';
import type { Finding } from '../inspection/findings.ts';

/** Bytes of pictures, and of all image data, that a page holds at most, so that browsers open it. */
const MAX_PICTURE_BYTES = 64_000_000;
const MAX_PAGE_BYTES = 160_000_000;

/** The images of a page, ready to be written. */
export interface PageImages {
  readonly index: PageIndex;
  readonly islands: readonly Html[];
  /** What was left out to keep the page small, as sentences. */
  readonly notices: readonly string[];
}

export interface PageLimits {
  readonly pictureBytes: number;
  readonly pageBytes: number;
}

/** Reads all images of a page, up to what a page can hold; what is left out is reported in `notices`. */
export async function collectImages(
  cards: AsyncIterable<ImageCard> | Iterable<ImageCard>,
  findings: readonly Finding[],
  limits: PageLimits = { pictureBytes: MAX_PICTURE_BYTES, pageBytes: MAX_PAGE_BYTES },
): Promise<PageImages> {
  const index = new PageIndexBuilder(findings);
  const islands: Html[] = [];
  let [pictureBytes, pageBytes, withoutPicture, leftOut] = [0, 0, 0, 0];
  for await (const card of cards) {
    const picture = card.data.picture?.length ?? 0;
    const fits = pictureBytes + picture <= limits.pictureBytes;
    const shown = fits ? card : { ...card, data: { ...card.data, picture: null } };
    const island = renderImageData(shown, islands.length);
    const size = markupOf(island).length;
    if (pageBytes + size > limits.pageBytes) {
      leftOut++;
      continue;
    }
    if (!fits) withoutPicture++;
    pictureBytes += fits ? picture : 0;
    pageBytes += size;
    islands.push(island);
    index.add(shown);
  }
  const notices = [
    withoutPicture > 0 &&
      `The pictures of ${formatCount(withoutPicture)} images, the last ones, were left out: a page holds at most ${formatBytes(limits.pictureBytes)} of pictures. Name images to see them.`,
    leftOut > 0 &&
      `${formatCount(leftOut)} images, the last ones, were left out: a page holds at most ${formatBytes(limits.pageBytes)}. Name images to see them.`,
  ];
  return { index: index.finish(), islands, notices: notices.filter(text => text !== false) };
}
