import { execFileSync } from 'node:child_process';
import { chown, link, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import {
  openOrCreateOwn,
  openOwn,
  openRegular,
  readRegular,
  reopen,
} from '../../pipeline/files/open-checked.ts';
import { makeTempFolder } from '../helpers/temp.ts';

const posixTest = process.platform === 'win32' ? test.skip : test;

posixTest('what others could have planted is refused and left as it is', async t => {
  const folder = await makeTempFolder(t);
  const at = (name: string): string => join(folder, name);
  await writeFile(at('victim'), 'precious');
  await symlink('victim', at('link'));
  await symlink('nothing', at('dangling'));
  await link(at('victim'), at('hard'));
  await mkdir(at('folder'));
  execFileSync('mkfifo', [at('fifo')]);
  for (const name of ['link', 'dangling', 'hard', 'folder', 'fifo']) {
    for (const open of [openOwn, openOrCreateOwn, (path: string) => openOwn(path, { write: true })]) {
      const error = await open(at(name)).then(
        async file => {
          await file.close();
          return undefined;
        },
        (failure: unknown) => failure as { code: string; message: string },
      );
      t.true(['ERR_IO', 'ERR_INPUT'].includes(error?.code ?? ''), `${name}: ${error?.message ?? 'opened'}`);
      t.true(error?.message.includes(at(name)));
    }
  }
  t.is(await readFile(at('victim'), 'utf8'), 'precious');
  t.false((await readdir(folder)).includes('nothing'));
});

const rootTest = process.getuid?.() === 0 ? test : test.skip;

rootTest('as root: files of other users are refused, but not those of the owner of the folder', async t => {
  const folder = await makeTempFolder(t);
  const path = join(folder, 'a');
  await writeFile(path, 'x');
  await chown(path, 12345, 12345);
  await t.throwsAsync(openOwn(path), { code: 'ERR_IO', message: /user 12345/ });
  await chown(folder, 12345, 12345);
  await (await openOwn(path)).close();
});

test('an own file is opened, a missing one created, with what it holds', async t => {
  const path = join(await makeTempFolder(t), 'a');
  await t.throwsAsync(openOwn(path), { code: 'ENOENT' });
  const made = await openOrCreateOwn(path);
  await made.writeFile('12345');
  await made.close();
  const again = await openOrCreateOwn(path);
  t.is(await again.readFile('utf8'), '12345');
  await again.close();
  await t.throwsAsync(openOwn(path, { maxBytes: 4 }), { code: 'ERR_INPUT' });
  await (await openOwn(path, { maxBytes: 5 })).close();
});

posixTest('files that the user names may be links, but not what never ends', async t => {
  const folder = await makeTempFolder(t);
  await writeFile(join(folder, 'a'), 'content');
  await symlink('a', join(folder, 'link'));
  t.is((await readRegular(join(folder, 'link'))).toString(), 'content');
  execFileSync('mkfifo', [join(folder, 'fifo')]);
  for (const path of [join(folder, 'fifo'), folder, '/dev/zero']) {
    await t.throwsAsync(openRegular(path), { code: 'ERR_INPUT' }, path);
  }
});

test('a second handle is for the same file or none', async t => {
  const path = join(await makeTempFolder(t), 'a');
  const first = await openOrCreateOwn(path);
  await (await reopen(path, 0, first)).close();
  await rm(path);
  await writeFile(path, 'another');
  await t.throwsAsync(reopen(path, 0, first), { code: 'ERR_IO' });
  await first.close();
});
