/**
 * Works on items as they come, at most `limit` at a time. Results come in the order of the items, each as soon as it and those before it
 * are there: also while the next item is still waited for, which may depend on these results.
 */
export async function* mapInOrder<Item, Result>(
  items: AsyncIterable<Item> | Iterable<Item>,
  limit: number,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<Result, void, undefined> {
  const input = iterate(items);
  const pending: Promise<Result>[] = [];
  let next: Promise<IteratorResult<Item>> | undefined = input.next();
  while (next !== undefined || pending.length > 0) {
    const oldest = pending[0];
    const isFull = next === undefined || pending.length >= limit;
    if (oldest !== undefined && (isFull || !(await comesFirst(next!, oldest)))) {
      void pending.shift();
      yield await oldest;
      continue;
    }
    const item: IteratorResult<Item> = await next!;
    if (item.done === true) next = undefined;
    else {
      const result = work(item.value);
      // It is awaited in its turn; until then a failure must not count as unhandled.
      result.catch(() => undefined);
      pending.push(result);
      next = input.next();
    }
  }
}

async function* iterate<Item>(
  items: AsyncIterable<Item> | Iterable<Item>,
): AsyncGenerator<Item, void, undefined> {
  yield* items;
}

async function comesFirst(item: Promise<unknown>, result: Promise<unknown>): Promise<boolean> {
  const settles = (promise: Promise<unknown>, name: string): Promise<string> =>
    promise.then(
      () => name,
      () => name,
    );
  return (await Promise.race([settles(item, 'item'), settles(result, 'result')])) === 'item';
}
