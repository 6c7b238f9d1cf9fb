/** Data that a page carries for its script, as JSON. Numbers that are not finite are null there. */

export interface BoxData {
  /** x1, y1, x2, y2 of 36 boxes in pixels of the original image. */
  readonly boxes: readonly (number | null)[];
  readonly norms: readonly (number | null)[];
  /** Share of zeros among the 2048 values of each box. */
  readonly zeros: readonly number[];
  /** Absent in stores of six-column rows. */
  readonly objects?: readonly number[] | undefined;
  readonly objectsConf?: readonly (number | null)[] | undefined;
  readonly attrs?: readonly number[] | undefined;
  readonly attrsConf?: readonly (number | null)[] | undefined;
}

export interface ImageData extends BoxData {
  /** As shown, see show-text.ts. */
  readonly id: string;
  readonly width: number;
  readonly height: number;
  /** The picture, made smaller, as data URI; null where there is none. */
  readonly picture: string | null;
}

/** One image in two stores. Box `i` of `first` is matched with box `partner[i]` of `second`. */
export interface PairData {
  readonly id: string;
  readonly width: number;
  readonly height: number;
  readonly picture: string | null;
  readonly first: BoxData;
  /** Width and height of the image as the second store has them. */
  readonly secondSize: readonly [number, number];
  readonly second: BoxData;
  readonly partner: readonly number[];
  readonly ious: readonly number[];
  readonly cosines: readonly (number | null)[];
}

export interface PageData {
  readonly kind: 'images' | 'pairs' | 'health';
  /** Names of the classes that occur, by id; null where no vocabulary was found. */
  readonly objectNames: Readonly<Record<string, string>> | null;
  readonly attributeNames: Readonly<Record<string, string>> | null;
  /** Norms at the two ends of the colour scale. */
  readonly normScale: readonly [number, number];
}
