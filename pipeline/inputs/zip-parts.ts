import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { comparePartNames, wholeNameOf } from '../files/part-names.ts';

/** All parts of the cut zip that `path` is a part of, in order; undefined where its name is not that of a part. */
export async function findZipParts(path: string): Promise<readonly string[] | undefined> {
  const whole = wholeNameOf(basename(path));
  if (whole === undefined) return undefined;
  const names = (await readdir(dirname(path))).filter(name => wholeNameOf(name) === whole);
  return names.sort(comparePartNames).map(name => join(dirname(path), name));
}
