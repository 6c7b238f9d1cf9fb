/** A name is near if at most this part of its letters differs. */
const MAX_DIFFERENCE = 0.5;

/**
 * The known name that `word` is most likely a misspelling or a part of, also where the folder before a slash was left
 * out; undefined if none is close.
 */
export function nearestName(word: string, names: readonly string[]): string | undefined {
  const wanted = word.toLowerCase();
  const whole = names.filter(name => name.split('-').includes(wanted));
  let best = whole.length > 0 ? Infinity : MAX_DIFFERENCE;
  let nearest: string | undefined;
  for (const name of whole.length > 0 ? whole : names) {
    const difference = Math.min(differenceOf(wanted, name), differenceOf(wanted, name.replace(/^.*\//s, '')));
    if (difference < best) [best, nearest] = [difference, name];
  }
  return nearest;
}

/** A hint that names the nearest known name, or `otherwise` where none is close. */
export function suggest(word: string, names: readonly string[], otherwise?: string): string | undefined {
  const near = nearestName(word, names);
  return near === undefined ? otherwise : `did you mean ${near}?`;
}

/** The part of the letters of two words that differs. */
function differenceOf(a: string, b: string): number {
  return editDistance(a, b) / Math.max(a.length, b.length);
}

/** How many letters must be inserted, removed, replaced or swapped with their neighbour (Damerau and Levenshtein). */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1];
      let cost = Math.min(
        costAt(above, column) + 1,
        costAt(current, column - 1) + 1,
        costAt(above, column - 1) + (isSame ? 0 : 1),
      );
      const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (isSwap) cost = Math.min(cost, costAt(before, column - 2) + 1);
      current.push(cost);
    }
    [before, above] = [above, current];
  }
  return costAt(above, b.length);
}

function costAt(costs: readonly number[], column: number): number {
  return costs[column] ?? Infinity;
}
