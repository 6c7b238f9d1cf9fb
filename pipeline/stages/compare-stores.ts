import type { StageContext } from '../events.ts';
import {
  agreementOf,
  AgreementSum,
  type AgreementTotals,
  type ImageAgreement,
} from '../inspection/agreement.ts';
import { StorePair } from '../inspection/store-pair.ts';

export interface CompareStoresOptions {
  readonly stores: readonly [string, string];
  /** Least mean cosine of an image for `ok`; 0.99 where not given. */
  readonly minCosine?: number | undefined;
}

export interface CompareStoresResult {
  /** False where the mean cosine of any image is below `minCosine`, or not a number. */
  readonly ok: boolean;
  readonly totals: AgreementTotals;
  readonly only_in_first: number;
  readonly only_in_second: number;
  /** Name and weights. */
  readonly detectors: readonly [string, string];
  readonly images: readonly ImageAgreement[];
}

const DEFAULT_MIN_COSINE = 0.99;

/**
 * Compares the images that two stores have in common, for instance the rows of a detector with published rows.
 * Fails with ERR_STORE where a store cannot be opened, with ERR_INPUT where they share no image.
 */
export async function compareStores(
  options: CompareStoresOptions,
  context: StageContext,
): Promise<CompareStoresResult> {
  const { stores, minCosine = DEFAULT_MIN_COSINE } = options;
  const pair = await StorePair.open(stores);
  try {
    const images: ImageAgreement[] = [];
    const sum = new AgreementSum();
    for (const rows of pair.common) {
      context.signal.throwIfAborted();
      const { first, second, matched } = await pair.read(rows);
      const agreement = agreementOf(first, second, matched);
      images.push(agreement);
      sum.add(agreement);
      context.emit({
        event: 'progress',
        stage: 'compare',
        input: stores[0],
        done: images.length,
        total: pair.common.length,
        unit: 'images',
      });
    }
    return {
      ok: images.every(image => image.cosine_mean >= minCosine),
      totals: sum.totals(),
      only_in_first: pair.onlyFirst,
      only_in_second: pair.onlySecond,
      detectors: pair.detectors,
      images,
    };
  } finally {
    await pair.close();
  }
}
