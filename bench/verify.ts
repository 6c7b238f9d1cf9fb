import { join } from 'node:path';
import {
  CACHE_STATES,
  measure,
  measureCli,
  prepareRows,
  print,
  printRatio,
  sizeOf,
  takeTurns,
} from './measure.ts';

/* Verifying a store against reading it. */

const { folder, tsv } = prepareRows(4.2);
const store = join(folder, 'rows.safetensors');
await measureCli('convert', tsv);
const bytes = sizeOf(store);
print(`${(bytes / 1e9).toFixed(2)} GB of store`);

for (const [state, prepare] of CACHE_STATES) {
  const runs = await takeTurns(
    {
      dd: () => measure('dd', [`if=${store}`, 'of=/dev/null', 'bs=1M', 'status=none']),
      verify: () => measureCli('verify', store),
    },
    () => prepare(store),
  );
  printRatio(`${state}: verify`, runs.verify, 'dd to /dev/null', runs.dd, bytes);
}
