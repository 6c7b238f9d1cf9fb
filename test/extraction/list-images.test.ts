import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import anyTest, { type TestFn } from 'ava';
import { listImages } from '../../pipeline/extraction/list-images.ts';
import { runCli } from '../helpers/cli.ts';

const test = anyTest as TestFn<{ folder: string }>;
test.beforeEach(t => {
  t.context = { folder: mkdtempSync(join(tmpdir(), 'list-')) };
  for (const name of ['b.jpg', 'a.png', 'c.jfif', 'notes.txt'])
    writeFileSync(join(t.context.folder, name), 'x');
});
test.afterEach.always(t => rmSync(t.context.folder, { recursive: true }));

test('a folder is listed by name', async t => {
  const { images, left_out: left } = await listImages(t.context.folder, false);
  t.deepEqual(
    images.map(({ img_id: id }) => id),
    ['a', 'b', 'c'],
  );
  t.deepEqual(left, { 'ending .txt': 1 });
});

test('a list names files relative to itself or absolutely', async t => {
  const list = join(t.context.folder, 'list.txt');
  writeFileSync(list, `\uFEFFb.jpg\r\n\r\n${join(t.context.folder, 'a.png')}\n`);
  const { images } = await listImages(list, false);
  t.deepEqual(
    images.map(({ img_id: id }) => id),
    ['b', 'a'],
  );
});

test('a list that names missing files is refused, in a dry run too', async t => {
  const list = join(t.context.folder, 'list.txt');
  writeFileSync(list, 'b.jpg\nnowhere.jpg\nsub/gone.jpg\n');
  const message = /do not exist[^]*3 files[^]*2 missing: ".*nowhere\.jpg", ".*sub\/gone\.jpg"/;
  await t.throwsAsync(listImages(list, false), { code: 'ERR_INPUT', message });
  const args = [
    'extract',
    'custom',
    '--images',
    list,
    '--out',
    join(t.context.folder, 'o.safetensors'),
    '--dry-run',
  ];
  const { code, stderr } = await runCli(args);
  t.not(code, 0);
  t.regex(stderr, message);
});

test('an image in place of a folder is a usage error that shows none of its bytes', async t => {
  const photo = join(t.context.folder, 'photo.jpg');
  writeFileSync(photo, Buffer.from('ffd8ffe000104a4649460001010000010001000000ff1b5b33316d', 'hex'));
  const out = join(t.context.folder, 'o.safetensors');
  const { code, stdout, stderr } = await runCli(['extract', 'custom', '--images', photo, '--out', out]);
  t.is(code, 2);
  t.regex(stderr, /this is an image, not a folder of images[^]*a JPEG file/);
  t.notRegex(stdout + stderr, /JFIF|\[31m/);
});

test('a list that is no text is refused', async t => {
  const list = join(t.context.folder, 'list.txt');
  writeFileSync(list, Buffer.alloc(100));
  const message = /not a list of images[^]*nothing but zero bytes/;
  await t.throwsAsync(listImages(list, false), { code: 'ERR_USAGE', message });
});

test('a path that does not exist and one that cannot be a folder say so', async t => {
  await t.throwsAsync(listImages(join(t.context.folder, 'nowhere'), false), {
    code: 'ERR_INPUT',
    message: /does not exist/,
  });
  symlinkSync('loop', join(t.context.folder, 'loop'));
  await t.throwsAsync(listImages(join(t.context.folder, 'loop'), false), {
    code: 'ERR_INPUT',
    message: /cannot be read[^]*ELOOP/,
  });
});

if (process.platform !== 'win32') {
  test('images that are links out of their folder are refused by name, unless they are to be followed', async t => {
    const { folder } = t.context;
    const outside = mkdtempSync(join(tmpdir(), 'outside-'));
    t.teardown(() => rmSync(outside, { recursive: true }));
    writeFileSync(join(outside, 'id_rsa'), 'secret');
    mkdirSync(join(folder, 'sub'));
    symlinkSync('../a.png', join(folder, 'sub', 'inside.jpg'));
    symlinkSync('nowhere', join(folder, 'dangling.jpg'));
    t.is((await listImages(folder, true)).images.length, 5);
    symlinkSync(join(outside, 'id_rsa'), join(folder, 'z.jpg'));
    symlinkSync(join(folder, 'z.jpg'), join(folder, 'y.jpg'));
    const message =
      /links that lead out of their folder[^]*"[^"]*\/y\.jpg" -> "[^"]*\/id_rsa"; "[^"]*\/z\.jpg" -> [^]*--follow-links/;
    await t.throwsAsync(listImages(folder, true), { code: 'ERR_INPUT', message });
    writeFileSync(join(folder, 'list.txt'), 'a.png\nz.jpg\n');
    await t.throwsAsync(listImages(join(folder, 'list.txt'), false), {
      code: 'ERR_INPUT',
      message: /z\.jpg/,
    });
    t.is((await listImages(folder, true, true)).images.length, 7);
    const args = [
      'extract',
      'custom',
      '--images',
      folder,
      '--out',
      join(outside, 'o.safetensors'),
      '--dry-run',
    ];
    const refused = await runCli(args);
    t.is(refused.code, 1);
    t.regex(refused.stderr, message);
    t.is((await runCli([...args, '--follow-links', '--weights', 'untrained'])).code, 0);
  });

  test('FIFOs and devices in a folder are left out and counted; a FIFO is no list', async t => {
    const fifo = join(t.context.folder, 'fifo.jpg');
    await promisify(execFile)('mkfifo', [fifo]);
    symlinkSync('/dev/zero', join(t.context.folder, 'zero.jpg'));
    mkdirSync(join(t.context.folder, 'sub'));
    symlinkSync(join(t.context.folder, 'b.jpg'), join(t.context.folder, 'd.jpg'));
    const { images, left_out: left } = await listImages(t.context.folder, true);
    t.deepEqual(
      images.map(({ img_id: id }) => id),
      ['a', 'b', 'c', 'd'],
    );
    t.like(left, { 'a FIFO, socket or device': 2 });
    await t.throwsAsync(listImages(fifo, false), { code: 'ERR_INPUT', message: /a FIFO/ });
  });
}

test('file names that no row may have are refused before anything is computed', async t => {
  for (const name of ['turned\u202egpj.jpg', 'bell\u0007.jpg'])
    writeFileSync(join(t.context.folder, name), '');
  await t.throwsAsync(listImages(t.context.folder, false), {
    code: 'ERR_INPUT',
    message: /2 of the file names cannot be img_ids[^]*what to do: rename these files/,
  });
});
