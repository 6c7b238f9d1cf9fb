import { parentPort } from 'node:worker_threads';
import { LxmertDataError } from '../errors.ts';
import { checkRows, type RowRange } from './check-stored-rows.ts';

parentPort?.on('message', (range: RowRange) => {
  checkRows(range).then(
    reply => parentPort?.postMessage(reply),
    (error: unknown) => {
      if (error instanceof LxmertDataError) {
        const parts = { ...error.parts, cause: undefined };
        parentPort?.postMessage({ damaged: [], failure: { code: error.code, parts } });
        return;
      }
      // Ends the thread; the pool passes the reason on.
      setImmediate(() => {
        throw error;
      });
    },
  );
});
