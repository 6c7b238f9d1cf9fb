import { once } from 'node:events';
import { watch } from 'node:fs';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { listRunArguments } from '../../../pipeline/extraction/apptainer/command.ts';
import { visibleGpus } from '../../../pipeline/extraction/gpu-choice.ts';
import { StoreFile } from '../../../pipeline/store/reader.ts';
import { type CliResult, startCli } from '../../helpers/cli.ts';
import { run, sha256, startWorker, writeImages } from '../../helpers/cluster.ts';
import { paint } from '../../helpers/paint.ts';
import { makeEmbeddedSif, makeShellImage, makeShellSif } from '../../helpers/sif.ts';
import { makeTempFolder } from '../../helpers/temp.ts';
import { hasLinuxEngine, testWithTools } from '../../helpers/tools.ts';

/** A real Apptainer, which .ci/apptainer makes where Debian has none. */
const TOOLS = ['apptainer'];

/** Says what it was given, tries what it must not do, and ends with a code that no other try changes. */
const SHELL_EXTRACTOR = `echo '{"event":"ready","detector":{"name":"shell","weights":"untrained"}}'
echo "arguments $*"
(: > /images/written) 2>/dev/null && echo "images can be written"
(: > /written) 2>/dev/null && echo "root can be written"
: > /cache/written
echo "secret \${SECRET-unset}, folder $PWD, gpu \${CUDA_VISIBLE_DEVICES-unset}"
read -r line
exit 4
`;

async function runInSif(folder: string, image: string, more: readonly string[] = []): Promise<CliResult> {
  const images = join(folder, 'images');
  await writeImages(images, 2);
  const out = ['--out', join(folder, 'x.safetensors'), '--data', folder];
  const args = ['extract', 'custom', '--images', images, ...out, '--image', image, ...more];
  return await startCli(args, { env: { SECRET: 'known' } }).result;
}

for (const [form, make] of [
  ['a .sif', makeShellSif],
  ['a folder', makeShellImage],
] as const) {
  testWithTools(`${form} sees what the contract lists, and its exit code is passed on`, TOOLS, async t => {
    const folder = await makeTempFolder(t);
    const image = await make(folder, SHELL_EXTRACTOR);
    const { code, stderr, stdout } = await runInSif(folder, image, [
      ...['--backend', 'apptainer', '--weights', 'untrained', '--rois', '36', '--gpus', '5'],
    ]);
    t.is(code, 1, stderr + stdout);
    t.regex(stderr, /cannot use the device|exit code 4/);
    t.regex(stderr, /arguments --weights=untrained --device=cuda --rois=36/);
    t.regex(stderr, /secret unset, folder \/, gpu 5/);
    t.notRegex(stderr, /can be written/);
    const written = await stat(join(folder, 'detector', 'converted', 'written'));
    t.is(written.uid, process.getuid!());
    t.false((await readdir(join(folder, 'images'))).includes('written'));
  });
}

testWithTools('what cannot be run is named, with the recipe that makes it', TOOLS, async t => {
  const folder = await makeTempFolder(t);
  const backend = ['--backend', 'apptainer', '--weights', 'untrained', '--gpus', 'none'];
  const other = join(folder, 'other.sif');
  await writeFile(other, 'not an image');
  const broken = join(folder, 'broken.sif');
  await writeFile(broken, `${'#!/usr/bin/env run-singularity\n'.padEnd(32, '\0')}SIF_MAGIC and no more`);
  const empty = join(folder, 'empty');
  await mkdir(empty);
  for (const [image, expected] of [
    [join(folder, 'missing.sif'), /missing\.sif: [^]*ENOENT[^]*docker save NAME[^]*apptainer build/],
    [other, /other\.sif: [^]*got: +another file[^]*docker-archive/],
    [empty, /a folder without \.singularity\.d/],
    [broken, /broken\.sif: apptainer cannot read this image/],
  ] as const) {
    const { code, stderr } = await runInSif(folder, image, backend);
    t.is(code, 1, stderr);
    t.regex(stderr, expected);
  }
  const image = await makeShellImage(folder, SHELL_EXTRACTOR);
  const comma = join(folder, 'a,b');
  await mkdir(comma);
  const named = await runInSif(comma, image, backend);
  t.is(named.code, 1);
  t.regex(named.stderr, /a,b[^]*cannot be bound/);
  const none = await startCli(['extract', 'custom', '--images', comma, '--backend', 'apptainer']).result;
  t.regex(none.stderr, /--image X\.sif/);
});

test('a machine without apptainer says what to do, and singularity is the second name', async t => {
  const folder = await makeTempFolder(t);
  const bin = join(folder, 'bin');
  await mkdir(bin);
  const images = join(folder, 'images');
  await writeImages(images, 1);
  const args = ['extract', 'custom', '--images', images, '--weights', 'untrained', '--image', 'x.sif'];
  const env = { PATH: bin };
  const missing = await startCli(args, { env }).result;
  t.is(missing.code, 1);
  t.regex(missing.stderr, /neither apptainer nor singularity is in PATH[^]*module load apptainer/);
  const script = join(bin, 'singularity');
  await writeFile(script, '#!/bin/sh\necho singularity-ce version 4.1.0\n');
  await chmod(script, 0o755);
  const found = await startCli(args, { env }).result;
  t.regex(found.stderr, /x\.sif: this is no image/);
  const doctor = await startCli(['doctor', '--json', '--data', folder], { env }).result;
  t.regex(doctor.stdout, /"check":"apptainer","state":"ok","found":"singularity-ce version 4\.1\.0"/);
});

test('GPUs are those that the scheduler made visible, one a process', t => {
  t.is(visibleGpus({ SLURM_JOB_GPUS: '4' }), undefined);
  t.deepEqual(visibleGpus({ CUDA_VISIBLE_DEVICES: '0,2', SLURM_JOB_GPUS: '4,6' }), ['0', '2']);
  t.is(visibleGpus({ CUDA_VISIBLE_DEVICES: 'NoDevFiles' }), 'none');
  const folders = { images: '/i', rows: '/r', script: '/s', cache: '/c' };
  const base = { program: 'apptainer', image: '/x.sif', isRoot: false, network: {}, folders };
  const caffe = { ...base, weights: '/w/a.caffemodel', ownExtractor: false };
  const args = listRunArguments({ ...caffe, gpu: '2' });
  t.is(args[0], 'exec');
  t.true(args.includes('--nv'));
  t.true(args.includes('CUDA_VISIBLE_DEVICES=2'));
  const binds =
    '/i:/images:ro,/r:/rows,/w/a.caffemodel:/weights/a.caffemodel:ro,/s:/lxmert-data:ro,/c:/cache';
  t.true(args.includes(binds), args.join(' '));
  t.deepEqual(args.slice(-2), ['--weights=/weights/a.caffemodel', '--device=cuda']);
  t.false(listRunArguments({ ...caffe, gpu: undefined }).includes('--nv'));
});

async function readStore(path: string): Promise<{ rows: Buffer; detector: object }> {
  const store = await StoreFile.open(path);
  const { header, provenance } = store;
  await store.close();
  return { rows: (await readFile(path)).subarray(header.dataStart), detector: provenance.detector };
}

const needed = hasLinuxEngine() ? TOOLS : [...TOOLS, 'a Docker engine'];

testWithTools('the embedded image as a .sif makes the rows of the embedded backend', needed, async t => {
  const folder = await makeTempFolder(t);
  const sif = await makeEmbeddedSif(folder);
  const images = join(folder, 'images');
  await mkdir(images);
  for (const width of [90, 160]) await paint(join(images, `${width}.png`), width, 120);
  const common = ['--data', folder, '--weights', 'untrained', '--rois', '36'];
  const extract = ['extract', 'custom', '--images', images, ...common];
  const inSif = ['--backend', 'apptainer', '--image', sif];
  const [direct, single] = [join(folder, 'direct.safetensors'), join(folder, 'one', 'x.safetensors')];
  await run(t, [...extract, '--out', direct, '--backend', 'embedded']);
  await run(t, [...extract, '--out', single, ...inSif]);
  const [ofDirect, ofSif] = [await readStore(direct), await readStore(single)];
  t.true(ofSif.rows.equals(ofDirect.rows));
  // The stores differ in this alone.
  t.deepEqual(ofSif.detector, { ...ofDirect.detector, image: `sha256:${await sha256(sif)}` });

  // A plan: a worker that is ended comes again, and the store has the bytes of the single run.
  const rows = join(folder, 'x.rows');
  await run(t, [...extract, '--plan', rows, '--unit-images', '1', ...inSif]);
  const shared = { folder, rows, images, out: join(folder, 'x.safetensors'), single: '' };
  await mkdir(join(rows, 'units'), { recursive: true });
  const units = watch(join(rows, 'units'));
  const worker = startWorker(shared, '1/1', { more: ['--data', folder] });
  await once(units, 'change');
  units.close();
  worker.child.kill('SIGTERM');
  t.is((await worker.result).code, 75);
  const again = await run(t, ['extract', '--plan', rows, '--worker', '1/1', '--data', folder]);
  t.regex(again.stdout, /1 units, 1 images computed/);
  await run(t, ['extract', '--plan', rows, '--publish']);
  t.is(await sha256(shared.out), await sha256(single));
});
