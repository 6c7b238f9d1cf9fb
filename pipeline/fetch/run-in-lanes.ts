/** Some tasks at a time, in their order; those that conflict never together. */
export interface LaneOptions<Item> {
  readonly lanes: number;
  readonly conflicts: (a: Item, b: Item) => boolean;
  /** Told when a task failed, so that the others stop; the failure is thrown when they have. */
  readonly onFailure: (error: unknown) => void;
}

/** Results in the order of the items. The next item is not begun before it may run, nor any after it. */
export async function runInLanes<Item, Result>(
  items: readonly Item[],
  options: LaneOptions<Item>,
  task: (item: Item, later: readonly Item[]) => Promise<Result>,
): Promise<Result[]> {
  const running = new Map<Item, Promise<void>>();
  const results: Result[] = [];
  const failures: unknown[] = [];
  for (const [index, item] of items.entries()) {
    const mayStart = (): boolean =>
      running.size < options.lanes && ![...running.keys()].some(other => options.conflicts(item, other));
    while (!mayStart()) await Promise.race(running.values());
    if (failures.length > 0) break;
    const work = task(item, items.slice(index + 1)).then(
      result => void (results[index] = result),
      (error: unknown) => {
        failures.push(error);
        options.onFailure(error);
      },
    );
    running.set(
      item,
      work.finally(() => running.delete(item)),
    );
  }
  await Promise.all(running.values());
  if (failures.length > 0) throw failures[0];
  return results;
}
