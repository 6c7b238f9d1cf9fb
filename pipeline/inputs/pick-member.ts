import { basename } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import type { ZipEntry } from './zip-directory.ts';

const MAX_LISTED = 8;

/**
 * Picks the member of an archive: `wanted`, by full path or by base name, since the published archives disagree about
 * folders; without it the only TSV, else the one named like the archive. Fails with ERR_ZIP where that is not one member.
 */
export function pickMember(entries: readonly ZipEntry[], archive: string, wanted?: string): ZipEntry {
  const whole = entries.find(({ path }) => path === wanted);
  if (whole !== undefined) return whole;
  const tsvs = entries.filter(isTsv);
  const stem = basename(archive).replace(/\.zip.*$/i, '');
  const [only] = tsvs.length === 1 ? tsvs : [];
  const target = wanted ?? (only === undefined ? `${stem}.tsv` : basename(only.path));
  const found = entries.filter(({ path }) => basename(path) === basename(target) && !isMetadata(path));
  const [first, second] = found;
  if (first !== undefined && second === undefined) return first;
  const listed = found.length > 1 ? found : entries;
  const names = listed.slice(0, MAX_LISTED).map(({ path }) => path);
  const more = listed.length > MAX_LISTED ? `, and ${listed.length - MAX_LISTED} more` : '';
  throw new LxmertDataError('ERR_ZIP', {
    what:
      first === undefined ? 'the archive has no such member' : 'the archive has this member more than once',
    where: archive,
    expected: `one member named ${basename(target)}`,
    got: entries.length === 0 ? 'an empty archive' : names.join(', ') + more,
    hint:
      first === undefined
        ? 'name the member with --member'
        : `name one with its folder: --member ${first.path}`,
  });
}

function isTsv({ path }: ZipEntry): boolean {
  return path.toLowerCase().endsWith('.tsv') && !isMetadata(path);
}

/** What macOS adds to archives beside the files themselves. */
function isMetadata(path: string): boolean {
  return path.startsWith('__MACOSX/') || basename(path).startsWith('._');
}
