import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { openRandomAccess } from '../../pipeline/inputs/random-access.ts';
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
      (await readZipDirectory(access)).map(entry => [entry.path, entry.uncompressedSize]),
      [
        ['x/a.tsv', 520],
        ['b.tsv', 1],
      ],
    );
  }
});
