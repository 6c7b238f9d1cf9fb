import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { measure, measureCli, prepareRows, print, printRatio, sizeOf, takeTurns } from './measure.ts';

/* Zip to store against unpacking the zip to nowhere. */

const { folder, tsv, bytes } = prepareRows(1.2);
const zip = join(folder, 'rows.zip');
await measure('zip', ['-q', '-j', zip, tsv]);
rmSync(tsv);
print(`${(bytes / 1e9).toFixed(2)} GB of rows in a zip of ${(sizeOf(zip) / 1e9).toFixed(2)} GB`);

const runs = await takeTurns(
  {
    unzip: () => measure('sh', ['-c', 'exec unzip -p "$0" > /dev/null', zip]),
    convert: () => measureCli('convert', zip),
  },
  () => {
    rmSync(join(folder, 'rows.safetensors'), { force: true });
    return Promise.resolve();
  },
);
printRatio('convert', runs.convert, 'unzip -p', runs.unzip, bytes);
