import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { unpackArchive } from '../../pipeline/fetch/unpack-archive.ts';
import { makeContext } from '../helpers/rows.ts';
import { makeZip } from '../helpers/small-zip.ts';
import { makeTempFolder } from '../helpers/temp.ts';

test('an archive is unpacked beside itself, without the folder at its top', async t => {
  const folder = await makeTempFolder(t);
  const zip = join(folder, 'train2014.zip');
  writeFileSync(zip, makeZip({ 'train2014/': '', 'train2014/a.jpg': 'a', 'train2014/b/c.jpg': 'c' }));
  t.is(await unpackArchive(zip, makeContext()), 2);
  t.is(readFileSync(join(folder, 'train2014', 'a.jpg'), 'utf8'), 'a');
  t.is(readFileSync(join(folder, 'train2014', 'b', 'c.jpg'), 'utf8'), 'c');
  t.is(await unpackArchive(zip, makeContext()), undefined);
});

test('a damaged member leaves no folder', async t => {
  const folder = await makeTempFolder(t);
  const zip = join(folder, 'x.zip');
  const bytes = makeZip({ 'a.jpg': 'first', 'b.jpg': 'second' }, 0);
  bytes[bytes.indexOf('second')] = 0x53;
  writeFileSync(zip, bytes);
  await t.throwsAsync(unpackArchive(zip, makeContext()), { code: 'ERR_ZIP', message: /damaged/ });
  t.deepEqual(readdirSync(folder), ['x.zip']);
});

test('a name that leads out of the folder is refused, and nothing is written', async t => {
  const folder = await makeTempFolder(t);
  const zip = join(folder, 'x.zip');
  writeFileSync(zip, makeZip({ 'a.jpg': 'a', '../evil.jpg': 'x' }));
  await t.throwsAsync(unpackArchive(zip, makeContext()), { code: 'ERR_ZIP', message: /leads out/ });
  t.deepEqual(readdirSync(folder), ['x.zip']);
  t.false(existsSync(join(folder, '..', 'evil.jpg')));
});

test('an interruption leaves nothing under the final name', async t => {
  const folder = await makeTempFolder(t);
  const zip = join(folder, 'x.zip');
  writeFileSync(zip, makeZip({ 'a.jpg': 'a', 'b.jpg': 'b' }));
  const abort = new AbortController();
  const context = { signal: abort.signal, emit: () => abort.abort(new Error('stop')) };
  await t.throwsAsync(unpackArchive(zip, context), { message: 'stop' });
  t.deepEqual(readdirSync(folder), ['x.zip']);
});
