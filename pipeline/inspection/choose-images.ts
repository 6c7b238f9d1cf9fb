import { LxmertDataError } from '../errors.ts';
import { showAll } from '../show-text.ts';

const MAX_NAMED = 5;

/** Row indices of named images, in the order named, each once. Fails with ERR_INPUT where the store lacks one. */
export function requireImages(
  rows: ReadonlyMap<string, number>,
  imgIds: readonly string[],
  store: string,
): readonly number[] {
  const found: number[] = [];
  const missing: string[] = [];
  for (const id of new Set(imgIds)) {
    const row = rows.get(id);
    if (row === undefined) missing.push(id);
    else found.push(row);
  }
  if (missing.length === 0) return found;
  const named = missing.slice(0, MAX_NAMED).map(showAll).join(', ');
  const [example = ''] = rows.keys();
  throw new LxmertDataError('ERR_INPUT', {
    what:
      missing.length === 1
        ? 'the store has no such image'
        : `the store lacks ${missing.length} of these images`,
    where: store,
    expected: `img_ids such as ${showAll(example)}`,
    got: missing.length > MAX_NAMED ? `${named}, …` : named,
    hint: 'img_ids are case-sensitive and have no file ending',
  });
}
