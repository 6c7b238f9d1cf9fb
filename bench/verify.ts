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

/* Verifying a store against reading it: node bench/verify.ts [--gb 4.2] [--runs 3] */

const folder = makeFolder();
const tsv = join(folder, 'rows.tsv');
const store = join(folder, 'rows.safetensors');
writeBenchTsv(tsv, numberArgument('gb', 4.2));
await measure(process.execPath, [CLI, 'convert', tsv, '--quiet']);
const bytes = sizeOf(store);
say(`${(bytes / 1e9).toFixed(2)} GB of store`);

for (const [state, prepare] of [
  ['warm', makeWarm],
  ['cold', makeCold],
] as const) {
  const reads: Run[] = [];
  const verifies: Run[] = [];
  for (let turn = 0; turn < numberArgument('runs', 3); turn++) {
    await prepare(store);
    reads.push(await measure('dd', [`if=${store}`, 'of=/dev/null', 'bs=1M', 'status=none']));
    await prepare(store);
    verifies.push(await measure(process.execPath, [CLI, 'verify', store, '--quiet']));
  }
  sayRatio(`${state}: verify`, verifies, 'dd to /dev/null', reads, bytes);
}
