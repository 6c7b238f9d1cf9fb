import type { StageContext } from '../events.ts';
import type { StoreFile } from '../store/reader.ts';
import { formatCount, showAll } from '../show-text.ts';
import { floatColumn } from '../rows/row-record.ts';
import type { Picture, PictureFinder } from './find-pictures.ts';
import type { ImageCard, ImageData } from './findings.ts';
import type { RankedImage } from './rank-images.ts';
import { describeBoxes, readStoredRow, type StoredRow } from './stored-row.ts';
import { findRowProblems } from './summarise-row.ts';

const MAX_PROBLEMS = 3;

/** Longest side of an embedded picture by the number of images: the more, the smaller, so that a page stays small. */
const SIDES = [
  [24, 640],
  [120, 480],
  [600, 360],
  [2400, 240],
] as const;
const LEAST_SIDE = 160;

export function pictureSide(images: number): number {
  return SIDES.find(([most]) => images <= most)?.[1] ?? LEAST_SIDE;
}

/** A card with the picture itself, for the contact sheet. */
export interface PicturedCard extends ImageCard<ImageData> {
  readonly jpeg: Buffer | undefined;
}

/** Cards of chosen images in their order, one at a time. */
export async function* readCards(
  store: StoreFile,
  chosen: readonly RankedImage[],
  pictures: PictureFinder,
  { emit, signal }: StageContext,
): AsyncGenerator<PicturedCard> {
  const total = chosen.length;
  const side = pictureSide(total);
  for (const [index, image] of chosen.entries()) {
    signal.throwIfAborted();
    yield await readCard(store, image, pictures, side);
    emit({
      event: 'progress',
      stage: 'inspect',
      input: store.path,
      unit: 'images',
      done: index + 1,
      total,
    });
  }
}

async function readCard(
  store: StoreFile,
  { row, reasons, kinds, invalid }: RankedImage,
  pictures: PictureFinder,
  side: number,
): Promise<PicturedCard> {
  const stored = await readStoredRow(store, row);
  const { id, width, height } = stored;
  const picture = await pictures.find(id, width, height, side);
  const found = typeof picture === 'string' ? undefined : picture;
  const problems = invalid ? findRowProblems(stored).slice(0, MAX_PROBLEMS) : [];
  const details = problems.map(
    ({ column, expected, got }) => `${column ?? ''}: expected ${expected}, got ${got}`,
  );
  const tone = invalid ? 'bad' : 'warn';
  return {
    data: {
      id: showAll(id),
      width,
      height,
      picture: found === undefined ? null : dataUri(found),
      ...describeBoxes(stored),
    },
    row,
    chips: [
      { text: `row ${formatCount(row)}` },
      ...[...reasons, ...details].map(text => ({ text, tone }) as const),
    ],
    kinds,
    caption: reasons[0] ?? captionOf(stored),
    note: typeof picture === 'string' ? describeMissing(picture, pictures) : picture.note,
    jpeg: found?.bytes,
  };
}

/** Nothing where no folder of images was given. */
function describeMissing(reason: string, pictures: PictureFinder): string | undefined {
  return pictures.files === 0 ? undefined : `no picture: ${reason}`;
}

function captionOf({ width, height, record, shape }: StoredRow): string {
  const size = `${width} × ${height}`;
  if (shape.name !== 'obj36') return size;
  const confidences = floatColumn(record, 'objects_conf');
  const sum = confidences.reduce((total, value) => total + value, 0);
  return `${size}, mean conf. ${(sum / confidences.length).toFixed(2)}`;
}

export function dataUri({ bytes, type }: Picture): string {
  return `data:image/${type};base64,${bytes.toString('base64')}`;
}
