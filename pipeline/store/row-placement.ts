/** The row index of each accepted row in the store: pinned ids lead in their order, the others follow as they come. */
export class RowPlacement {
  readonly #pinned: ReadonlyMap<string, number>;
  readonly #missing: Set<string>;
  #next: number;

  constructor(pinned: readonly string[]) {
    this.#pinned = new Map(pinned.map((id, index) => [id, index]));
    this.#missing = new Set(pinned);
    this.#next = pinned.length;
  }

  /** Row index for the next accepted row, whose id is `imgId`. */
  indexFor(imgId: string): number {
    const pinned = this.#pinned.get(imgId);
    if (pinned === undefined) return this.#next++;
    this.#missing.delete(imgId);
    return pinned;
  }

  /** Runs of rows to move down so that no index stays empty, in the order in which they must be moved. */
  closeGaps(): { readonly from: number; readonly to: number; readonly count: number }[] {
    const gaps: number[] = [];
    for (const [id, index] of this.#pinned) if (this.#missing.has(id)) gaps.push(index);
    const moves = gaps.map((gap, closed) => {
      const next = gaps[closed + 1] ?? this.#next;
      return { from: gap + 1, to: gap - closed, count: next - gap - 1 };
    });
    return moves.filter(({ count }) => count > 0);
  }

  get rows(): number {
    return this.#next - this.#missing.size;
  }
}
