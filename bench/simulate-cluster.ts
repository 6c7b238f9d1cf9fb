import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { numberArgument, print } from './measure.ts';
import { simulateCluster } from '../test/helpers/simulate-cluster.ts';

/*
 * Workers of a cluster with the real coordination: files of units, attempts and the list that helpers share, under a clock that jumps.
 * Workers die, come again, are slow, and go on while others have their units. What is measured is the processor time of all workers
 * together, and of choosing units alone. A unit has one file however often it is computed, so none is published twice.
 */

const [workers, units, seeds] = [
  numberArgument('workers', 1000),
  numberArgument('units', 20_000),
  numberArgument('seeds', 3),
];
let [lost, twice, deaths, most] = [0, 0, 0, 0];
for (let seed = 1; seed <= seeds; seed++) {
  const folder = mkdtempSync(join(process.env['BENCH_DIR'] ?? tmpdir(), 'lxmert-data-bench-'));
  try {
    const result = await simulateCluster({ folder, workers, units, seed });
    lost += units - result.done;
    twice += result.twice;
    deaths += result.deaths;
    most = Math.max(most, result.seconds);
    print(`seed ${seed}: ${JSON.stringify(result)}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
const counts = `${lost} units lost, ${twice} of ${seeds * units} computed twice, ${deaths} deaths`;
print(`${seeds} seeds: ${counts}; at most ${most} s of processor time`);
