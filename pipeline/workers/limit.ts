import pLimit from 'p-limit';

/** Runs tasks, at most so many at a time, in the order in which they were handed in. */
export type Limit = <T>(task: () => Promise<T>) => Promise<T>;

/** The one place that names the library. */
export function makeLimit(concurrency: number): Limit {
  const limit = pLimit(concurrency);
  return task => limit(task);
}
