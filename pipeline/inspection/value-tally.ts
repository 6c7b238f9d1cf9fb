const MANTISSA_BITS = 7;
const LOWEST_OCTAVE = -20;
const OCTAVES = 32;
const BINS = OCTAVES << MANTISSA_BITS;
const FIRST = (127 + LOWEST_OCTAVE) << MANTISSA_BITS;

/**
 * Counts values >= 0 in 4096 bins of at most 0.8 % width, from 2^-20 to 2^12, whatever their number: quantiles come out within a bin,
 * and any histogram whose edges have at most 8 significant bits comes out exactly.
 */
export class ValueTally {
  readonly bins: Uint32Array<ArrayBuffer>;
  readonly #one = new Float32Array(1);
  readonly #bits = new Uint32Array(this.#one.buffer);

  constructor(bins = new Uint32Array(BINS)) {
    this.bins = bins;
  }

  /** Values that are no number are left out. */
  add(value: number): void {
    if (Number.isNaN(value)) return;
    this.#one[0] = value;
    const [bits = 0] = this.#bits;
    const bin = (bits >>> (23 - MANTISSA_BITS)) - FIRST;
    const index = value <= 0 || bin < 0 ? 0 : Math.min(bin, BINS - 1);
    this.bins[index]! += 1;
  }

  merge(bins: Uint32Array): void {
    for (const [index, some] of bins.entries()) this.bins[index]! += some;
  }

  get count(): number {
    return this.bins.reduce((sum, some) => sum + some, 0);
  }

  /** Value below which a share of all values lies; NaN without values. */
  quantile(share: number): number {
    let left = this.count * share;
    for (const [bin, some] of this.bins.entries()) {
      if (some > 0 && left <= some) return edgeOf(bin) + (edgeOf(bin + 1) - edgeOf(bin)) * (left / some);
      left -= some;
    }
    return NaN;
  }

  /** Counts between neighbouring edges; what lies beyond the ends is counted with them. */
  histogram(edges: readonly number[]): number[] {
    const counts = new Array<number>(edges.length - 1).fill(0);
    let index = 0;
    for (const [bin, some] of this.bins.entries()) {
      if (some === 0) continue;
      while (index < counts.length - 1 && edgeOf(bin) >= (edges[index + 1] ?? Infinity)) index++;
      counts[index]! += some;
    }
    return counts;
  }
}

/** Lower edge of a bin; everything below the lowest octave counts as zero. */
function edgeOf(bin: number): number {
  if (bin === 0) return 0;
  const octave = LOWEST_OCTAVE + (bin >> MANTISSA_BITS);
  return 2 ** octave * (1 + (bin & ((1 << MANTISSA_BITS) - 1)) / (1 << MANTISSA_BITS));
}
