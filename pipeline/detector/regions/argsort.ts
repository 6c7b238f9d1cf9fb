/** Runs of this length and one more are sorted by insertion. */
const SMALL_RUN = 15;

/**
 * Indices that put `values` into decreasing order: NumPy's `values.argsort()[::-1]`.
 *
 * The order of equal values decides which of two regions survives, so this sorts as NumPy's default (unstable)
 * sort does: median of three, Hoare partition, insertion sort of short runs. NaN is not allowed.
 */
export function argsortDescending(values: Float32Array | Float64Array): Int32Array {
  const order = new Int32Array(values.length);
  for (let i = 0; i < order.length; i += 1) order[i] = i;
  sortRun(values, order, 0, order.length - 1);
  return order.reverse();
}

function sortRun(values: Float32Array | Float64Array, order: Int32Array, first: number, last: number): void {
  let left = first;
  let right = last;
  while (right - left > SMALL_RUN) {
    const split = partition(values, order, left, right);
    // Recursing into the shorter side only keeps the stack short; the sides do not touch each other.
    if (split - left < right - split) {
      sortRun(values, order, left, split - 1);
      left = split + 1;
    } else {
      sortRun(values, order, split + 1, right);
      right = split - 1;
    }
  }
  for (let i = left + 1; i <= right; i += 1) {
    const index = order[i]!;
    const value = valueAt(values, order, i);
    let hole = i;
    while (hole > left && value < valueAt(values, order, hole - 1)) {
      order[hole] = order[hole - 1]!;
      hole -= 1;
    }
    order[hole] = index;
  }
}

/** The value at a position of the order. */
function valueAt(values: Float32Array | Float64Array, order: Int32Array, position: number): number {
  return values[order[position]!]!;
}

/** Puts the median of the first, middle and last value where it belongs and returns its position. */
function partition(
  values: Float32Array | Float64Array,
  order: Int32Array,
  left: number,
  right: number,
): number {
  const middle = left + ((right - left) >> 1);
  swapIfLess(values, order, middle, left);
  swapIfLess(values, order, right, middle);
  swapIfLess(values, order, middle, left);
  const pivot = valueAt(values, order, middle);
  swap(order, middle, right - 1);
  let up = left;
  let down = right - 1;
  for (;;) {
    do up += 1;
    while (valueAt(values, order, up) < pivot);
    do down -= 1;
    while (pivot < valueAt(values, order, down));
    if (up >= down) break;
    swap(order, up, down);
  }
  swap(order, up, right - 1);
  return up;
}

function swapIfLess(values: Float32Array | Float64Array, order: Int32Array, a: number, b: number): void {
  if (valueAt(values, order, a) < valueAt(values, order, b)) swap(order, a, b);
}

function swap(order: Int32Array, a: number, b: number): void {
  const kept = order[a]!;
  order[a] = order[b]!;
  order[b] = kept;
}
