import type { Bottleneck, Convolution } from '../pipeline/detector/model/network.ts';
import {
  BACKBONE_BLOCKS,
  BIASED_LAYERS,
  CONV1,
  HEAD_BLOCKS,
  POOLED_SIZE,
  STEM_BLOCKS,
} from '../pipeline/detector/model/network.ts';

/** Multiplications and additions of one image whose network input has this size; those of padding included. */
export function countOperations(height: number, width: number, rois: number): number {
  let size: [number, number] = [halve(height), halve(width)];
  let total = countConvolution(CONV1, size);
  size = [Math.ceil((size[0] - 3) / 2) + 1, Math.ceil((size[1] - 3) / 2) + 1];
  for (const block of [...STEM_BLOCKS, ...BACKBONE_BLOCKS]) {
    if (block.reduce.stride === 2) size = [halve(size[0]), halve(size[1])];
    total += countBlock(block, size);
  }
  for (const [layer, shape] of Object.entries(BIASED_LAYERS)) {
    const weights = shape.reduce((product, side) => product * side, 1);
    total += 2 * weights * (layer.startsWith('rpn') ? size[0] * size[1] : rois);
  }
  for (const block of HEAD_BLOCKS) total += rois * countBlock(block, [POOLED_SIZE, POOLED_SIZE]);
  return total;
}

function halve(size: number): number {
  return Math.floor((size - 1) / 2) + 1;
}

function countBlock(
  { reduce, spatial, expand, shortcut }: Bottleneck,
  size: readonly [number, number],
): number {
  const parts = [reduce, spatial, expand, ...(shortcut === undefined ? [] : [shortcut])];
  return parts.reduce((sum, part) => sum + countConvolution(part, size), 0);
}

function countConvolution(
  { inputs, outputs, kernel }: Convolution,
  [height, width]: readonly [number, number],
): number {
  return 2 * inputs * outputs * kernel * kernel * height * width;
}
