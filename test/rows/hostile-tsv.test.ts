import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { describeProblem } from '../../pipeline/problem.ts';
import { convert } from '../../pipeline/stages/convert.ts';
import { exportTsv } from '../../pipeline/stages/export-tsv.ts';
import { BEYOND_SIGHT, HOSTILE_TSVS, type HostileTsv, ODD_BUT_SOUND_TSVS } from '../helpers/hostile-tsv.ts';
import { TSV_MESSAGES } from '../helpers/hostile-tsv-messages.ts';
import { makeContext } from '../helpers/rows.ts';
import { makeTempFolder } from '../helpers/temp.ts';

/** Everything that convert says about a file, with the folder left out. */
async function messagesOf(path: string, folder: string, hostile: HostileTsv): Promise<readonly string[]> {
  const strip = (message: string): string => message.replaceAll(`${folder}/`, '');
  try {
    const out = join(folder, 'store.safetensors');
    const result = await convert({ files: [path], out, dtype: hostile.dtype, threads: 1 }, makeContext());
    return shorten(result.problems.map(problem => strip(`${problem.severity}: ${describeProblem(problem)}`)));
  } catch (error) {
    return [strip((error as Error).message)];
  }
}

/** A long list by its ends. */
function shorten(messages: readonly string[]): readonly string[] {
  if (messages.length <= 12) return messages;
  return [...messages.slice(0, 3), `… ${messages.length - 4} more`, messages.at(-1)!];
}

async function writeCase(
  t: ExecutionContext,
  hostile: HostileTsv,
): Promise<{ folder: string; path: string }> {
  const folder = await makeTempFolder(t);
  const path = join(folder, hostile.name ?? 'rows.tsv');
  await writeFile(path, hostile.make());
  return { folder, path };
}

for (const hostile of HOSTILE_TSVS) {
  test.serial(`hostile TSV: ${hostile.title}`, async t => {
    const { folder, path } = await writeCase(t, hostile);
    const messages = await messagesOf(path, folder, hostile);
    t.deepEqual(messages, TSV_MESSAGES[hostile.title]);
    const warned = messages.every(message => message.startsWith('warning'));
    t.deepEqual(
      await readdir(folder),
      warned ? ['rows.tsv', 'store.safetensors'] : [hostile.name ?? 'rows.tsv'],
    );
  });
}

for (const sound of ODD_BUT_SOUND_TSVS) {
  test.serial(`odd but sound TSV: ${sound.title}`, async t => {
    const { folder, path } = await writeCase(t, sound);
    t.deepEqual(await messagesOf(path, folder, sound), []);
    if (sound.dtype !== undefined) return;
    const back = join(folder, 'back');
    await mkdir(back);
    const out = join(back, 'rows.tsv');
    await exportTsv({ store: join(folder, 'store.safetensors'), out }, makeContext());
    t.true((await readFile(out)).equals(await readFile(path)));
  });
}

test('a row torn inside its id shows only by the number of rows', async t => {
  const { folder, path } = await writeCase(t, BEYOND_SIGHT);
  t.deepEqual(await messagesOf(path, folder, BEYOND_SIGHT), []);
  const known = { ...BEYOND_SIGHT, name: 'val2014_obj36.tsv' };
  const named = await writeCase(t, known);
  t.deepEqual(await messagesOf(named.path, named.folder, known), [
    'error: val2014_obj36.tsv: rows: expected 40504 rows in val2014_obj36.tsv, got 2 rows; the file is incomplete; download it again, or allow a part with --subset',
  ]);
});

test('the table of broken TSVs has no message without a case', t => {
  t.deepEqual(Object.keys(TSV_MESSAGES).sort(), HOSTILE_TSVS.map(({ title }) => title).sort());
});
