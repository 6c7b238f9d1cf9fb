import { open, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import test from 'ava';
import { LxmertDataError } from '../../pipeline/errors.ts';
import { nameSystemError } from '../../pipeline/files/system-error.ts';
import { makeTempFolder } from '../helpers/temp.ts';

test('errors of files get a reason, a path and a way out', async t => {
  const folder = await makeTempFolder(t);
  await writeFile(join(folder, 'file'), '');
  await mkdir(join(folder, 'folder'));
  await symlink('loop', join(folder, 'loop'));
  const failures: [Promise<unknown>, string, RegExp][] = [
    [readFile(join(folder, 'none')), 'none', /no such file or folder/],
    [readdir(join(folder, 'file')), 'file', /is a file, not a folder/],
    [readFile(join(folder, 'loop')), 'loop', /too many links/],
    [open(join(folder, 'x'.repeat(300))), '', /the name is too long/],
    [readFile(join(folder, 'folder')), '', /this is a folder/],
  ];
  for (const [failure, name, reason] of failures) {
    const named = nameSystemError(await t.throwsAsync(failure));
    if (!(named instanceof LxmertDataError)) return t.fail(reason.source);
    t.is(named.code, 'ERR_IO');
    t.regex(named.parts.what, reason);
    t.not(named.parts.hint, undefined);
    if (name !== '') t.is(named.parts.where, join(folder, name));
  }
});

test('errors that are no file system errors stay as they are', async t => {
  const socket = connect(1, '127.0.0.1');
  const [refused] = (await once(socket, 'error')) as [Error];
  for (const error of [
    refused,
    new Error('x'),
    new LxmertDataError('ERR_INPUT', { what: 'x' }),
    'text',
    undefined,
  ])
    t.is(nameSystemError(error), error);
});
