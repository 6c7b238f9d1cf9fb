import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test from 'ava';
import { claimFile, partialFolder, unitFile } from '../../../pipeline/extraction/cluster/layout.ts';
import { Schedule } from '../../../pipeline/extraction/cluster/schedule.ts';
import { simulateCluster } from '../../helpers/simulate-cluster.ts';
import { makeTempFolder } from '../../helpers/temp.ts';

test('no unit is lost, whoever dies, hangs or comes twice', async t => {
  const folder = await makeTempFolder(t);
  let [deaths, twice] = [0, 0];
  for (let seed = 1; seed <= 20; seed++) {
    const result = await simulateCluster({
      folder: join(folder, `${seed}.rows`),
      workers: 30,
      units: 300,
      seed,
    });
    t.is(result.done, 300, `seed ${seed}`);
    deaths += result.deaths;
    twice += result.twice;
  }
  t.true(deaths > 0 && twice > 0, `${deaths} deaths, ${twice} units done twice`);
});

test('a worker does not end before its own units are done, even where a helper that died had begun one', async t => {
  const folder = await makeTempFolder(t);
  for (const path of [partialFolder(folder), dirname(unitFile(folder, 0)), dirname(claimFile(folder, 2))])
    await mkdir(path, { recursive: true });
  // Its owner comes within the minute in which such a helper may still be alive.
  await writeFile(claimFile(folder, 2), '');
  const schedule = new Schedule({ folder, units: 4, index: 1, count: 2, now: () => Date.now() });
  const done: (number | undefined)[] = [];
  for (let unit = await schedule.next(); unit !== undefined; unit = await schedule.next()) {
    done.push(unit);
    await writeFile(unitFile(folder, unit), '');
  }
  t.is(done[0], 0);
  t.deepEqual(done.toSorted(), [0, 1, 2, 3]);
});
