import type { Convolution } from './network.ts';
import { nameNormalization } from './network.ts';
import type { Weights } from './weights.ts';

const BATCH_NORM_EPSILON = 1e-5;

export interface FoldedConvolution {
  /** (outputs, inputs, kernel, kernel) */
  readonly weight: Float32Array;
  /** (outputs) */
  readonly bias: Float32Array;
}

/**
 * Folds BatchNorm and Scale into the convolution before them. Done in double and rounded once, this moves the
 * results less than another BLAS moves Caffe's own.
 */
export async function foldConvolution(weights: Weights, convolution: Convolution): Promise<FoldedConvolution> {
  const { layer, outputs } = convolution;
  const { batchNorm, scale } = nameNormalization(layer);
  const [kernel, mean, variance, factor, gamma, beta] = await Promise.all(
    [`${layer}/0`, `${batchNorm}/0`, `${batchNorm}/1`, `${batchNorm}/2`, `${scale}/0`, `${scale}/1`].map(blob =>
      weights.read(blob),
    ),
  );
  const correction = factor![0] === 0 ? 0 : 1 / factor![0]!;
  const weight = new Float32Array(kernel!.length);
  const bias = new Float32Array(outputs);
  const size = kernel!.length / outputs;
  for (let output = 0; output < outputs; output += 1) {
    const gain = gamma![output]! / Math.sqrt(variance![output]! * correction + BATCH_NORM_EPSILON);
    bias[output] = beta![output]! - mean![output]! * correction * gain;
    for (let i = output * size; i < (output + 1) * size; i += 1) weight[i] = kernel![i]! * gain;
  }
  return { weight, bias };
}
