import { makeLimit } from '../workers/limit.ts';

export interface OverlapOptions<Item> {
  /** Tasks at a time. */
  readonly concurrency: number;
  /** Whether two tasks must not run at the same time. */
  readonly conflicts: (a: Item, b: Item) => boolean;
  /** Called when a task failed, to stop the others; the first failure is thrown when they have ended. */
  readonly onFailure: (error: unknown) => void;
}

/** Runs tasks in their order, some at a time; returns results in the order of the items. After a failure none is begun. */
export async function runOverlapping<Item, Result>(
  items: readonly Item[],
  { concurrency, conflicts, onFailure }: OverlapOptions<Item>,
  task: (item: Item, later: readonly Item[]) => Promise<Result>,
): Promise<Result[]> {
  const limit = makeLimit(concurrency);
  const failures: unknown[] = [];
  const run = async (item: Item, index: number): Promise<Result | undefined> => {
    await Promise.all(runs.filter((_run, other) => other < index && conflicts(items[other]!, item)));
    if (failures.length > 0) return undefined;
    try {
      return await task(item, items.slice(index + 1));
    } catch (error) {
      failures.push(error);
      onFailure(error);
      return undefined;
    }
  };
  const runs: Promise<Result | undefined>[] = items.map((item, index) => limit(() => run(item, index)));
  const results = await Promise.all(runs);
  if (failures.length > 0) throw failures[0];
  return results.map(result => result!);
}
