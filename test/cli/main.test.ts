import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { sharp } from '../../pipeline/detector/image/sharp.ts';
import { makeSyntheticRow } from '../../pipeline/rows/synthetic-row.ts';
import { ROOT, runCli, startCli, startProgram } from '../helpers/cli.ts';
import { makeLines, writeTsv } from '../helpers/rows.ts';
import { makeTempFolder } from '../helpers/temp.ts';

test('the main job: validate, convert, verify, export', async t => {
  const folder = await makeTempFolder(t);
  await writeTsv(folder, makeLines(4), 'x.tsv');
  const steps: readonly (readonly [string[], RegExp])[] = [
    [
      ['validate', 'x.tsv'],
      /^x\.tsv: 4 valid rows, 1\.58 MB, sha256 [0-9a-f]{64}\n {2}boxes end where Caffe clips them in 4 of 4 rows\nno problems\n4 valid rows in one file; [\d.]+ s, [\d.]+ [kM]B\/s; next: lxmert-data convert x\.tsv\n$/,
    ],
    [
      ['convert', 'x.tsv'],
      /^x\.safetensors: 4 images, 1\.22 MB; [\d.]+ s, [\d.]+ [kM]B\/s; next: lxmert-data verify x\.safetensors\n$/,
    ],
    [
      ['verify', 'x.safetensors', '--against', 'x.tsv'],
      /^x\.safetensors: 4 images, f32, intact\n {2}detector unknown, weights unknown\n {2}4 rows compared with the source: all equal\n4 images in one store verified; [^;]*; next: lxmert-data inspect x\.safetensors\n$/,
    ],
    [
      ['export', 'x.safetensors', '--out', 'y.tsv'],
      /^y\.tsv: 4 rows, 1\.58 MB; [^;]*; next: lxmert-data validate y\.tsv\n$/,
    ],
  ];
  for (const [words, expected] of steps) {
    const { code, stdout, stderr } = await runCli(words, { cwd: folder });
    t.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    t.regex(stdout, expected);
  }
  t.true((await readFile(join(folder, 'x.tsv'))).equals(await readFile(join(folder, 'y.tsv'))));
  t.deepEqual((await readdir(folder)).sort(), ['x.safetensors', 'x.tsv', 'y.tsv']);
});

test('start takes a feature file the whole way, and replaces nothing without --force', async t => {
  const folder = await makeTempFolder(t);
  await writeTsv(folder, makeLines(4), 'x.tsv');
  await writeFile(join(folder, 'x.back.tsv'), 'mine');
  const first = await runCli(['start', 'x.tsv'], { cwd: folder });
  t.is(first.code, 0, first.stderr);
  t.regex(first.stdout, /4 valid rows, 0 errors/);
  t.regex(first.stdout, /intact/);
  t.regex(first.stdout, /as TSV again: the same bytes/);
  const store = await readFile(join(folder, 'x.safetensors'));
  const second = await runCli(['start', 'x.tsv'], { cwd: folder });
  t.is(second.code, 1);
  t.regex(second.stderr, /the output exists already/);
  t.is((await runCli(['start', 'x.tsv', '--force'], { cwd: folder })).code, 0);
  t.true((await readFile(join(folder, 'x.safetensors'))).equals(store));
  t.is(await readFile(join(folder, 'x.back.tsv'), 'utf8'), 'mine');
  t.deepEqual((await readdir(folder)).sort(), ['x.back.tsv', 'x.safetensors', 'x.tsv']);
});

test('start with images writes beside them; without any it draws some, and touches no others', async t => {
  const folder = await makeTempFolder(t);
  await mkdir(join(folder, 'photos'));
  const picture = { create: { width: 64, height: 48, channels: 3, background: '#456' } } as const;
  await sharp(picture)
    .png()
    .toFile(join(folder, 'photos', 'a.png'));
  const args = ['--rois', '36', '--weights', 'untrained'];
  const mine = await runCli(['start', '--images', 'photos', ...args], { cwd: folder });
  t.is(mine.code, 0, mine.stderr);
  const store = await readFile(join(folder, 'photos_obj36.safetensors'));
  t.is((await runCli(['start', '--images', 'photos', ...args], { cwd: folder })).code, 1);
  const { code, stdout, stderr } = await runCli(['start', ...args], { cwd: folder });
  t.is(code, 0, stderr);
  t.regex(stdout, /3 of 3 images, by bottom-up-attention \(embedded\) on cpu/);
  t.regex(stdout, /intact/);
  t.true((await readFile(join(folder, 'photos_obj36.safetensors'))).equals(store));
  const verified = await runCli(['verify', 'data/demo/demo_obj36.safetensors'], { cwd: folder });
  t.is(verified.code, 0);
  t.regex(verified.stdout, /UNTRAINED/, 'synthetic weights are said plainly');
});

const exits = test.macro(async (t, words: readonly string[], code: number, stderr: RegExp) => {
  const folder = await makeTempFolder(t);
  await writeTsv(folder, [...makeLines(2), makeLines(1, 2)[0]!.slice(0, 100_000)], 'bad.tsv');
  await writeTsv(folder, makeLines(1), 'good.tsv');
  const result = await runCli(words, { cwd: folder });
  t.is(result.code, code);
  t.regex(result.stderr, stderr);
  t.deepEqual((await readdir(folder)).sort(), ['bad.tsv', 'good.tsv']);
});

test('no command', exits, [], 2, /Usage: lxmert-data/);
test(
  'an unknown command suggests the near one',
  exits,
  ['valdate', 'x'],
  2,
  /unknown command 'valdate'\n\(Did you mean validate\?\)/,
);
test(
  'an unknown option suggests the near one',
  exits,
  ['convert', 'good.tsv', '--skip-bat'],
  2,
  /unknown option '--skip-bat'\n\(Did you mean --skip-bad\?\)/,
);
test('a missing argument', exits, ['convert'], 2, /missing required argument 'file'/);
test('a missing value', exits, ['convert', 'good.tsv', '--out'], 2, /argument missing/);
test(
  'a value that is no choice',
  exits,
  ['convert', 'good.tsv', '--dtype', 'f64'],
  2,
  /Allowed choices are f32, f16, bf16/,
);
test(
  'a number that is none',
  exits,
  ['convert', 'good.tsv', '--threads', 'many'],
  2,
  /'many' is not a positive whole number/,
);
test(
  'a file that is not there',
  exits,
  ['convert', 'none.tsv'],
  1,
  /^error: none\.tsv: there is no such file\n$/,
);
test(
  'a kind of file that is not known',
  exits,
  ['validate', 'x.csv'],
  1,
  /expected: a name that ends in \.tsv or \.zip/,
);
test(
  'a bad row',
  exits,
  ['validate', 'bad.tsv'],
  1,
  /error: bad\.tsv:3 \(byte 790354\) SYNTHETIC_000000000002: length features: expected 393216 base64 characters/,
);
test('nothing is published from a bad row', exits, ['convert', 'bad.tsv'], 1, /bad\.tsv:3/);
test(
  'an output folder that is not there',
  exits,
  ['convert', 'good.tsv', '--out', 'no/x.safetensors'],
  1,
  /no: the output folder does not exist/,
);
test(
  'an export without --out',
  exits,
  ['export', 'x.safetensors'],
  2,
  /expected: --out with a name that ends in \.tsv/,
);
test(
  'neither a store nor a dataset',
  exits,
  ['verify', 'good.tsv'],
  2,
  /good\.tsv: this is not a store\n.*\n.*lxmert-data convert good\.tsv/,
);

test('help of every command has examples', async t => {
  for (const command of ['start', 'validate', 'convert', 'verify', 'export', 'extract', 'compare']) {
    const { code, stdout } = await runCli([command, '--help']);
    t.is(code, 0);
    t.regex(stdout, /Examples:\n {2}(lxmert-data|npm)/);
    t.regex(stdout, /--data <DIR>/);
  }
  t.regex((await runCli(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/);
});

test('--json prints one event a line and nothing else', async t => {
  const folder = await makeTempFolder(t);
  await writeTsv(folder, [...makeLines(2), 'torn\n'], 'x.tsv');
  const { code, stdout, stderr } = await runCli(['convert', 'x.tsv', '--skip-bad', '--json'], {
    cwd: folder,
  });
  t.is(code, 1);
  t.is(stderr, '');
  const events = stdout
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>);
  t.deepEqual(
    events.map(({ event }) => event),
    ['start', 'problem', 'progress', 'result'],
  );
  t.like(events[1], { code: 'columns', source: 'x.tsv', line: 3, img_id: null });
  t.like(events[3], {
    stage: 'convert',
    ok: false,
    out: 'x.safetensors',
    schema_version: 1,
    rows: 2,
    errors: 1,
  });
  const failed = await runCli(['convert', 'none.tsv', '--json'], { cwd: folder });
  t.deepEqual(JSON.parse(failed.stdout), {
    event: 'error',
    schema_version: 1,
    code: 'ERR_INPUT',
    message: 'none.tsv: there is no such file',
    what: 'there is no such file',
    where: 'none.tsv',
  });
});

test('--quiet prints errors only', async t => {
  const folder = await makeTempFolder(t);
  await writeTsv(folder, makeLines(1), 'x.tsv');
  t.like(await runCli(['convert', 'x.tsv', '--quiet'], { cwd: folder }), { code: 0, stdout: '', stderr: '' });
  t.like(await runCli(['convert', 'x.tsv', '--quiet'], { cwd: folder }), { code: 1, stdout: '' });
});

test('a file below the data root is found', async t => {
  const folder = await makeTempFolder(t);
  await writeTsv(folder, makeLines(1), 'x.tsv');
  const elsewhere = await makeTempFolder(t);
  const { code, stdout } = await runCli(['validate', 'x.tsv', '--data', folder], { cwd: elsewhere });
  t.is(code, 0);
  t.true(stdout.startsWith(join(folder, 'x.tsv')));
});

test('Ctrl-C in the middle: exit code 130 and nothing left', async t => {
  const folder = await makeTempFolder(t);
  const lines = makeLines(20);
  const many = Array.from({ length: 800 }, (_, index) =>
    lines[index % 20]!.replace(/^SYNTHETIC_\d+/, `ID_${index}`),
  );
  await writeTsv(folder, many, 'x.tsv');
  const { child, result } = startCli(['convert', 'x.tsv', '--json'], { cwd: folder });
  child.stdout!.once('data', () => child.kill('SIGINT'));
  const { code, stdout } = await result;
  t.is(code, 130);
  t.like(JSON.parse(stdout.trimEnd().split('\n').at(-1)!), {
    code: 'ERR_INTERRUPTED',
    message:
      'interrupted by SIGINT; nothing unfinished has a final name\n  what to do: run the same command again',
  });
  t.deepEqual(await readdir(folder), ['x.tsv']);
});

test('all ways of npm to give options mean the same', async t => {
  const folder = await makeTempFolder(t);
  await writeTsv(folder, makeLines(2), 'x.tsv');
  await writeFile(join(folder, 'ids.txt'), makeSyntheticRow(1).img_id);
  const forms = [
    ['--', 'x.tsv', '--first', 'ids.txt', '--out', 'a.safetensors', '--dtype', 'f16'],
    ['x.tsv', '--first', 'ids.txt', '--out', 'b.safetensors', '--dtype', 'f16'],
    ['--first=ids.txt', '--out=c.safetensors', '--dtype=f16', 'x.tsv'],
  ];
  for (const form of forms) {
    const { code, stderr } = await startProgram('npm', ['run', '--prefix', ROOT, 'convert', ...form], {
      cwd: folder,
    }).result;
    t.is(code, 0, stderr);
  }
  const stores = await Promise.all(
    ['a', 'b', 'c'].map(async name => await readFile(join(folder, `${name}.safetensors`))),
  );
  t.true(stores.every(store => store.equals(stores[0]!)));
  t.is(stores[0]!.length, 32_768 + 2 * (147_456 + 2 * 288 + 576 + 2 * 144 + 8 + 4 + 22));
});

test('--quiet hides progress and summaries, but no problem and no error', async t => {
  const folder = await makeTempFolder(t);
  await writeTsv(folder, [...makeLines(2), makeLines(1, 2)[0]!.slice(0, 100_000)], 'bad.tsv');
  const checked = await runCli(['validate', 'bad.tsv', '--quiet'], { cwd: folder });
  t.is(checked.code, 1);
  t.is(checked.stdout, '');
  t.regex(checked.stderr, /error: bad\.tsv:3 \(byte \d+\) SYNTHETIC_000000000002: length features/);
  const skipped = await runCli(['convert', 'bad.tsv', '--skip-bad', '--quiet'], { cwd: folder });
  t.is(skipped.code, 1);
  t.regex(skipped.stderr, /error: bad\.tsv:3 /);
});

test('wrong arguments are an event too with --json, and nothing goes to standard error', async t => {
  for (const args of [
    ['convert', '--no-such', '--json'],
    ['no-such', '--json'],
    ['convert', '--json'],
  ]) {
    const { code, stdout, stderr } = await runCli(args);
    t.is(code, 2);
    t.is(stderr, '');
    const { event, code: name, what } = JSON.parse(stdout) as Record<string, unknown>;
    t.deepEqual([event, name], ['error', 'ERR_USAGE']);
    t.is(typeof what, 'string');
  }
});

test('names with control characters and marks of direction reach a terminal only in writing', async t => {
  const folder = await makeTempFolder(t);
  const name = 'a\u001b[2J\u009b1m\u202egsp.tsv';
  const plain = await runCli(['validate', name], { cwd: folder });
  t.is(plain.code, 1);
  t.regex(plain.stderr, /a\\u\{1b\}\[2J\\u\{9b\}1m\\u\{202e\}gsp\.tsv/);

  const unsafe = /[\u0000-\u0008\u000b-\u001a\u007f-\u009f\u202a-\u202e]/;
  t.notRegex(plain.stderr, unsafe);
  const json = await runCli(['validate', name, '--json'], { cwd: folder });
  t.notRegex(json.stdout, unsafe);
  t.is((JSON.parse(json.stdout) as { where: string }).where, name);
});

test('LXMERT_DATA is the data root where --data is not given', async t => {
  const folder = await makeTempFolder(t);
  const missing = join(folder, 'nowhere');
  const env = { LXMERT_DATA: folder };
  t.regex((await runCli(['verify'], { env })).stderr, new RegExp(`^error: ${folder}: no dataset`));
  t.regex(
    (await runCli(['verify', '-d', missing], { env })).stderr,
    new RegExp(`^error: ${missing}: no dataset`),
  );
});

test('convert gives a store its ending, and makes nothing else', async t => {
  const folder = await makeTempFolder(t);
  await writeTsv(folder, makeLines(1), 'x.tsv');
  t.is((await runCli(['convert', 'x.tsv', '-o', 'store'], { cwd: folder })).code, 0);
  t.true((await readdir(folder)).includes('store.safetensors'));
  const wrong = await runCli(['convert', 'x.tsv', '--out', 'x.npz'], { cwd: folder });
  t.is(wrong.code, 2);
  t.regex(wrong.stderr, /other formats are written from the store/);
});

test('a folder that may not be written is named before any work', async t => {
  const folder = await makeTempFolder(t);
  const tsv = await writeTsv(folder, makeLines(1), 'x.tsv');
  // A file system that nobody, root included, can write.
  const { code, stderr } = await runCli(['convert', tsv, '--out', '/proc/x.safetensors']);
  t.is(code, 1);
  t.notRegex(stderr, / at .*\.ts:/);
  t.regex(stderr, /\/proc.*(cannot be written|no such file|not permitted)/);
});

for (const [args, near] of [
  [['fetch', 'vqaa', '--dry-run'], 'vqa'],
  [['fetch', 'vqa', '--split', 'minval', '--dry-run'], 'minival'],
  [['extract', 'nlvr2/vaild', '--images', '.'], 'nlvr2/valid'],
  [['extract', 'trian', '--images', '.'], 'coco/train'],
  [['verify', 'nlvr'], 'nlvr2'],
] as const) {
  test(`${args.join(' ')}: did you mean ${near}?`, async t => {
    const { code, stderr } = await runCli([...args, '--data', await makeTempFolder(t)]);
    t.is(code, 2);
    t.true(stderr.includes(`did you mean ${near}?`), stderr);
  });
}

test('extract without weights says how to get them before it starts, in a dry run too', async t => {
  const data = await makeTempFolder(t);
  const image = { create: { width: 8, height: 8, channels: 3, background: 'red' } } as const;
  await sharp(image).png().toFile(join(data, 'a.png'));
  for (const more of [[], ['--dry-run'], ['--dry-run', '--shard', '1/2']]) {
    const args = ['extract', 'custom', '--images', data, '--data', data, '--backend', 'embedded', ...more];
    const { code, stdout, stderr } = await runCli(args);
    t.is(code, 1);
    t.is(stdout.includes('1 images'), more.length > 0);
    t.regex(stderr, /detector\.safetensors: the weights file does not exist/);
    t.regex(stderr, /lxmert-data fetch .*detector .*--weights untrained/);
  }
});
