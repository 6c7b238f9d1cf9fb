import type { AgreementTotals } from './agreement.ts';

/** Whether weights are the detector that LXMERT's published features come from. */
export type DetectorVerdict = 'published' | 'different' | 'undecided';

export interface JudgedDetector {
  readonly verdict: DetectorVerdict;
  /** What was measured, against what it must be at least. */
  readonly measures: readonly {
    readonly name: 'box overlap' | 'equal object classes' | 'equal attributes' | 'cosine of features';
    readonly value: number;
    readonly least: number;
  }[];
}

/**
 * The same weights give the same boxes, classes and features, but for rounding and the decoder of the images; other
 * weights miss these by far. Too few images prove nothing.
 */
const LEAST = { iou: 0.95, objects: 0.95, attributes: 0.95, cosine: 0.99, images: 5 } as const;

/** Judges the detector of a store by its agreement with published rows of the same images. */
export function judgeDetector(totals: AgreementTotals): JudgedDetector {
  const measures: JudgedDetector['measures'] = [
    { name: 'box overlap', value: totals.iou_mean, least: LEAST.iou },
    { name: 'equal object classes', value: totals.objects ?? NaN, least: LEAST.objects },
    { name: 'equal attributes', value: totals.attributes ?? NaN, least: LEAST.attributes },
    { name: 'cosine of features', value: totals.cosine_mean, least: LEAST.cosine },
  ];
  const fits = totals.not_finite === 0 && measures.every(({ value, least }) => value >= least);
  if (!fits) return { verdict: 'different', measures };
  return { verdict: totals.images < LEAST.images ? 'undecided' : 'published', measures };
}
