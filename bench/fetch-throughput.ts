import { spawnSync } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { makeZipLike } from '../test/helpers/downloads.ts';
import { hasNginx, startNginx } from '../test/helpers/nginx.ts';
import { measure, median } from './measure.ts';

/*
 * Throughput of a download from a local nginx, beside aria2c with the same number of connections: npm run bench -- fetch-throughput [GB] [rounds].
 * Ours ends with the file on the disk and its sha256 known, so aria2c is followed by `sync` of its file, and in a second comparison by sha256sum
 * too. All are whole processes, rounds take turns. TMPDIR=/dev/shm leaves the disk out.
 */

const OURS = join(import.meta.dirname, 'fetch-one.ts');

await compare(Number(process.argv[2] ?? 2), Number(process.argv[3] ?? 3));

async function compare(gigabytes: number, rounds: number): Promise<void> {
  if (!hasNginx || spawnSync('aria2c', ['--version']).status !== 0) {
    process.stdout.write('needs nginx and aria2c (Debian packages nginx-light and aria2)\n');
    return;
  }
  const folder = await mkdtemp(join(tmpdir(), 'lxmert-throughput-'));
  const nginx = await startNginx(folder);
  try {
    const bytes = writeFileOf(join(nginx.root, 'a.zip'), gigabytes * 1000);
    const url = `${nginx.url}a.zip`;
    for (const connections of [1, 4]) {
      const rates: Record<'ours' | 'aria2c' | 'checked', number[]> = { ours: [], aria2c: [], checked: [] };
      let peak = 0;
      for (let round = 0; round < rounds; round++) {
        const path = join(folder, `copy-${connections}-${round}`);
        const ours = await measure(process.execPath, [OURS, url, path, String(connections)]);
        peak = Math.max(peak, ours.peak);
        rates.ours.push(bytes / ours.seconds / 1e6);
        await rm(path);
        const flags = ['-q', '--file-allocation=none', '-x', String(connections), '-s', String(connections)];
        const words = ['aria2c', ...flags, '-d', folder, '-o', basename(path), url];
        for (const [kind, then] of [
          ['aria2c', ''],
          ['checked', ` && sha256sum ${path}`],
        ] as const) {
          const theirs = await measure('sh', ['-c', `"$@" && sync -d ${path}${then}`, 'sh', ...words]);
          rates[kind].push(bytes / theirs.seconds / 1e6);
          await rm(path);
        }
      }
      const [ours, aria2c, checked] = [median(rates.ours), median(rates.aria2c), median(rates.checked)];
      process.stdout.write(
        `${connections} connection(s), ${gigabytes} GB: ours ${ours.toFixed(0)} MB/s, our peak ${(peak / 1e6).toFixed(0)} MB; ` +
          `aria2c ${aria2c.toFixed(0)} MB/s, ratio ${(ours / aria2c).toFixed(2)}; ` +
          `aria2c and sha256sum ${checked.toFixed(0)} MB/s, ratio ${(ours / checked).toFixed(2)}\n`,
      );
    }
  } finally {
    await nginx.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

function writeFileOf(path: string, megabytes: number): number {
  const block = makeZipLike(1_000_000);
  const file = openSync(path, 'w');
  for (let number = 0; number < megabytes; number++) writeSync(file, block);
  closeSync(file);
  return megabytes * block.length;
}
