/** What inspection finds, as data. Pages and the command line show it; nothing here knows how. */

/** The 36 boxes of an image. Numbers that are not finite become null in JSON. */
export interface BoxData {
  /** x1, y1, x2, y2 of 36 boxes in pixels of the original image. */
  readonly boxes: readonly (number | null)[];
  /** L2 norm of each box's feature vector. */
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
  /** The picture, made smaller, as a data URI; null if it was not found. */
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

/** What an image can be found by, beside its boxes. */
export type FindingKind =
  | 'damaged'
  | 'not_finite'
  | 'negative'
  | 'boxes'
  | 'classes'
  | 'confidences'
  | 'empty_boxes'
  | 'duplicate'
  | 'repeated_boxes'
  | 'repeated_features'
  | 'norm'
  | 'zeros'
  | 'confidence'
  | 'small_box'
  | 'few_classes'
  | PairFindingKind;

/** In what the two rows of an image differ. */
export type PairFindingKind = 'differ_features' | 'differ_boxes' | 'differ_objects' | 'differ_attributes';

export interface Finding {
  readonly kind: FindingKind;
  readonly label: string;
  /** `bad` where something is wrong, `warn` where it is only unusual. */
  readonly tone: 'bad' | 'warn';
}

/** A kind of finding and the images of the whole store that have it. */
export interface FindingCount extends Finding {
  readonly images: number;
}

/** One image to show, with what was found about it. */
export interface ImageCard<Data extends ImageData | PairData = ImageData | PairData> {
  readonly data: Data;
  /** Row index in the store. */
  readonly row: number;
  readonly chips: readonly { readonly text: string; readonly tone?: 'warn' | 'bad' }[];
  readonly kinds: readonly FindingKind[];
  /** What the grid says under the image. */
  readonly caption: string;
  /** A remark about the picture. */
  readonly note: string | undefined;
}

/** A histogram with three quantiles. */
export interface Distribution {
  /** Limits of the bars, one more than there are counts. */
  readonly edges: readonly number[];
  readonly counts: readonly number[];
  /** Value that a tenth, half and nine tenths of all values do not exceed. */
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

export interface ClassCount {
  /** Class id, or the text that the name is made from. */
  readonly key: string;
  readonly name: string;
  readonly count: number;
}

/** Names of the classes that occur, by id; null without a vocabulary. */
export interface ClassNames {
  readonly objects: Readonly<Record<string, string>> | null;
  readonly attributes: Readonly<Record<string, string>> | null;
}
