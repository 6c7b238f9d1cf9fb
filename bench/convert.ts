import { rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  CLI,
  makeCold,
  makeFolder,
  makeWarm,
  measure,
  numberArgument,
  type Run,
  say,
  sayRatio,
  sizeOf,
  writeBenchTsv,
} from './measure.ts';

/*
 * TSV to store against copying the TSV: node bench/convert.ts [--gb 4.2] [--runs 3]
 * Copy and conversion take turns, and each output is removed before the next one is written, so both get the same free memory for the
 * page cache. A store is synced before it is published; `cp` alone is not, so `cp` followed by `sync` is measured too.
 */

const folder = makeFolder();
const tsv = join(folder, 'rows.tsv');
const out = join(folder, 'out');
writeBenchTsv(tsv, numberArgument('gb', 4.2));
const bytes = sizeOf(tsv);
say(`${(bytes / 1e9).toFixed(2)} GB of rows`);

for (const [state, prepare] of [
  ['warm', makeWarm],
  ['cold', makeCold],
] as const) {
  const runs: Record<'cp' | 'synced' | 'convert', Run[]> = { cp: [], synced: [], convert: [] };
  for (let turn = 0; turn < numberArgument('runs', 3); turn++) {
    await prepare(tsv);
    const copy = await measure('cp', [tsv, out]);
    const sync = await measure('sync', [out]);
    runs.cp.push(copy);
    runs.synced.push({ seconds: copy.seconds + sync.seconds, peak: copy.peak });
    rmSync(out);
    await prepare(tsv);
    runs.convert.push(
      await measure(process.execPath, [CLI, 'convert', tsv, '--out', `${out}.safetensors`, '--quiet']),
    );
    rmSync(`${out}.safetensors`);
  }
  sayRatio(`${state}: convert`, runs.convert, 'cp', runs.cp, bytes);
  sayRatio(`${state}: convert`, runs.convert, 'cp and sync', runs.synced, bytes);
}
