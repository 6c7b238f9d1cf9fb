import { LxmertDataError } from '../errors.ts';
import { showAll } from '../show-text.ts';

const MAX_NAMED = 5;

/** Rows of images that were asked for, in the order they were asked in; fails where a store lacks one. */
export function findRows(
  ids: readonly string[],
  wanted: readonly string[],
  where: string,
): readonly number[] {
  const rows = new Map(ids.map((id, row) => [id, row]));
  const missing = wanted.filter(id => !rows.has(id));
  if (missing.length === 0) return [...new Set(wanted)].map(id => rows.get(id)!);
  const named = missing.slice(0, MAX_NAMED).map(showAll).join(', ');
  throw new LxmertDataError('ERR_INPUT', {
    what:
      missing.length === 1
        ? 'the store has no such image'
        : `the store lacks ${missing.length} of these images`,
    where,
    expected: `img_ids such as ${showAll(ids[0]!)}`,
    got: missing.length > MAX_NAMED ? `${named}, …` : named,
    hint: 'img_ids are case-sensitive and have no file ending',
  });
}
