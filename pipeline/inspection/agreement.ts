import { BOXES } from '../rows/row-shape.ts';
import type { MatchedRows } from './match-boxes.ts';
import type { StoredRow } from './stored-row.ts';

/** How far two rows of the same image agree. Boxes are matched one to one, the largest overlap first. */
export interface ImageAgreement {
  readonly img_id: string;
  /** Mean intersection over union of matched boxes. */
  readonly iou: number;
  /** Share of matched boxes with the same object and attribute class; null where a store has no classes. */
  readonly objects: number | null;
  readonly attributes: number | null;
  /** Cosine of the features of matched boxes; NaN where a feature is not finite. */
  readonly cosine_mean: number;
  readonly cosine_worst: number;
  /** Largest difference of a feature value of matched boxes. */
  readonly features_worst: number;
  /** Boxes that have the same index in both. */
  readonly same_index: number;
}

export function agreementOf(first: StoredRow, second: StoredRow, matched: MatchedRows): ImageAgreement {
  const { partner, ious, cosines, differences } = matched;
  return {
    img_id: first.id,
    iou: mean(ious),
    objects: shareEqual(first.objects, second.objects, partner),
    attributes: shareEqual(first.attributes, second.attributes, partner),
    cosine_mean: mean(cosines),
    cosine_worst: least(cosines),
    features_worst: most(differences),
    same_index: partner.filter((other, box) => other === box).length,
  };
}

/** Agreement over all images that were compared. Images with values that are not finite count in `not_finite` only. */
export interface AgreementTotals {
  readonly images: number;
  readonly not_finite: number;
  readonly cosine_mean: number;
  readonly cosine_worst: number;
  readonly features_worst: number;
  readonly iou_mean: number;
  /** Share of boxes, 0 to 1. */
  readonly same_index: number;
  readonly objects: number | null;
  readonly attributes: number | null;
}

/** Sums up agreements image by image; memory does not grow with their number. */
export class AgreementSum {
  #images = 0;
  #notFinite = 0;
  #worstCosine = Infinity;
  #worstDifference = -Infinity;
  readonly #sums = { cosine: 0, iou: 0, sameIndex: 0 };
  readonly #objects = { sum: 0, images: 0 };
  readonly #attributes = { sum: 0, images: 0 };

  add(image: ImageAgreement): void {
    this.#images++;
    addShare(this.#objects, image.objects);
    addShare(this.#attributes, image.attributes);
    this.#sums.sameIndex += image.same_index;
    if (![image.cosine_mean, image.features_worst, image.iou].every(Number.isFinite)) {
      this.#notFinite++;
      return;
    }
    this.#sums.cosine += image.cosine_mean;
    this.#sums.iou += image.iou;
    this.#worstCosine = Math.min(this.#worstCosine, image.cosine_worst);
    this.#worstDifference = Math.max(this.#worstDifference, image.features_worst);
  }

  totals(): AgreementTotals {
    const finite = this.#images - this.#notFinite;
    return {
      images: this.#images,
      not_finite: this.#notFinite,
      cosine_mean: this.#sums.cosine / finite,
      cosine_worst: finite === 0 ? NaN : this.#worstCosine,
      features_worst: finite === 0 ? NaN : this.#worstDifference,
      iou_mean: this.#sums.iou / finite,
      same_index: this.#sums.sameIndex / (this.#images * BOXES),
      objects: shareOf(this.#objects),
      attributes: shareOf(this.#attributes),
    };
  }
}

interface Share {
  sum: number;
  images: number;
}

function addShare(share: Share, value: number | null): void {
  if (value === null) return;
  share.sum += value;
  share.images++;
}

function shareOf({ sum, images }: Share): number | null {
  return images === 0 ? null : sum / images;
}

function shareEqual(
  first: readonly number[] | undefined,
  second: readonly number[] | undefined,
  partner: readonly number[],
): number | null {
  if (first === undefined || second === undefined) return null;
  return partner.filter((other, box) => first[box] === second[other]).length / BOXES;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function least(values: readonly number[]): number {
  return values.reduce((a, b) => Math.min(a, b), Infinity);
}

function most(values: readonly number[]): number {
  return values.reduce((a, b) => Math.max(a, b), -Infinity);
}
