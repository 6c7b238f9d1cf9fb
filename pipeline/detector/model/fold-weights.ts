import type { Convolution } from './network.ts';
import { nameNormalization } from './network.ts';
import type { Weights } from './weights.ts';

const BATCH_NORM_EPSILON = 1e-5;

export interface FoldedConvolution {
  /** (outputs, inputs, kernel, kernel) */
  readonly weight: Float64Array;
  /** (outputs) */
  readonly bias: Float64Array;
}

/** Folds BatchNorm and Scale into the convolution before them, in double. */
export async function foldConvolution(
  weights: Weights,
  convolution: Convolution,
): Promise<FoldedConvolution> {
  const { layer, outputs } = convolution;
  const { batchNorm, scale } = nameNormalization(layer);
  const [kernel, mean, variance, [factor = 0], gamma, beta] = await Promise.all([
    weights.read(`${layer}/0`),
    weights.read(`${batchNorm}/0`),
    weights.read(`${batchNorm}/1`),
    weights.read(`${batchNorm}/2`),
    weights.read(`${scale}/0`),
    weights.read(`${scale}/1`),
  ]);
  const correction = factor === 0 ? 0 : 1 / factor;
  const gains = Float64Array.from(gamma, (value, output) => {
    return value / Math.sqrt((variance[output] ?? NaN) * correction + BATCH_NORM_EPSILON);
  });
  const bias = Float64Array.from(gains, (gain, output) => {
    return (beta[output] ?? NaN) - (mean[output] ?? NaN) * correction * gain;
  });
  const size = kernel.length / outputs;
  const weight = Float64Array.from(kernel);
  for (const [output, gain] of gains.entries()) {
    for (let i = output * size; i < (output + 1) * size; i += 1) weight[i]! *= gain;
  }
  return { weight, bias };
}

/** (outputs, inputs, kernel, kernel) to (outputs, kernel * kernel * inputs): the order in which pixels are gathered. */
export function orderByTap(weight: Float64Array, { inputs, outputs, kernel }: Convolution): Float64Array {
  const taps = kernel * kernel;
  const ordered = new Float64Array(weight.length);
  for (let output = 0; output < outputs; output += 1) {
    for (let input = 0; input < inputs; input += 1) {
      for (let tap = 0; tap < taps; tap += 1) {
        ordered[(output * taps + tap) * inputs + input] = weight[(output * inputs + input) * taps + tap]!;
      }
    }
  }
  return ordered;
}
