import { parentPort } from 'node:worker_threads';
import { checkRows, type RowRange } from './check-stored-rows.ts';

parentPort?.on('message', (range: RowRange) => {
  checkRows(range).then(
    reply => parentPort?.postMessage(reply),
    (error: unknown) => {
      // Ends the thread; the pool passes the reason on.
      setImmediate(() => {
        throw error;
      });
    },
  );
});
