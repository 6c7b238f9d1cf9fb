import type { Finding } from '../inspection/findings.ts';

/** Data that a page carries for its script, as JSON. Numbers that are not finite are null there. */
export interface PageData {
  readonly kind: 'images' | 'pairs' | 'health';
  /** Names of the classes that occur, by id; null where no vocabulary was found. */
  readonly objectNames: Readonly<Record<string, string>> | null;
  readonly attributeNames: Readonly<Record<string, string>> | null;
  /** Norms at the two ends of the colour scale. */
  readonly normScale: readonly [number, number];
}

/** What boxes can be filtered by. */
export type ColumnName = 'object' | 'attr' | 'conf' | 'aconf' | 'area' | 'norm' | 'zeros' | 'cosine' | 'iou';

/** How the numbers of a column are stored, little-endian: integers times `scale`, the upper half of a float32, or a float32. */
export interface Column {
  readonly type: 'u16' | 'bf16' | 'f32';
  readonly scale: number;
  /** [images, boxes], as base64. */
  readonly data: string;
}

/** What the grid shows and filters; everything else of an image is in an island of its own, read when it is shown. */
export interface PageIndex {
  /** As shown, see show-text.ts; in the order of the page. */
  readonly ids: readonly string[];
  /** Row index in the store. */
  readonly rows: readonly number[];
  /** Width and height of each image. */
  readonly sizes: readonly number[];
  readonly captions: readonly string[];
  /** Bit `i` is set where an image has `findings[i]`. */
  readonly flags: readonly number[];
  readonly findings: readonly Finding[];
  /** Boxes of an image: 36, or 72 where it is in two stores. */
  readonly boxes: number;
  readonly columns: Readonly<Partial<Record<ColumnName, Column>>>;
}
