import { basename } from 'node:path';
import { wholeNameOf } from '../files/part-names.ts';
import type { Manifest } from '../manifest/load.ts';

/** Base names under which assets are published: targets, and the TSV and zip of features. Lower case. */
export function listPublishedNames(manifest: Manifest): ReadonlySet<string> {
  const names = Object.values(manifest.assets).flatMap(({ kind, target }) => {
    const name = basename(target).toLowerCase();
    return kind === 'features' ? [`${name}.tsv`, `${name}.zip`] : [name];
  });
  return new Set(names);
}

/** The name that a browser was given for a file: without the ` (1)` of a second download. */
export function plainName(path: string): string {
  return basename(path).replace(/ ?\(\d+\)(?=(\.[A-Za-z0-9]+)*$)/, '');
}

/** Whether a file, or what a packed one holds by its name, has a published name. */
export function hasPublishedName(path: string, published: ReadonlySet<string>): boolean {
  const name = plainName(path).toLowerCase();
  const whole = wholeNameOf(name) ?? name;
  const unpacked = whole.replace(/\.(gz|xz|bz2|zst|7z|rar|tar)$/, '');
  // The parts of a split zip are named like the whole.
  const joined = unpacked.replace(/\.z\d{2}$/, '.zip');
  return [whole, unpacked, joined, `${unpacked}.tsv`, `${unpacked}.zip`].some(known => published.has(known));
}
