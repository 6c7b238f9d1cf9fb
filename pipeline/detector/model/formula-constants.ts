import { readFileSync } from 'node:fs';
import { v } from '../../schema.ts';

const NUMBERS = v.record(v.string(), v.number());
const TABLE = v.object({
  variances: NUMBERS,
  gains: NUMBERS,
  bias_amplitudes: NUMBERS,
  class_background_bias: v.number(),
});

/** Constants of the formula behind the untrained weights, in a file that the Python package reads as well. */
const file = new URL('../../../reader/src/lxmert_data/detector/formula.json', import.meta.url);
const constants = v.parse(TABLE, JSON.parse(readFileSync(file, 'utf8')));

/** Variance of each convolution's output, by the name of its BatchNorm layer. */
export const VARIANCES: Readonly<Record<string, number>> = constants.variances;
export const GAINS: Readonly<Record<string, number>> = constants.gains;
export const BIAS_AMPLITUDES: Readonly<Record<string, number>> = constants.bias_amplitudes;
/** Added to the background's bias, so that some regions are background and most are not. */
export const CLASS_BACKGROUND_BIAS = constants.class_background_bias;
