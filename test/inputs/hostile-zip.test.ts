import { execFileSync } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { LxmertDataError } from '../../pipeline/errors.ts';
import { openRowSource } from '../../pipeline/inputs/open-source.ts';
import { convert } from '../../pipeline/stages/convert.ts';
import { verifyStore } from '../../pipeline/stages/verify-store.ts';
import { runCli } from '../helpers/cli.ts';
import { CONTENT, HOSTILE_ZIPS, type HostileZip, VALID_ZIPS } from '../helpers/hostile-zip.ts';
import { ZIP_FAULTS } from '../helpers/hostile-zip-messages.ts';
import { makeContext, makeLines, writeTsv } from '../helpers/rows.ts';
import { readAll } from '../helpers/sources.ts';
import { makeTempFolder } from '../helpers/temp.ts';
import { testWithTools } from '../helpers/tools.ts';
import { makeZip } from '../helpers/zip.ts';

async function writeZip(t: ExecutionContext, bytes: Buffer): Promise<string> {
  const path = join(await makeTempFolder(t), 'val2014_obj36.zip');
  await writeFile(path, bytes);
  return path;
}

async function readZip(path: string, { member }: Pick<HostileZip, 'member'> = {}): Promise<Buffer> {
  return await readAll(await openRowSource(path, member));
}

for (const hostile of HOSTILE_ZIPS) {
  test.serial(`hostile zip: ${hostile.title}`, async t => {
    t.timeout(20_000);
    const path = await writeZip(t, hostile.make());
    const error = await t.throwsAsync(readZip(path, hostile), { instanceOf: LxmertDataError });
    t.is(error.code, 'ERR_ZIP');
    t.is(error.parts.what, ZIP_FAULTS[hostile.title]!);
    t.true(error.parts.where?.startsWith(path));
    t.truthy(error.parts.hint, 'it says what to do');
  });
}

for (const valid of VALID_ZIPS) {
  test.serial(`valid zip: ${valid.title}`, async t => {
    const path = await writeZip(t, valid.make());
    t.true((await readZip(path, valid)).equals(CONTENT));
  });
}

test('every broken zip has its fault, and there are no others', t => {
  t.deepEqual(Object.keys(ZIP_FAULTS).sort(), HOSTILE_ZIPS.map(({ title }) => title).sort());
});

test.serial('a zip cut anywhere is refused', async t => {
  t.timeout(60_000);
  const whole = makeZip([{ name: 'rows.tsv', content: CONTENT.subarray(0, 300) }], {
    comment: Buffer.from('comment'),
  });
  const folder = await makeTempFolder(t);
  const path = join(folder, 'cut.zip');
  for (let length = 0; length < whole.length; length++) {
    await writeFile(path, whole.subarray(0, length));
    await t.throwsAsync(readZip(path), { name: 'LxmertDataError' }, `cut at ${length}`);
  }
});

testWithTools('an archive that the zip program writes from a pipe', ['zip', 'zipnote'], async t => {
  const folder = await makeTempFolder(t);
  const lines = makeLines(2);
  await writeTsv(folder, lines);
  execFileSync(
    'sh',
    ['-c', 'cat rows.tsv | zip -q -fz- piped.zip - && printf "@ -\n@=rows.tsv\n" | zipnote -w piped.zip'],
    { cwd: folder, stdio: 'ignore' },
  );
  t.is((await readZip(join(folder, 'piped.zip'))).toString(), lines.join(''));
});

test.serial('convert publishes nothing of a damaged zip, and says so with exit code 1', async t => {
  const lines = makeLines(30).join('');
  const whole = makeZip([{ name: 'rows.tsv', content: Buffer.from(lines) }]);
  const damaged = Buffer.from(whole);
  damaged[whole.length - 400_000]! ^= 4;
  const folder = await makeTempFolder(t);
  await writeFile(join(folder, 'rows.zip'), damaged);
  const { code, stderr } = await runCli(['convert', join(folder, 'rows.zip')]);
  t.is(code, 1);
  t.regex(stderr, /error: .*rows\.zip:rows\.tsv: the (member is damaged|compressed data cannot be unpacked)/);
  t.deepEqual(await readdir(folder), ['rows.zip']);
  await writeFile(join(folder, 'rows.zip'), whole);
  const result = await convert({ files: [join(folder, 'rows.zip')] }, makeContext());
  t.true((await verifyStore(result.store!, makeContext())).ok);
});
