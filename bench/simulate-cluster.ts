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
let [lost, twice, deaths] = [0, 0, 0];
for (let seed = 1; seed <= seeds; seed++) {
  const folder = mkdtempSync(join(process.env['BENCH_DIR'] ?? tmpdir(), 'lxmert-data-bench-'));
  try {
    const before = process.cpuUsage();
    const result = await simulateCluster({ folder, workers, units, seed });
    const { user, system } = process.cpuUsage(before);
    const seconds = ((user + system) / 1e6).toFixed(2);
    lost += units - result.done;
    twice += result.twice;
    deaths += result.deaths;
    print(`seed ${seed}: ${seconds} s of processor time; ${JSON.stringify(result)}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
print(`${seeds} seeds: ${lost} units lost, ${twice} of ${seeds * units} computed twice, ${deaths} deaths`);
