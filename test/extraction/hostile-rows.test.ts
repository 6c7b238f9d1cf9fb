import { execFileSync } from 'node:child_process';
import { chmod, chown, link, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { exchangeFolderOf } from '../../pipeline/extraction/exchange-folder.ts';
import { startExtractorProcess } from '../../pipeline/extraction/process.ts';
import { RowFolder } from '../../pipeline/extraction/row-folder.ts';
import { formatRow } from '../../pipeline/rows/format-row.ts';
import { makeSyntheticRow } from '../../pipeline/rows/synthetic-row.ts';
import { verifyStore } from '../../pipeline/stages/verify-store.ts';
import { findSplit, runExtraction } from '../helpers/extraction.ts';
import { makeContext } from '../helpers/rows.ts';
import { makeTempFolder } from '../helpers/temp.ts';

/* What a container, or a neighbour who may write beside the output, can do to the host through the folder of rows. */

const STAND_IN = join(import.meta.dirname, '..', 'fixtures', 'stand-in-extractor.ts');
const PRECIOUS = 'precious\n'.repeat(1000);

/** An output in a folder of its own, and a file of the user's elsewhere that must stay as it is. */
async function prepare(t: ExecutionContext, contents: Readonly<Record<string, string>> = {}) {
  const folder = await makeTempFolder(t);
  const images = join(folder, 'images');
  await mkdir(images);
  const victim = join(folder, 'victim');
  await writeFile(victim, PRECIOUS);
  for (const [name, text] of Object.entries({ 'a.jpg': 'a', 'b.jpg': 'b', ...contents }))
    await writeFile(join(images, name), text.replace('VICTIM', victim));
  const out = join(folder, 'x.safetensors');
  const context = makeContext();
  const run = async () => {
    const start = [startStandIn];
    const options = { split: findSplit('custom'), images, data: join(folder, 'data'), out, start };
    return await runExtraction({ ...options, stallSeconds: 60, keepRows: true }, context);
  };
  const warnings = () => context.events.flatMap(event => (event.event === 'warning' ? [event.message] : []));
  return { folder, rows: join(folder, 'x.rows'), victim, out, run, warnings };
}

const startStandIn = (onEvent: Parameters<typeof startExtractorProcess>[2]) =>
  startExtractorProcess(process.execPath, [STAND_IN], onEvent);

function rowOf(imgId: string): string {
  return formatRow({ ...makeSyntheticRow(3), img_id: imgId });
}

const plants = {
  'a link in place of the folder': async (rows, victim) => {
    await mkdir(`${victim}s`);
    await symlink(`${victim}s`, rows);
  },
  'a folder that the group can write to': async rows => {
    await mkdir(rows);
    await chmod(rows, 0o775);
  },
  'a folder that everybody can write to': async rows => {
    await mkdir(rows);
    await chmod(rows, 0o1777);
  },
  'a link in place of the claim': async (rows, victim) => {
    await mkdir(rows);
    await symlink(victim, join(rows, 'owner'));
  },
  'a link in place of the detector': async (rows, victim) => {
    await mkdir(rows);
    await symlink(victim, join(rows, 'detector.json'));
  },
  'a link in place of rows': async (rows, victim) => {
    await mkdir(rows);
    await symlink(victim, join(rows, 'rows-000000.tsv'));
  },
  'a hard link in place of rows': async (rows, victim) => {
    await mkdir(rows);
    await link(victim, join(rows, 'rows-000000.tsv'));
  },
  'a FIFO in place of rows': async rows => {
    await mkdir(rows);
    execFileSync('mkfifo', [join(rows, 'rows-000000.tsv')]);
  },
  'a FIFO in place of the claim': async rows => {
    await mkdir(rows);
    execFileSync('mkfifo', [join(rows, 'owner')]);
  },
} satisfies Record<string, (rows: string, victim: string) => Promise<void>>;

for (const [name, plant] of Object.entries(plants)) {
  const posixTest = process.platform === 'win32' ? test.skip : test;
  posixTest(`refused, and left as it is: ${name}`, async t => {
    const { rows, victim, run, folder } = await prepare(t);
    await plant(rows, victim);
    const error = await t.throwsAsync<Error & { code: string }>(run());
    t.true(['ERR_IO', 'ERR_INPUT'].includes(error.code), error.code);
    t.true(error.message.includes(rows));
    t.is(await readFile(victim, 'utf8'), PRECIOUS);
    t.deepEqual(
      (await readdir(folder)).filter(file => file.startsWith('x.safetensors')),
      [],
    );
  });
}

if (process.getuid?.() === 0) {
  test('a folder of rows of another user is refused', async t => {
    const { rows, run } = await prepare(t);
    await mkdir(rows, { mode: 0o755 });
    await chown(rows, 12_345, 12_345);
    await t.throwsAsync(run(), { code: 'ERR_IO', message: /got: {6}a folder of user 12345/ });
  });
}

test('what a killed run left in the shared folder is taken only if it is rows of the plan', async t => {
  const { rows, victim, run } = await prepare(t);
  const shared = exchangeFolderOf(rows);
  await mkdir(shared, { recursive: true, mode: 0o700 });
  await writeFile(
    join(shared, 'rows-000000.tsv'),
    rowOf('b') + rowOf('never asked for') + rowOf('a').slice(0, 999),
  );
  await symlink(victim, join(shared, 'rows-000001.tsv'));
  await symlink('/dev/zero', join(shared, 'rows-000002.tsv'));
  execFileSync('mkfifo', [join(shared, 'rows-000003.tsv')]);
  await symlink(victim, join(shared, 'anything'));
  t.like(await run(), { ok: true, rows: 2, resumed: 1 });
  t.is(await readFile(victim, 'utf8'), PRECIOUS);
  t.deepEqual(await readdir(shared), []);
});

test('an extractor that puts a link in place of its file of rows changes nothing else', async t => {
  const { victim, run } = await prepare(t, { 'c.jpg': 'link to VICTIM' });
  const result = await run();
  // It wrote there with its own rights; in a container the file is not there. The host neither read nor wrote it.
  t.true((await readFile(victim, 'utf8')).startsWith(PRECIOUS));
  t.like(result, { ok: false, rows: 2 });
  t.regex(result.missing[0]!.reason, /invalid row \(it is not in the file\)/);
});

test('the host keeps its own files outside the folder that extractors see', async t => {
  const { rows, run } = await prepare(t);
  t.true((await run()).ok);
  t.deepEqual((await readdir(rows)).sort(), ['detector.json', 'exchange', 'rows-000000.tsv']);
  t.deepEqual(await readdir(exchangeFolderOf(rows)), []);
});

test('several extractors that are ready at once hold the folder to one detector', async t => {
  const rows = await RowFolder.open(join(await makeTempFolder(t), 'x.rows'), new Set(), () => undefined);
  const name = { name: 'n', weights: 'unknown' };
  await Promise.all(Array.from({ length: 8 }, async () => await rows.holdTo(name)));
  const other = Promise.all([name, { ...name, rois: 36 }, name].map(async each => await rows.holdTo(each)));
  await t.throwsAsync(other, { message: /the existing rows come from another detector/ });
  t.deepEqual(await rows.readDetector(), name);
  await rows.close();
});

test('keys of a detector that nobody knows are dropped', async t => {
  const { out, rows, run } = await prepare(t);
  t.deepEqual((await run()).detector, { name: 'stand-in', weights: 'unknown' });
  t.is(await readFile(join(rows, 'detector.json'), 'utf8'), '{"name":"stand-in","weights":"unknown"}\n');
  const { metadata } = await verifyStore(out, makeContext());
  t.notRegex(metadata['detector']!, /rm -rf/);
});

test('rows of images that the extractor was not given are refused by name', async t => {
  const { run, warnings, out } = await prepare(t, { 'c.jpg': 'row of stranger' });
  t.like(await run(), { ok: true, rows: 3 });
  t.true(
    warnings().some(text => /a row for "stranger", which is not in its batch; it is refused/.test(text)),
  );
  t.true((await verifyStore(out, makeContext())).ok);
});

for (const order of ['events', 'line', 'log']) {
  test.serial(`hundreds of MB of ${order} on standard output cost no memory`, async t => {
    const { run } = await prepare(t, { 'c.jpg': `flood ${order}` });
    const before = process.memoryUsage().rss;
    t.like(await run(), { ok: true, rows: 3 });
    const grown = process.memoryUsage().rss - before;
    t.true(grown < 250e6, `${grown} bytes more`);
  });
}

test('more rows than a batch can have end the run', async t => {
  const { run } = await prepare(t, { 'c.jpg': 'flood rows' });
  await t.throwsAsync(run(), {
    code: 'ERR_EXTRACTOR',
    message: /writes more than the rows that it was asked for/,
  });
});

test('a shared folder that is filled with something else ends the run', async t => {
  const { run, rows } = await prepare(t, { 'c.jpg': 'flood folder', 'd.jpg': 'once hang' });
  await t.throwsAsync(run(), {
    code: 'ERR_EXTRACTOR',
    message: /writes more than the rows that it was asked for/,
  });
  await rm(rows, { recursive: true });
});

test('a claim of another machine says how old it is and how to take over', async t => {
  const { rows, run } = await prepare(t);
  await mkdir(rows, { mode: 0o700 });
  const claim = { pid: 1, host: 'elsewhere', started: Date.now() - 3 * 3600_000 };
  await writeFile(join(rows, 'owner'), JSON.stringify(claim));
  const message = /process 1 of the machine "elsewhere"[^]*180 minutes old[^]*take over: rm .*owner/;
  await t.throwsAsync(run(), { code: 'ERR_INPUT', message });
  await rm(join(rows, 'owner'));
  t.true((await run()).ok);
});

test('a claim of a process that is gone, or a torn one, is taken over', async t => {
  for (const text of ['999999999', '', '{"pid":999999999,"host":']) {
    const { rows, run } = await prepare(t);
    await mkdir(rows, { mode: 0o700 });
    await writeFile(join(rows, 'owner'), text);
    t.true((await run()).ok);
  }
});

test('a folder that was replaced while it was open is not written to', async t => {
  const folder = await makeTempFolder(t);
  const path = join(folder, 'x.rows');
  const rows = await RowFolder.open(path, new Set(['a']), () => undefined);
  execFileSync('mv', [path, `${path}.old`]);
  await mkdir(path, { mode: 0o700 });
  const name = { name: 'n', weights: 'unknown' };
  await t.throwsAsync(rows.append('a', Buffer.from(rowOf('a'))), { code: 'ERR_IO' });
  await t.throwsAsync(rows.holdTo(name), { code: 'ERR_IO', message: /another folder than before/ });
  t.deepEqual(await readdir(path), []);
});
