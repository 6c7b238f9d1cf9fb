import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFile,
  chmod,
  mkdir,
  readdir,
  readFile,
  stat,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { planDataStart } from '../../pipeline/store/header.ts';
import { parseSourceForm, SourceFormBuilder } from '../../pipeline/store/source-form.ts';
import { openRowSource } from '../../pipeline/inputs/open-source.ts';
import { convert, type ConvertOptions } from '../../pipeline/stages/convert.ts';
import { openReport } from '../../pipeline/cli/report-file.ts';
import { readPinnedIds } from '../../pipeline/inputs/pinned-ids.ts';
import { exportTsv } from '../../pipeline/stages/export-tsv.ts';
import { RowPlacement } from '../../pipeline/store/row-placement.ts';
import { validate } from '../../pipeline/stages/validate.ts';
import { verifyStore } from '../../pipeline/stages/verify-store.ts';
import { openStore } from '../../pipeline/store/feature-store.ts';
import { seededRandom } from '../../pipeline/rows/synthetic-row.ts';
import { runCli, startCli } from '../helpers/cli.ts';
import { joinLine, makeContext, makeLines, splitLine, writeTsv } from '../helpers/rows.ts';
import { readAll } from '../helpers/sources.ts';
import { makeTempFolder } from '../helpers/temp.ts';

const isRoot = process.getuid?.() === 0;
const lines = makeLines(12);

async function failure(t: ExecutionContext, path: string, folder: string): Promise<string> {
  const error = await t.throwsAsync(validate({ files: [path], threads: 1 }, makeContext()), {
    name: 'LxmertDataError',
  });
  return error.message.replaceAll(`${folder}/`, '');
}

test('inputs that are no files, each with its message', async t => {
  t.timeout(30_000);
  const folder = await makeTempFolder(t);
  await mkdir(join(folder, 'folder.tsv'));
  await mkdir(join(folder, 'folder.zip'));
  await symlink(join(folder, 'loop.tsv'), join(folder, 'loop.tsv'));
  await symlink('/dev/zero', join(folder, 'zero.tsv'));
  await writeFile(join(folder, 'rows.csv'), '');
  const names = ['missing.tsv', 'missing.zip', 'folder.tsv', 'folder.zip', 'zero.tsv', 'rows.csv'];
  const messages = [];
  for (const name of names) messages.push(await failure(t, join(folder, name), folder));
  t.deepEqual(messages, [
    'missing.tsv: there is no such file',
    'missing.zip: there is no such file',
    'folder.tsv: this is not a file\n  expected: a .tsv or .zip file\n  got:      a folder',
    'folder.zip: this is not a file\n  expected: a .tsv or .zip file\n  got:      a folder',
    'zero.tsv: this is not a file\n  expected: a .tsv or .zip file\n  got:      something else',
    'rows.csv: the kind of this file is not known by its name\n  expected: a name that ends in .tsv or .zip',
  ]);
  t.regex(
    await failure(t, join(folder, 'loop.tsv'), folder),
    /^loop\.tsv: the file cannot be opened: too many links/,
  );
  await t.throwsAsync(openStore(join(folder, 'folder.tsv')), { message: /this is not a file/ });
});

test('a pipe without a writer is refused, not waited for', async t => {
  t.timeout(30_000);
  const folder = await makeTempFolder(t);
  if (spawnSync('mkfifo', [join(folder, 'pipe.tsv')]).status !== 0) {
    t.log('skipped: no mkfifo on this machine');
    t.pass();
    return;
  }
  t.is(
    await failure(t, join(folder, 'pipe.tsv'), folder),
    'pipe.tsv: this is not a file\n  expected: a .tsv or .zip file\n  got:      something else',
  );
  await t.throwsAsync(openStore(join(folder, 'pipe.tsv')), { message: /this is not a file/ });
});

(isRoot ? test.skip : test)('a file without permission (root may read all)', async t => {
  const folder = await makeTempFolder(t);
  const path = await writeTsv(folder, lines.slice(0, 1));
  await chmod(path, 0);
  t.regex(await failure(t, path, folder), /^rows\.tsv: the file cannot be opened: permission denied/);
});

test('a file that changes while it is read is refused', async t => {
  const folder = await makeTempFolder(t);
  const path = await writeTsv(folder, lines);
  const size = (await stat(path)).size;
  const grown = await openRowSource(path);
  await appendFile(path, 'more');
  const error = await t.throwsAsync(readAll(grown));
  t.is(
    error.message,
    `${path}: the file changed while it was read\n  expected: ${size} bytes\n  got:      ${size} bytes read, ${size + 4} there now\n  what to do: wait until whatever writes it has finished, then run this again`,
  );
  const touched = await openRowSource(path);
  await utimes(path, 1, 1);
  await t.throwsAsync(readAll(touched), { message: /got: {6}\d+ bytes, written since/ });
  const cut = await openRowSource(path);
  await writeFile(path, lines[0]!);
  await t.throwsAsync(readAll(cut), { message: /the file changed while it was read/ });
});

test('convert refuses an output that is an input, under any name', async t => {
  const folder = await makeTempFolder(t);
  const path = await writeTsv(folder, lines.slice(0, 1));
  await symlink(path, join(folder, 'same'));
  for (const out of [path, join(folder, 'same')]) {
    await t.throwsAsync(convert({ files: [path], out, force: true }, makeContext()), {
      message: `${out}: the output is one of the inputs\n  what to do: give another name`,
    });
  }
  for (const report of [path, join(folder, 'same')]) {
    await symlink(report, join(folder, 'report.json'));
    await t.throwsAsync(openReport({ report: join(folder, 'report.json') }, [path]), {
      message: `${join(folder, 'report.json')}: the output is one of the inputs\n  what to do: give another name`,
    });
    await unlink(join(folder, 'report.json'));
  }
  t.is(await readFile(path, 'utf8'), lines[0]!);
});

test('a report that could not be written stops the work before it starts', async t => {
  const folder = await makeTempFolder(t);
  const path = await writeTsv(folder, lines.slice(0, 1));
  const report = join(folder, 'nowhere', 'report.json');
  for (const command of ['convert', 'validate']) {
    const { code, stderr } = await runCli([command, path, '--report', report]);
    t.is(code, 1);
    t.regex(stderr, /the output folder does not exist/);
  }
  t.deepEqual(await readdir(folder), ['rows.tsv']);
});

test('after a bad row the ids that lead are still looked for in the rest', async t => {
  const folder = await makeTempFolder(t);
  const bad = joinLine(splitLine(lines[0]!).with(7, '35'));
  const path = await writeTsv(folder, [bad, ...lines.slice(1, 4)]);
  const first = join(folder, 'first.txt');
  await writeFile(first, 'SYNTHETIC_000000000003\nSYNTHETIC_000000000002\n');
  const result = await convert(
    { files: [path], pinned: await readPinnedIds(first), threads: 1 },
    makeContext(),
  );
  t.is(result.store, null);
  t.deepEqual(result.by_code, { num_boxes: 1 });
});

test('a last row without line end stays a row of its own wherever it goes', async t => {
  const folder = await makeTempFolder(t);
  const one = await writeTsv(folder, [lines[0]!, lines[1]!.trimEnd()], 'one.tsv');
  const two = await writeTsv(folder, [lines[2]!, lines[3]!.trimEnd()], 'two.tsv');
  const out = join(folder, 'all.safetensors');
  await convert({ files: [one, two], out, threads: 1 }, makeContext());
  await exportTsv({ store: out, out: join(folder, 'back.tsv') }, makeContext());
  t.is(await readFile(join(folder, 'back.tsv'), 'utf8'), lines.slice(0, 4).join('').trimEnd());
});

test('more blank text than is kept is refused, not forgotten', async t => {
  const folder = await makeTempFolder(t);
  const path = await writeTsv(folder, [lines[0]!, '\n'.repeat(5000), lines[1]!]);
  await t.throwsAsync(convert({ files: [path], threads: 1 }, makeContext()), {
    message: /there are too many blank lines between rows/,
  });
  t.deepEqual(await readdir(folder), ['rows.tsv']);
  // A byte that looks blank in Latin-1 only is no blank: it could not be given back.
  const odd = await writeTsv(folder, [lines[0]!]);
  await appendFile(odd, Buffer.from([0xa0, 0x0a]));
  t.deepEqual((await convert({ files: [odd], threads: 1 }, makeContext())).by_code, { columns: 1 });
});

test('closing gaps of ids that lead and are missing gives what a plain list gives', t => {
  const random = seededRandom(3);
  for (let round = 0; round < 3000; round++) {
    const first = Array.from({ length: Math.floor(random() * 12) }, (_, index) => `first ${index}`);
    const others = Array.from({ length: Math.floor(random() * 8) }, (_, index) => `other ${index}`);
    const present = first.filter(() => random() < 0.6);
    const rows = [...present, ...others].sort(() => random() - 0.5);
    const placement = new RowPlacement(first);
    const store: (string | undefined)[] = [];
    for (const id of rows) store[placement.indexFor(id)] = id;
    for (const { from, to, count } of placement.closeGaps())
      store.splice(to, count, ...store.slice(from, from + count));
    const following = rows.filter(id => !first.includes(id));
    t.deepEqual(store.slice(0, placement.rows), [...first.filter(id => present.includes(id)), ...following]);
  }
});

test('--first with missing ids and --skip-bad: the rows, their order and their bytes', async t => {
  t.timeout(60_000);
  const folder = await makeTempFolder(t);
  // LF, quotes and a bad row, so that forms have to move along with their rows.
  const written = lines.map((line, index) =>
    index % 3 === 0
      ? line.replace('\r\n', '\n')
      : index % 3 === 1
        ? `"${splitLine(line)[0]!}"${line.slice(line.indexOf('\t'))}`
        : line,
  );
  const bad = written.with(4, joinLine(splitLine(lines[4]!).with(7, '35')));
  const path = await writeTsv(folder, bad);
  const id = (index: number): string => `SYNTHETIC_${String(index).padStart(12, '0')}`;
  const first = join(folder, 'first.json');
  await writeFile(
    first,
    JSON.stringify(
      ['absent 0', id(7), 'absent 1', id(4), id(2), id(9), 'absent 2', id(11)].map(img_id => ({ img_id })),
    ),
  );
  const result = await convert(
    { files: [path], pinned: await readPinnedIds(first), skipBad: true, threads: 1 },
    makeContext(),
  );
  t.deepEqual(result.by_code, { num_boxes: 1, rows: 1 });
  t.regex(
    result.problems.at(-1)!.got,
    /^no row for 4: absent 0, absent 1, SYNTHETIC_000000000004, absent 2$/,
  );
  const order = [7, 2, 9, 11, 0, 1, 3, 5, 6, 8, 10];
  const store = await openStore(result.store!);
  t.deepEqual(await store.ids(), order.map(id));
  await store.close();
  t.true((await verifyStore(result.store!, makeContext(), 1)).ok);
  await exportTsv({ store: result.store!, out: join(folder, 'back.tsv') }, makeContext());
  t.is(await readFile(join(folder, 'back.tsv'), 'utf8'), order.map(index => written[index]!).join(''));
});

test('ids in one JSON object are refused as what they are', async t => {
  const folder = await makeTempFolder(t);
  const first = join(folder, 'first.json');
  await writeFile(first, '{"img_id": "SYNTHETIC_000000000000"}');
  await t.throwsAsync(readPinnedIds(first), {
    message: /no img_ids can be read from this JSON[^]*got: {6}an object/,
  });
});

test('an id that two inputs have is a duplicate, and names both places', async t => {
  const folder = await makeTempFolder(t);
  const one = await writeTsv(folder, lines.slice(0, 2), 'one.tsv');
  const two = await writeTsv(folder, [lines[2]!, lines[1]!], 'two.tsv');
  const options: ConvertOptions = { files: [one, two], out: join(folder, 'all.safetensors'), threads: 1 };
  const result = await convert(options, makeContext());
  t.deepEqual(
    result.problems.map(({ source, line, got }) => [source, line, got]),
    [[two, 2, `one that is in ${one}:2 already`]],
  );
  t.is((await convert({ ...options, skipBad: true }, makeContext())).rows, 3);
});

test('the header of a store has room for the names of its inputs, or the work does not start', t => {
  t.is(planDataStart(0), 32_768);
  t.throws(() => planDataStart(1_100_000), { message: /a store cannot name so many inputs in its header/ });
});

test('a source form that says something else is refused', t => {
  const sound = { eol: '\r\n', eol_runs: [[1, 2, '\n']], odd: [[0, ['a', 'b', 'c']]] };
  t.deepEqual(parseSourceForm(JSON.stringify(sound), 3, 3), sound as never);
  const broken = [
    null,
    [],
    5,
    {},
    { ...sound, eol: 'x' },
    { ...sound, eol_runs: 5 },
    { ...sound, eol_runs: [[1, 2]] },
    { ...sound, eol_runs: [[1, 4, '\n']] },
    { ...sound, odd: {} },
    { ...sound, odd: [[0, ['a', 'b']]] },
    { ...sound, odd: [[0, ['a', 'b', 5]]] },
    { ...sound, odd: [[-1, ['a', 'b', 'c']]] },
  ];
  for (const form of broken)
    t.is(parseSourceForm(JSON.stringify(form), 3, 3), undefined, JSON.stringify(form));
  t.is(parseSourceForm('{', 3, 3), undefined);
  const builder = new SourceFormBuilder();
  const part = 'x'.repeat(1_000_000);
  t.throws(
    () => {
      for (let row = 0; row < 300; row++) builder.setOdd(row, [part]);
    },
    { message: /the rows are written too unusually/ },
  );
});

test('an img_id in place of the list of them is not there, and the list is described', async t => {
  await t.throwsAsync(readPinnedIds('COCO_val2014_000000000042'), {
    message: /no such file\n {2}expected: a list with one img_id a line/,
  });
});

test('a store that is not there is a failure with a name', async t => {
  const folder = await makeTempFolder(t);
  const path = await writeTsv(folder, lines);
  const { code, stdout, stderr } = await runCli(['verify', path.replace('.tsv', '.safetensors')]);
  t.deepEqual([code, stdout], [1, '']);
  t.regex(stderr, /^error: .*rows\.safetensors: there is no such file\n$/);
});

test('a reader that goes away does not stop the work, nor change what the exit code says', async t => {
  t.timeout(60_000);
  const folder = await makeTempFolder(t);
  const path = await writeTsv(folder, lines);
  const { child, result } = startCli(['convert', path, '--json']);
  child.stdout!.destroy();
  child.stderr!.destroy();
  const code = await new Promise(resolve => child.on('exit', resolve));
  void result;
  t.is(code, 0);
  t.true((await verifyStore(join(folder, 'rows.safetensors'), makeContext(), 1)).ok);
});

const diskTest = isRoot && process.platform === 'linux' ? test.serial : test.serial.skip;

diskTest(
  'a full disk: what is missing is said, and nothing stays behind (needs root for a small disk)',
  async t => {
    t.timeout(60_000);
    const folder = await makeTempFolder(t);
    const disk = join(folder, 'disk');
    await mkdir(disk);
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', disk]).status !== 0) {
      t.log('skipped: no permission to mount');
      t.pass();
      return;
    }
    t.teardown(() => void execFileSync('umount', [disk]));
    const small = await writeTsv(folder, lines, 'small.tsv');
    const large = await writeTsv(folder, makeLines(30), 'large.tsv');
    const out = join(disk, 'x.safetensors');
    // Too large from the start: found before anything is written.
    const before = await t.throwsAsync(convert({ files: [large], out }, makeContext()), {
      name: 'LxmertDataError',
    });
    t.regex(
      before.message,
      /^.*disk: not enough disk space\n {2}expected: 8\.94 MB free\n {2}got: {6}6\.29 MB free\n {2}what to do: free 2\.65 MB more, or choose another disk with --out$/,
    );
    t.deepEqual(await readdir(disk), []);
    // Room at first, taken by something else while it works.
    const hog = join(disk, 'hog');
    const context = makeContext();
    const emit = context.emit;
    const taking = {
      ...context,
      emit: (event: Parameters<typeof emit>[0]) => {
        if (event.event === 'start') execFileSync('sh', ['-c', `head -c 5500000 /dev/zero > ${hog}`]);
        emit(event);
      },
    };
    const during = await t.throwsAsync(convert({ files: [small], out, threads: 1 }, taking), {
      name: 'LxmertDataError',
    });
    t.regex(
      during.message,
      /not enough disk space\n {2}expected: [\d.]+ MB free\n {2}got: {6}[\d.]+ .* free\n {2}what to do: free [\d.]+ [kM]B more/,
    );
    t.deepEqual(await readdir(disk), ['hog']);
    execFileSync('rm', [hog]);
    t.is((await convert({ files: [small], out, threads: 1 }, makeContext())).rows, 12);
    const back = await t.throwsAsync(exportTsv({ store: out, out: join(disk, 'back.tsv') }, makeContext()), {
      name: 'LxmertDataError',
    });
    t.regex(back.message, /not enough disk space/);
    t.deepEqual(await readdir(disk), ['x.safetensors']);
  },
);
