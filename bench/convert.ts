import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE_STATES, measure, measureCli, prepareRows, print, printRatio, takeTurns } from './measure.ts';

/*
 * TSV to store against copying the TSV. Each output is removed before the next one is written, so both get the same free
 * memory for the page cache. A store is synced before it is published; `cp` alone is not, so `cp` followed by `sync` is
 * measured too.
 */

const { folder, tsv, bytes } = prepareRows(4.2);
const [copy, store] = [join(folder, 'out'), join(folder, 'out.safetensors')];
print(`${(bytes / 1e9).toFixed(2)} GB of rows`);

for (const [state, prepare] of CACHE_STATES) {
  const synced: number[] = [];
  const runs = await takeTurns(
    {
      cp: async () => {
        const run = await measure('cp', [tsv, copy]);
        synced.push(run.seconds + (await measure('sync', [copy])).seconds);
        return run;
      },
      convert: () => measureCli('convert', tsv, '--out', store),
    },
    async () => {
      for (const path of [copy, store]) rmSync(path, { force: true });
      await prepare(tsv);
    },
  );
  const copies = synced.map(seconds => ({ seconds, peak: 0 }));
  printRatio(`${state}: convert`, runs.convert, 'cp', runs.cp, bytes);
  printRatio(`${state}: convert`, runs.convert, 'cp and sync', copies, bytes);
}
