import { rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  CLI,
  makeFolder,
  measure,
  numberArgument,
  type Run,
  say,
  sayRatio,
  sizeOf,
  writeBenchTsv,
} from './measure.ts';

/* Zip to store against unpacking the zip to nowhere: node bench/zip.ts [--gb 1.2] [--runs 3] */

const folder = makeFolder();
const tsv = join(folder, 'rows.tsv');
const zip = join(folder, 'rows.zip');
writeBenchTsv(tsv, numberArgument('gb', 1.2));
const bytes = sizeOf(tsv);
await measure('zip', ['-q', '-j', zip, tsv]);
rmSync(tsv);
say(`${(bytes / 1e9).toFixed(2)} GB of rows in a zip of ${(sizeOf(zip) / 1e9).toFixed(2)} GB`);

const unzips: Run[] = [];
const converts: Run[] = [];
for (let turn = 0; turn < numberArgument('runs', 3); turn++) {
  unzips.push(await measure('sh', ['-c', 'exec unzip -p "$0" > /dev/null', zip]));
  converts.push(await measure(process.execPath, [CLI, 'convert', zip, '--quiet']));
  rmSync(join(folder, 'rows.safetensors'));
}
sayRatio('convert', converts, 'unzip -p', unzips, bytes);
