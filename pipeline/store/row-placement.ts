/** Where accepted rows go in the store: ids asked to lead have their places, the others follow in the order they come. */
export class RowPlacement {
  readonly #leading: ReadonlyMap<string, number>;
  readonly #missing: Set<string>;
  #following: number;

  constructor(first: readonly string[]) {
    this.#leading = new Map(first.map((id, index) => [id, index]));
    this.#missing = new Set(first);
    this.#following = first.length;
  }

  place(imgId: string): number {
    const leading = this.#leading.get(imgId);
    if (leading === undefined) return this.#following++;
    this.#missing.delete(imgId);
    return leading;
  }

  /** Ids asked to lead that no row had, in their order. */
  get missing(): readonly string[] {
    return [...this.#missing];
  }

  /** Runs of rows to move down so that no place stays empty, in the order they must be moved. */
  closeGaps(): { readonly from: number; readonly to: number; readonly count: number }[] {
    const gaps = [...this.#missing].map(id => this.#leading.get(id)!);
    const moves = gaps.map((gap, index) => {
      const next = gaps[index + 1] ?? this.#following;
      return { from: gap + 1, to: gap - index, count: next - gap - 1 };
    });
    return moves.filter(({ count }) => count > 0);
  }

  get rows(): number {
    return this.#following - this.#missing.size;
  }
}
