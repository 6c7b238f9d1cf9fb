import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { renderCliReference } from '../../pipeline/cli/reference.ts';
import { ROOT } from '../helpers/cli.ts';

test('docs/cli.md says what the commands take; run node scripts/cli-reference.ts to update it', async t => {
  t.is(await readFile(join(ROOT, 'docs', 'cli.md'), 'utf8'), await renderCliReference());
});
