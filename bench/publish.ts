import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { writePlan } from '../pipeline/extraction/cluster/plan.ts';
import { unitFile } from '../pipeline/extraction/cluster/layout.ts';
import { makeWarm, measureCli, prepareRows, print, printRatio, takeTurns } from './measure.ts';

/*
 * Publishing the units of a planned extraction against converting the same rows as one TSV. Units are cut out of the TSV; its images are
 * named and not there, which publication does not need.
 */

const UNIT = 256;
const { folder, tsv, bytes } = prepareRows(2);
const rows = join(folder, 'x.rows');
const ids = cutIds();
const images = ids.map(id => ({ img_id: id.text, path: join(folder, 'images', `${id.text}.jpg`) }));
await writePlan({
  folder: rows,
  out: join(folder, 'x.safetensors'),
  images,
  unitImages: UNIT,
  backend: {},
  weights: 'untrained',
});
mkdirSync(join(rows, 'units'), { recursive: true });
cutUnits();
print(`${(bytes / 1e9).toFixed(2)} GB of rows, ${Math.ceil(ids.length / UNIT)} units`);
copyFileSync(tsv, join(folder, 'x.tsv'));
rmSync(tsv);

const runs = await takeTurns(
  {
    publish: () => measureCli('extract', '--plan', rows, '--publish', '--keep-rows'),
    convert: () => measureCli('convert', join(folder, 'x.tsv'), '--out', join(folder, 'y.safetensors')),
  },
  async () => {
    for (const name of ['x.safetensors', 'y.safetensors']) rmSync(join(folder, name), { force: true });
    await makeWarm(join(folder, 'x.tsv'));
  },
);
printRatio('publish', runs.publish, 'convert', runs.convert, bytes);

/** Ids of the TSV and where their rows begin. */
function cutIds(): { text: string; offset: number }[] {
  const found: { text: string; offset: number }[] = [];
  const file = openSync(tsv, 'r');
  const row = Buffer.alloc(500_000);
  for (let at = 0; ;) {
    const part = row.subarray(0, readSync(file, row, 0, row.length, at));
    if (part.length === 0) break;
    found.push({ text: part.toString('latin1', 0, part.indexOf(9)), offset: at });
    at += part.indexOf(10) + 1;
  }
  closeSync(file);
  return found;
}

function cutUnits(): void {
  const file = openSync(tsv, 'r');
  for (let unit = 0; unit * UNIT < ids.length; unit++) {
    const begin = ids[unit * UNIT]!.offset;
    const end = ids[(unit + 1) * UNIT]?.offset ?? bytes;
    const part = Buffer.alloc(end - begin);
    readSync(file, part, 0, part.length, begin);
    const out = openSync(unitFile(rows, unit), 'w', 0o600);
    writeSync(out, part);
    closeSync(out);
  }
  closeSync(file);
  writeFileSync(join(rows, 'detector.json'), '{"name":"bench","weights":"untrained"}\n', { mode: 0o600 });
}
