import test from 'ava';
import type { ExecutionContext } from 'ava';
import { WorkerPool } from '../../pipeline/workers/pool.ts';

function startPool(t: ExecutionContext, threads: number): WorkerPool<string, string> {
  const pool = new WorkerPool<string, string>(import.meta.url, '../fixtures/faulty-worker', threads);
  t.teardown(() => pool.close());
  return pool;
}

test('answers come back to those who asked', async t => {
  const pool = startPool(t, 2);
  const words = Array.from({ length: 50 }, (_, index) => String(index));
  t.deepEqual(await Promise.all(words.map(word => pool.run(word))), words);
});

for (const [way, message] of [
  ['throw', 'broken on purpose'],
  ['exit', 'it ended with code 3'],
] as const) {
  test(`a worker that fails (${way}) fails everything that waits, and whatever is asked later`, async t => {
    const pool = startPool(t, 1);
    const waiting = [pool.run(way), pool.run('hang'), pool.run('queued'), pool.run('queued')];
    for (const result of await Promise.allSettled(waiting)) {
      t.like(result, { reason: { code: 'ERR_INTERNAL', cause: { message } } });
    }
    await t.throwsAsync(pool.run('late'), { code: 'ERR_INTERNAL' });
  });
}

test('closing is no failure', async t => {
  const pool = startPool(t, 2);
  t.is(await pool.run('x'), 'x');
  await t.notThrowsAsync(pool.close());
});
