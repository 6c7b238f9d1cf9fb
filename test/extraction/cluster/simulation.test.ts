import { join } from 'node:path';
import test from 'ava';
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
