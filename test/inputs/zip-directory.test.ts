import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { openRandomAccess, type RandomAccess } from '../../pipeline/inputs/random-access.ts';
import { readZipDirectory } from '../../pipeline/inputs/zip-directory.ts';
import { makeZip } from '../helpers/small-zip.ts';
import { makeTempFolder } from '../helpers/temp.ts';

test('bytes inside a member that look like an end record are not taken for it', async t => {
  const content = Buffer.from(Array.from({ length: 256 }, (_, i) => (i * 151) % 256));
  const member = Buffer.concat([content, Buffer.from('PK\x05\x06\xff\xff\x01\x00', 'latin1'), content]);
  const zip = makeZip({ 'x/a.tsv': member, 'b.tsv': 'b' }, 0);
  t.true(zip.indexOf('PK\x05\x06') < zip.length - 22, 'the signature is there twice');
  const path = join(await makeTempFolder(t), 'a.zip');
  for (const comment of ['', 'a comment with PK\x05\x06 in it']) {
    const end = Buffer.from(zip);
    end.writeUInt16LE(comment.length, end.length - 2);
    await writeFile(path, Buffer.concat([end, Buffer.from(comment, 'latin1')]));
    const access = await openRandomAccess([path]);
    t.teardown(() => access.close());
    t.deepEqual(
      (await readZipDirectory(access)).entries.map(entry => [entry.path, entry.uncompressedSize]),
      [
        ['x/a.tsv', 520],
        ['b.tsv', 1],
      ],
    );
  }
});

test('a read that fails ends the reading of a directory with its own error, whichever read it is', async t => {
  const zip = makeZip({ 'a.tsv': 'x'.repeat(200_000), 'b.tsv': 'b' }, 0);
  let reads = 0;
  const openFailing = (failAt: number): RandomAccess => ({
    label: 'a.zip',
    size: zip.length,
    read(into, position) {
      if (reads++ === failAt) return Promise.reject(Object.assign(new Error('broken disk'), { code: 'EIO' }));
      return Promise.resolve(zip.copy(into, 0, position, position + into.length));
    },
    close: () => Promise.resolve(),
  });
  await readZipDirectory(openFailing(-1));
  const total = reads;
  t.true(total >= 4, `${total} reads`);
  for (let failAt = 0; failAt < total; failAt++) {
    reads = 0;
    await t.throwsAsync(readZipDirectory(openFailing(failAt)), { message: 'broken disk', code: 'EIO' });
  }
});

test('a record whose sizes are missing is refused', async t => {
  const zip = makeZip({ 'a.tsv': 'x' }, 0);
  const record = zip.indexOf('PK\x01\x02');
  zip.writeUInt32LE(0xffffffff, record + 20);
  const path = join(await makeTempFolder(t), 'a.zip');
  await writeFile(path, zip);
  const access = await openRandomAccess([path]);
  t.teardown(() => access.close());
  await t.throwsAsync(readZipDirectory(access), { code: 'ERR_ZIP' });
});
