import { storedFeatureBytes } from '../rows/feature-dtype.ts';
import { imageIdOf, imageSize, type RowRecord } from '../rows/row-record.ts';
import type { RowShape } from '../rows/row-shape.ts';
import type { StoreFile } from '../store/reader.ts';
import type { Card } from '../report/cards.ts';
import type { BoxData, ImageData } from '../report/page-data.ts';
import { formatCount, showAll } from '../show-text.ts';
import type { PictureFinder } from './find-pictures.ts';
import type { RankedImage } from './rank-images.ts';
import { findRowProblems, floatColumn, idColumn, measureFeatures } from './summarise-row.ts';
import { createWidener } from './widen-features.ts';

const MAX_PROBLEMS = 3;

/** Longest side of an embedded picture: the more images, the smaller, so that a page stays within some 15 MB. */
export function pictureSide(images: number): number {
  return images <= 24 ? 640 : images <= 120 ? 480 : 360;
}

export interface StoredBoxes {
  readonly id: string;
  readonly width: number;
  readonly height: number;
  readonly boxes: BoxData;
  /** [36, 2048]. */
  readonly features: Float32Array;
  readonly record: RowRecord;
}

/** One image of a store with the norms of its features. */
export async function readBoxes(store: StoreFile, row: number): Promise<StoredBoxes> {
  const stored = await store.readTensor('features', row, 1);
  const [record] = await store.readRecords(row, 1);
  const scratch = new Float32Array(storedFeatureBytes('f32') / 4);
  const features = createWidener(store.dtype)(stored, scratch);
  const { width, height } = imageSize(record!);
  return {
    id: imageIdOf(record!),
    width,
    height,
    boxes: describeBoxes(record!, store.shape, features),
    features,
    record: record!,
  };
}

export interface ImageCard extends Card {
  readonly data: ImageData;
  readonly jpeg: Buffer | undefined;
}

/** Cards of chosen images in their order, one at a time. */
export async function* readCards(
  store: StoreFile,
  chosen: readonly RankedImage[],
  pictures: PictureFinder,
): AsyncGenerator<ImageCard> {
  const side = pictureSide(chosen.length);
  for (const { row, reasons, flawed } of chosen) {
    const { id, width, height, boxes, features, record } = await readBoxes(store, row);
    const picture = await pictures.find(id, width, height, side);
    const found = typeof picture === 'string' ? undefined : picture;
    const details = flawed
      ? findRowProblems({ features, record, shape: store.shape }).slice(0, MAX_PROBLEMS)
      : [];
    const note = found === undefined ? describeLack(picture as string, pictures) : found.note;
    const data = {
      id: showAll(id),
      width,
      height,
      picture: found === undefined ? null : dataUri(found.bytes),
      ...boxes,
    };
    const words = details.map(
      ({ column, expected, got }) => `${column ?? ''}: expected ${expected}, got ${got}`,
    );
    const tone = flawed ? 'bad' : 'warn';
    const chips = [
      { text: `row ${formatCount(row)}` },
      ...[...reasons, ...words].map(text => ({ text, tone }) as const),
    ];
    yield { data, row, chips, note, jpeg: found?.bytes };
  }
}

/** Where no folder was given there is nothing to say of each image. */
function describeLack(reason: string, pictures: PictureFinder): string | undefined {
  return pictures.files === 0 ? undefined : `no picture: ${reason}`;
}

export function dataUri(jpeg: Buffer): string {
  return `data:image/jpeg;base64,${jpeg.toString('base64')}`;
}

function describeBoxes(record: RowRecord, shape: RowShape, features: Float32Array): BoxData {
  const { norms, zeros } = measureFeatures(features);
  const round = (values: Float32Array, digits: number): number[] =>
    Array.from(values, value => Number(value.toPrecision(digits)));
  return {
    // Seven digits are what a float32 holds of a coordinate.
    boxes: round(floatColumn(record, 'boxes'), 7),
    norms: round(norms, 4),
    zeros: round(zeros, 3),
    ...(shape.name === 'obj36'
      ? {
          objects: idColumn(record, 'objects_id'),
          objectsConf: round(floatColumn(record, 'objects_conf'), 4),
          attrs: idColumn(record, 'attrs_id'),
          attrsConf: round(floatColumn(record, 'attrs_conf'), 4),
        }
      : {}),
  };
}
