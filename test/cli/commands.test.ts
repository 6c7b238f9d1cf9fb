import { execFileSync, spawnSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { nameCommandsAsTyped } from '../../pipeline/cli/typed-commands.ts';
import { makeSyntheticRow } from '../../pipeline/rows/synthetic-row.ts';
import { runCli, startCli } from '../helpers/cli.ts';
import { makeLines, writeTsv } from '../helpers/rows.ts';
import { makeTempFolder } from '../helpers/temp.ts';
import { testWithTools } from '../helpers/tools.ts';

interface Result {
  readonly rows: number;
  readonly images: readonly { readonly boxes: readonly number[]; readonly features?: readonly number[] }[];
  readonly findings: readonly { readonly check: string; readonly state: string; readonly hint?: string }[];
}

function resultOf(stdout: string): Result {
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Result;
}

test('show: a store, an image, and an image as data', async t => {
  const cwd = await makeTempFolder(t);
  await writeTsv(cwd, makeLines(2), 'x.tsv');
  await runCli(['convert', 'x.tsv'], { cwd });
  const { img_id: id, boxes, features } = makeSyntheticRow(1);
  const store = await runCli(['show', 'x.safetensors', '--quiet'], { cwd });
  t.regex(
    store.stdout,
    /^x\.safetensors: 2 images, f32, .*\n[^]*source {4}x\.tsv, 2 rows, sha256 [0-9a-f]{64}\n/,
  );
  const image = await runCli(['show', 'x.safetensors', id], { cwd });
  t.is(image.stdout.trimEnd().split('\n').length, 38, 'the image, its 36 boxes and the summary');
  t.true(image.stdout.startsWith(`${id}  row 1, `));
  const data = resultOf(
    (await runCli(['show', 'x.safetensors', id, '--json', '--features'], { cwd })).stdout,
  );
  t.deepEqual(data.images[0]?.boxes, [...boxes]);
  t.deepEqual(data.images[0]?.features, [...features]);
  const none = await runCli(['show', 'x.safetensors', 'nobody'], { cwd });
  t.is(none.code, 1);
  t.regex(none.stderr, /the store has no such image/);
});

test('subset, merge and cast on the command line', async t => {
  const cwd = await makeTempFolder(t);
  await writeTsv(cwd, makeLines(3), 'x.tsv');
  await writeTsv(cwd, makeLines(1, 3), 'y.tsv');
  await runCli(['convert', 'x.tsv'], { cwd });
  await runCli(['convert', 'y.tsv'], { cwd });
  await writeFile(join(cwd, 'ids.txt'), `${makeSyntheticRow(2).img_id}\n`);
  const subset = await runCli(['subset', 'x.safetensors', '--ids', 'ids.txt', '-o', 'some'], { cwd });
  t.regex(
    subset.stdout,
    /^some\.safetensors: 1 images, 329\.2 kB, 2 left out; [^;]*; next: lxmert-data verify some\.safetensors\n$/,
  );
  const merge = await runCli(['merge', 'x.safetensors', 'y.safetensors', '-o', 'all'], { cwd });
  t.regex(merge.stdout, /^all\.safetensors: 4 images/);
  t.is((await runCli(['cast', 'all.safetensors', '--dtype', 'bf16', '-o', 'small'], { cwd })).code, 0);
  t.true(
    (await stat(join(cwd, 'small.safetensors'))).size < 0.6 * (await stat(join(cwd, 'all.safetensors'))).size,
  );
  t.regex((await runCli(['subset', 'x.safetensors', '-o', 'z'], { cwd })).stderr, /--ids with a list/);
  t.is((await runCli(['merge', 'x.safetensors', '-o', 'all'], { cwd })).code, 1, 'an existing store stays');
});

test('rows from a pipe become the store that the file becomes', async t => {
  const cwd = await makeTempFolder(t);
  const tsv = await writeTsv(cwd, makeLines(5), 'x.tsv');
  await runCli(['convert', 'x.tsv'], { cwd });
  const run = startCli(['convert', '-', '--out', 'piped'], { cwd, input: 'pipe' });
  createReadStream(tsv, { highWaterMark: 1000 }).pipe(run.child.stdin!);
  t.is((await run.result).code, 0);
  const dataOf = async (name: string): Promise<Buffer> => (await readFile(join(cwd, name))).subarray(32_768);
  t.true((await dataOf('piped.safetensors')).equals(await dataOf('x.safetensors')));
  const shown = await runCli(['show', 'piped.safetensors', '--json'], { cwd });
  t.regex(shown.stdout, new RegExp(`"name":"stdin.tsv","size":${(await stat(tsv)).size},`));
});

test('doctor ends quickly without a network, and says what to do about each thing', async t => {
  const data = await makeTempFolder(t);
  const { code, stdout } = await runCli(['doctor', '--data', data, '--json']);
  t.is(code, 0);
  const { findings } = resultOf(stdout);
  t.deepEqual(
    ['node', 'disk', 'python', 'docker', 'weights'].filter(
      name => !findings.some(({ check }) => check === name),
    ),
    [],
  );
  for (const { state, hint, check } of findings) t.true(state === 'ok' || hint !== undefined, check);
  const text = await runCli(['doctor', '--data', data, '--quiet']);
  t.regex(
    text.stdout,
    new RegExp(`lxmert-data fetch --data ${data} detector`),
    'what was asked for is printed with --quiet too',
  );
});

test('every command ends with one line: what, where, how long, and what to do next', async t => {
  const cwd = await makeTempFolder(t);
  await writeTsv(cwd, makeLines(2), 'x.tsv');
  await runCli(['convert', 'x.tsv'], { cwd });
  await mkdir(join(cwd, 'photos'));
  await writeFile(join(cwd, 'photos', 'a.jpg'), '');
  const extraction = ['extract', 'custom', '--images', 'photos', '--out', 'y.safetensors', '-w', 'untrained'];
  const dryRun = [...extraction, '--backend', 'embedded', '--dry-run'];
  const cases: readonly (readonly [args: readonly string[], line: RegExp])[] = [
    [['status'], /^data: 0 of \d+ files present; .*; next: lxmert-data fetch DATASET$/],
    [['doctor'], /^\d+ checks: \d+ ok, \d+ missing, 0 failed; /],
    [['show', 'x.safetensors'], /^x\.safetensors: described; .*; next: lxmert-data show x\.safetensors SYN/],
    [['show', 'x.safetensors', makeSyntheticRow(1).img_id], /^x\.safetensors: 1 of 2 images; .* inspect x/],
    [['fetch', '--list'], /^\d+ datasets, \d+ mirrors; .*; next: lxmert-data fetch DATASET --dry-run$/],
    [['fetch', 'vqa', '--kind', 'json', '-n'], /^5 of 5 files would be fetched; .*; next: the same without/],
    [['compare', 'x.safetensors', 'x.safetensors'], /^2 images compared; .*; next: lxmert-data inspect /],
    [['verify', 'x.safetensors'], /^2 images in one store verified; .*; next: lxmert-data inspect x/],
    [['verify', 'vqa', '--quick'], /^vqa: 7 files verified, WITH PROBLEMS; .*; next: lxmert-data fetch vqa$/],
    [dryRun, /^1 image would be extracted; .*; next: the same without --dry-run$/],
    [[...dryRun, '--shard', '1/2'], /^part 1\/2 would be extracted; .*; next: the same without --dry-run$/],
  ];
  for (const [args, line] of cases) {
    const { stdout, stderr } = await runCli(args, { cwd });
    const last = stdout.trimEnd().split('\n').at(-1) ?? '';
    t.regex(last, line, `${args.join(' ')}: ${stderr}`);
    t.regex(last, /; [\d.]+ m?s(,|;|$)/, args.join(' '));
  }
  const lacking = [...extraction.slice(0, -1), 'none.pth', '--backend', 'embedded', '--dry-run'];
  const { code, stdout } = await runCli(lacking, { cwd });
  t.is(code, 1);
  t.notRegex(stdout, /without --dry-run/, 'what would fail is not the next step');
});

test('what a verification found is never silent', async t => {
  const cwd = await makeTempFolder(t);
  await writeTsv(cwd, makeLines(2), 'x.tsv');
  await runCli(['convert', 'x.tsv'], { cwd });
  const good = await runCli(['verify', 'x.safetensors', '--quiet'], { cwd });
  t.like(good, { code: 0, stderr: '' });
  t.regex(good.stdout, /^x\.safetensors: 2 images, f32, intact\n/);
  const bytes = await readFile(join(cwd, 'x.safetensors'));
  bytes[bytes.length >> 1]! ^= 1;
  await writeFile(join(cwd, 'x.safetensors'), bytes);
  const damaged = await runCli(['verify', 'x.safetensors', '--quiet'], { cwd });
  t.like(damaged, { code: 1, stdout: '' });
  t.regex(damaged.stderr, /^x\.safetensors: 2 images, f32, DAMAGED\n[^]*what to do: convert it again/);
  const missing = await runCli(['verify', 'vqa', '--quiet'], { cwd });
  t.like(missing, { code: 1, stdout: '' });
  t.regex(missing.stderr, /^vqa: 7 problems\n[^]*\n {2}7 missing; what to do: lxmert-data fetch vqa\n$/);
  t.is(missing.stderr.match(/what to do/g)?.length, 1, 'what helps against all is said once');
  const both = await runCli(['verify', 'vqa', 'nlvr2', '--data', 'd'], { cwd });
  const next = 'next: lxmert-data fetch --data d vqa && lxmert-data fetch --data d nlvr2';
  t.true(both.stdout.trimEnd().endsWith(next), both.stdout);
});

test('commands in messages are named as this user must type them', t => {
  const text = 'run lxmert-data fetch vqa, then lxmert-data convert x.tsv; lxmert-data 0.1.0';
  t.is(nameCommandsAsTyped(text, { byNpm: false }), text);
  t.is(
    nameCommandsAsTyped(text, { byNpm: true }),
    'run npm run fetch -- vqa, then npm run convert -- x.tsv; lxmert-data 0.1.0',
  );
  t.is(
    nameCommandsAsTyped('lxmert-data status', { byNpm: true, data: "/a b's" }),
    String.raw`npm run status -- --data '/a b'\''s'`,
  );
  t.is(
    nameCommandsAsTyped('lxmert-data fetch --list', { byNpm: false, data: '/d' }),
    'lxmert-data fetch --data /d --list',
  );
});

testWithTools('bash completes commands, options, choices and datasets', ['bash'], async t => {
  const cwd = await makeTempFolder(t);
  const { stdout } = await runCli(['completion', 'bash']);
  const complete = (...words: string[]): string[] => {
    const line = words.map(word => `'${word}'`).join(' ');
    const script = `${stdout}\nCOMP_WORDS=(lxmert-data ${line}); COMP_CWORD=${words.length}; _lxmert_data; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync('bash', ['-c', script], { encoding: 'utf8', cwd }).trim().split('\n');
  };
  t.deepEqual(complete('val'), ['validate']);
  t.deepEqual(complete('convert', '--dt'), ['--dtype']);
  t.deepEqual(complete('convert', '--dtype', 'b'), ['bf16']);
  t.deepEqual(complete('verify', 'nl'), ['nlvr2']);
  t.deepEqual(complete('completion', 'f'), ['fish']);
});

for (const shell of ['zsh', 'fish'] as const) {
  testWithTools(`${shell} reads its completion script`, [shell], async t => {
    const { stdout } = await runCli(['completion', shell]);
    const script = join(await makeTempFolder(t), 'completion');
    await writeFile(script, stdout);
    const { status, stderr } = spawnSync(shell, ['-n', script], { encoding: 'utf8' });
    t.is(status, 0, stderr);
  });
}

test('a shell that is not known', async t => {
  const { code, stderr } = await runCli(['completion', 'tcsh']);
  t.is(code, 2);
  t.regex(stderr, /expected: bash, zsh, fish/);
});
