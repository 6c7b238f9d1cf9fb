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
  const [kernel, mean, variance, factor, gamma, beta] = await Promise.all(
    [`${layer}/0`, `${batchNorm}/0`, `${batchNorm}/1`, `${batchNorm}/2`, `${scale}/0`, `${scale}/1`].map(
      blob => weights.read(blob),
    ),
  );
  const correction = factor![0] === 0 ? 0 : 1 / factor![0]!;
  const weight = new Float64Array(kernel!.length);
  const bias = new Float64Array(outputs);
  const size = kernel!.length / outputs;
  for (let output = 0; output < outputs; output += 1) {
    const gain = gamma![output]! / Math.sqrt(variance![output]! * correction + BATCH_NORM_EPSILON);
    bias[output] = beta![output]! - mean![output]! * correction * gain;
    for (let i = output * size; i < (output + 1) * size; i += 1) weight[i] = kernel![i]! * gain;
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
