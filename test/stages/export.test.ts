import { spawnSync } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { convert } from '../../pipeline/stages/convert.ts';
import { EXPORT_FORMATS } from '../../pipeline/export/formats.ts';
import { ROOT, runCli, startCli } from '../helpers/cli.ts';
import { makeContext, makeLines, writeTsv } from '../helpers/rows.ts';
import { makeTempFolder } from '../helpers/temp.ts';

/** The Python with the reader's test requirements that `npm test` makes, or another one that has them. */
const PYTHON = [process.env['EXPORT_PYTHON'], join(ROOT, '.venv', 'bin', 'python'), 'python3'].find(
  name =>
    name !== undefined &&
    spawnSync(name, ['-c', 'import numpy, h5py, pyarrow, lmdb, sys; assert sys.version_info >= (3, 9)'])
      .status === 0,
);

const testWithPython = PYTHON === undefined ? test.skip : test;

async function makeStore(t: ExecutionContext, lines: readonly string[]): Promise<string> {
  const folder = await makeTempFolder(t);
  await convert({ files: [await writeTsv(folder, lines, 'x.tsv')], threads: 1 }, makeContext());
  return folder;
}

/** So many rows that writing them takes a while. */
function makeManyLines(): readonly string[] {
  const lines = makeLines(20);
  return Array.from({ length: 800 }, (_, index) =>
    lines[index % 20]!.replace(/^SYNTHETIC_\d+/, `ID_${index}`),
  );
}

test('TSV with a line index: the bytes of the source, and where each row begins', async t => {
  const lines = makeLines(40);
  const folder = await makeStore(t, lines);
  const result = await runCli(['export', 'x.safetensors', '--to', 'tsv-lineidx', '--out', 'y.tsv'], {
    cwd: folder,
  });
  t.like(result, { code: 0, stderr: '' });
  t.regex(result.stdout, /^y\.tsv: 40 rows, 15\.8 MB; [^;]*; next: lxmert-data validate y\.tsv\n$/);
  const tsv = await readFile(join(folder, 'y.tsv'));
  t.deepEqual(tsv, await readFile(join(folder, 'x.tsv')));
  // As TSVFile does it: the offset of a line, one line from there, split at tabs and stripped.
  const index = (await readFile(join(folder, 'y.lineidx'), 'utf8')).split('\n');
  t.is(index.pop(), '');
  t.is(index.length, 40);
  for (const [row, line] of lines.entries()) {
    const begin = Number(index[row]);
    const found = tsv.subarray(begin, tsv.indexOf('\n', begin)).toString('utf8');
    t.deepEqual(
      found.split('\t').map(field => field.trim()),
      line.trimEnd().split('\t'),
    );
  }
});

test('a row on several lines has no line index', async t => {
  const folder = await makeStore(t, ['\r\n', ...makeLines(2)]);
  t.is((await runCli(['export', 'x.safetensors', '--out', 'y.tsv'], { cwd: folder })).code, 0);
  t.deepEqual(await readFile(join(folder, 'y.tsv')), await readFile(join(folder, 'x.tsv')));
  const { code, stderr } = await runCli(
    ['export', 'x.safetensors', '--to', 'tsv-lineidx', '--out', 'z.tsv'],
    {
      cwd: folder,
    },
  );
  t.is(code, 1);
  t.regex(stderr, /z\.lineidx: row 0 stands on several lines/);
  t.deepEqual((await readdir(folder)).sort(), ['x.safetensors', 'x.tsv', 'y.tsv']);
});

test('an index without its TSV is replaced, a TSV is not', async t => {
  const folder = await makeStore(t, makeLines(1));
  await writeFile(join(folder, 'y.lineidx'), 'left behind');
  const words = ['export', 'x.safetensors', '--to', 'tsv-lineidx', '--out', 'y.tsv', '--quiet'];
  t.is((await runCli(words, { cwd: folder })).code, 0);
  t.is(await readFile(join(folder, 'y.lineidx'), 'utf8'), '0\n');
  t.regex((await runCli(words, { cwd: folder })).stderr, /y\.tsv: the output exists already/);
  t.is((await runCli([...words, '--force'], { cwd: folder })).code, 0);
});

async function refuses(
  t: ExecutionContext,
  words: readonly string[],
  code: number,
  message: RegExp,
  env: NodeJS.ProcessEnv = {},
): Promise<void> {
  const folder = await makeStore(t, makeLines(1));
  const result = await runCli(['export', 'x.safetensors', ...words], { cwd: folder, env });
  t.is(result.code, code);
  t.regex(result.stderr, message);
  t.deepEqual((await readdir(folder)).sort(), ['x.safetensors', 'x.tsv']);
}

for (const [name, near] of [
  ['hdf5', 'hdf5-flat'],
  ['HDF5-group', 'hdf5-groups'],
  ['lmdb', 'mmf-lmdb'],
  ['arow', 'arrow'],
  ['lineidx', 'tsv-lineidx'],
]) {
  const message = new RegExp(`there is no export format "${name!}"[^]*did you mean ${near!}\\?`);
  test(`the format ${name!} is not known, ${near!} is`, refuses, ['--to', name!, '--out', 'y'], 2, message);
}
test(
  'a format far from all others',
  refuses,
  ['--to', 'qwuip', '--out', 'y'],
  2,
  /expected: tsv, tsv-lineidx, oscar, vinvl, .*mmf-lmdb, .*mds\n {2}got: {6}qwuip\n$/,
);
test(
  'a name that does not fit the format',
  refuses,
  ['--to', 'hdf5-flat', '--out', 'y.tsv'],
  2,
  /expected: --out with a name that ends in \.h5 or \.hdf5/,
);
test(
  'a way to name images that the format does not have',
  refuses,
  ['--to', 'npz', '--ids', 'folder', '--out', 'y'],
  2,
  /npz has no images named by folder\n {2}expected: no --ids, or one of mmf-lmdb/,
);
test(
  'names of classes where there are none',
  refuses,
  ['--to', 'npz', '--vocab', 'vocab', '--out', 'y'],
  2,
  /npz has no names of classes\n {2}expected: no --vocab, or one of oscar, vinvl/,
);
test(
  'shards where there are none',
  refuses,
  ['--to', 'npz', '--shard-mb', '64', '--out', 'y'],
  2,
  /npz has no shards\n {2}expected: no --shard-mb, or one of webdataset, mds/,
);
test(
  'a TSV of several stores',
  refuses,
  ['x.safetensors', '--out', 'y.tsv'],
  2,
  /tsv is written from one store[^]*joined with cat/,
);
test('no name for a folder', refuses, ['--to', 'npz'], 2, /expected: --out with the name of a folder/);
test(
  'f16 where the code base takes f32 only',
  refuses,
  ['--to', 'hdf5-flat', '--dtype', 'f16', '--out', 'y.h5'],
  2,
  /hdf5-flat has no features of f16\n {2}expected: --dtype f32, or one of hdf5-groups, arrow/,
);
test(
  'a Python that is not there',
  refuses,
  ['--to', 'npy', '--out', 'y', '--python', 'no-such-python'],
  1,
  /npy is written by Python, which was not found\n {2}expected: Python 3\.9 or newer\n {2}got: {6}no-such-python: not found\n {2}what to do: install Python 3, or name one with --python/,
);
test(
  'no Python at all',
  refuses,
  ['--to', 'npy', '--out', 'y'],
  1,
  /got: {6}python3: not found; python: not found/,
  { PATH: '/nonexistent' },
);
test(
  'a program that is no Python',
  refuses,
  ['--to', 'npy', '--out', 'y', '--python', '/bin/echo'],
  1,
  /\/bin\/echo: does not answer as a Python does/,
);

test('a missing library is named with the command that installs it, and is not installed', async t => {
  const folder = await makeStore(t, makeLines(1));
  const bare = join(folder, 'bare-python');
  // A real Python whose own packages are out of reach.
  await writeFile(bare, '#!/bin/sh\nexec python3 -I -S "$@"\n');
  await chmod(bare, 0o755);
  if (spawnSync(bare, ['-c', 'pass']).status !== 0) {
    t.pass('there is no python3');
    return;
  }
  const words = ['export', 'x.safetensors', '--to', 'mmf-lmdb', '--out', 'y.lmdb', '--python', bare];
  const { code, stderr } = await runCli(words, { cwd: folder });
  t.is(code, 1);
  t.is(
    stderr,
    `error: ${bare}: mmf-lmdb is written with numpy and lmdb, which this Python does not have\n` +
      `  what to do: install it: ${bare} -m pip install "numpy>=1.21" "lmdb>=1.0" (or name a Python that has it with --python)\n`,
  );
});

test('help lists every format with who opens it', async t => {
  const { stdout } = await runCli(['export', '--help']);
  for (const { name, openedBy } of EXPORT_FORMATS)
    t.true(stdout.includes(`  ${name.padEnd(15)} for ${openedBy}\n`));
});

/** Modules that would run if anything were imported from the current folder; each leaves a file behind. */
const PLANTED = [
  'json',
  'numpy',
  'importlib',
  'runpy',
  'argparse',
  'lxmert_data',
  'sitecustomize',
  'h5py',
  'zlib',
];

/** Pythons of every version that is supported, as far as this machine has them: the oldest know no -P. */
const PYTHONS = ['python3.9', 'python3.10', 'python3.11', 'python3.12', 'python3.13', 'python3'].filter(
  name => spawnSync(name, ['-c', 'pass']).status === 0,
);

for (const python of new Set([...PYTHONS, ...(PYTHON === undefined ? [] : [PYTHON])])) {
  test(`no module is taken from the folder that export is called in (${python.replace(ROOT, '.')})`, async t => {
    const folder = await makeStore(t, makeLines(1));
    for (const name of PLANTED)
      await writeFile(
        join(folder, `${name}.py`),
        `open(${JSON.stringify(join(folder, 'attacked'))}, "a").write("${name} ")`,
      );
    const args = ['export', 'x.safetensors', '--to', 'npy', '--out', 'y', '--python', python];
    // An empty entry of PYTHONPATH means the current folder.
    const { code, stderr } = await runCli(args, { cwd: folder, env: { PYTHONPATH: ':/nonexistent' } });
    t.false((await readdir(folder)).includes('attacked'));
    if (python === PYTHON) t.is(code, 0, stderr);
    else t.true(code === 0 || stderr.includes('which this Python does not have'), stderr);
  });
}

/** Prints the CRC-32 of the features of every image, in order, read with the library of the format. */
const READ_BACK: Readonly<Record<string, string>> = {
  'hdf5-groups': `
import h5py
with h5py.File(sys.argv[1]) as f:
    show(f[k]["features"][()] for k in f)`,
  arrow: `
import pyarrow as pa
show(r.values.flatten().to_numpy() for r in pa.ipc.open_stream(sys.argv[1]).read_all()["features"])`,
  npy: `
show(np.load(sys.argv[1] + "/features.npy", mmap_mode="r"))`,
  'mmf-lmdb': `
import lmdb, pickle
with lmdb.open(sys.argv[1], readonly=True, lock=False) as e, e.begin() as t:
    show(pickle.loads(t.get(k))["features"] for k in pickle.loads(t.get(b"keys")))`,
};

const SHOW = `
import sys, zlib, numpy as np
def show(images):
    for image in images: print(zlib.crc32(np.ascontiguousarray(image, "<f4").tobytes()))
`;

for (const [name, code] of Object.entries(READ_BACK)) {
  testWithPython(`${name} holds the features of the store`, async t => {
    const folder = await makeStore(t, makeLines(5));
    const suffix = EXPORT_FORMATS.find(format => format.name === name)!.suffixes[0] ?? '';
    const words = ['export', 'x.safetensors', '--to', name, '--out', `y${suffix}`, '--python', PYTHON!];
    const result = await runCli([...words, '--json'], { cwd: folder });
    const events = result.stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as Record<string, unknown>);
    t.like(events.at(-1), { event: 'result', stage: 'export', ok: true, to: name, rows: 5, lossless: true });
    t.like(events.at(-2), { event: 'progress', done: 5, total: 5, unit: 'images' });
    const { stdout, stderr } = spawnSync(PYTHON!, ['-c', SHOW + code, join(folder, `y${suffix}`)], {
      encoding: 'utf8',
    });
    const npy = spawnSync(PYTHON!, ['-c', SHOW + READ_TSV, join(folder, 'x.tsv')], { encoding: 'utf8' });
    t.is(stdout.split('\n').length, 6, stderr);
    t.is(stdout, npy.stdout);
    const again = await runCli(words, { cwd: folder });
    t.is(again.code, 1);
    t.regex(again.stderr, /the output exists already/);
  });
}

testWithPython('several stores in one file, named by number', async t => {
  const folder = await makeTempFolder(t);
  const named = (line: string, id: string): string => line.replace(/^[^\t]+/, id);
  const lines = makeLines(4);
  const splits = {
    a: [named(lines[0]!, 'COCO_train2014_000000132417'), named(lines[1]!, 'COCO_train2014_000000000009')],
    b: [named(lines[2]!, 'COCO_val2014_000000391895')],
  };
  for (const [name, rows] of Object.entries(splits)) {
    await convert({ files: [await writeTsv(folder, rows, `${name}.tsv`)], threads: 1 }, makeContext());
  }
  const args = ['export', 'a.safetensors', 'b.safetensors', '--to', 'npz', '--ids', 'number', '--out', 'y'];
  const { code, stdout, stderr } = await runCli([...args, '--python', PYTHON!], { cwd: folder });
  t.is(code, 0, stderr);
  t.regex(stdout, /^y: 3 rows/);
  t.deepEqual((await readdir(join(folder, 'y'))).sort(), [
    '132417.npz',
    '391895.npz',
    '9.npz',
    'lxmert-data-export.json',
  ]);
});

testWithPython('object tags where the vocabulary is below the data root', async t => {
  const folder = await makeStore(t, makeLines(2));
  await mkdir(join(folder, 'data', 'vocab'), { recursive: true });
  const names = Array.from({ length: 1600 }, (_, index) => `thing ${index}`);
  await writeFile(join(folder, 'data', 'vocab', 'objects_vocab.txt'), names.join('\n'));
  const args = ['export', 'x.safetensors', '--to', 'vinvl', '--python', PYTHON!];
  t.is((await runCli([...args, '--out', 'y'], { cwd: folder })).code, 0);
  t.regex(await readFile(join(folder, 'y', 'label.tsv'), 'utf8'), /"class": "thing \d+"/);
  const without = await runCli([...args, '--out', 'z', '--data', 'nowhere'], { cwd: folder });
  t.is(without.code, 0);
  t.regex(without.stderr, /no vocabulary was given/);
});

const READ_TSV = `
import base64
show(np.frombuffer(base64.b64decode(line.split("\\t")[-1]), "<f4") for line in open(sys.argv[1]))`;

testWithPython('an untrained detector is told', async t => {
  const folder = await makeStore(t, makeLines(1));
  const store = join(folder, 'x.safetensors');
  const code =
    'import sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path; from store_writer import *\n' +
    'write_store(Path(sys.argv[1]), make_rows(2), weights="untrained")';
  t.is(spawnSync(PYTHON!, ['-c', code, store, join(ROOT, 'reader', 'tests')]).status, 0);
  for (const words of [
    ['--to', 'npz', '--out', 'y', '--python', PYTHON!],
    ['--to', 'tsv', '--out', 'y.tsv'],
  ]) {
    const { code, stderr } = await runCli(['export', 'x.safetensors', ...words], { cwd: folder });
    t.is(code, 0);
    t.regex(stderr, /warning: .*x\.safetensors: these features come from an untrained detector/);
  }
  const sidecar = JSON.parse(await readFile(join(folder, 'y', 'lxmert-data-export.json'), 'utf8')) as {
    detector: { weights: string };
  };
  t.is(sidecar.detector.weights, 'untrained');
});

testWithPython('Ctrl-C while Python writes: exit code 130 and nothing left', async t => {
  const folder = await makeStore(t, makeManyLines());
  const words = ['export', 'x.safetensors', '--to', 'npz', '--out', 'y', '--python', PYTHON!, '--json'];
  const { child, result } = startCli(words, { cwd: folder });
  child.stdout!.once('data', () => child.kill('SIGINT'));
  const { code, stdout } = await result;
  t.is(code, 130);
  t.regex(stdout, /ERR_INTERRUPTED.*nothing unfinished has a final name/);
  t.deepEqual((await readdir(folder)).sort(), ['x.safetensors', 'x.tsv']);
});

testWithPython(
  'a program that is killed takes its Python along, and nothing stays under the name',
  async t => {
    const folder = await makeStore(t, makeManyLines());
    const words = ['export', 'x.safetensors', '--to', 'npz', '--out', 'y', '--python', PYTHON!, '--json'];
    const { child, result } = startCli(words, { cwd: folder });
    child.stdout!.once('data', () => child.kill('SIGKILL'));
    t.is((await result).signal, 'SIGKILL');
    const isWriting = async (): Promise<boolean> =>
      (await readdir(folder)).some(name => name.endsWith('.partial'));
    while (await isWriting()) await setTimeout(50);
    t.deepEqual((await readdir(folder)).sort(), ['x.safetensors', 'x.tsv']);
  },
);
