import type { LayoutStep } from './detector-keys.ts';

const RATIOS = 3;
const SCALES = 4;

/** Turns the rows of a file's tensor into those of Caffe's blob. */
export function applySteps(
  values: Float32Array,
  rows: number,
  steps: readonly LayoutStep[] = [],
): Float32Array {
  const size = values.length / rows;
  return steps.reduce((current, step) => applyStep(current, size, step), values);
}

function applyStep(values: Float32Array, size: number, step: LayoutStep): Float32Array {
  if (step.do === 'zero-rows-before') {
    const longer = new Float32Array(values.length + step.rows * size);
    longer.set(values, step.rows * size);
    return longer;
  }
  const rows = values.length / size;
  const source =
    step.do === 'last-row-first'
      ? (row: number): number => (row === 0 ? rows - 1 : row - 1)
      : (row: number): number => anchorRow(row, step.group);
  const moved = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    const from = source(row) * size;
    moved.set(values.subarray(from, from + size), row * size);
  }
  return moved;
}

/** Caffe counts anchors ratio by ratio, detectron2 scale by scale; each has `group` rows. */
function anchorRow(row: number, group: number): number {
  const anchor = Math.floor(row / group);
  const [ratio, scale] = [Math.floor(anchor / SCALES), anchor % SCALES];
  return (scale * RATIOS + ratio) * group + (row % group);
}
