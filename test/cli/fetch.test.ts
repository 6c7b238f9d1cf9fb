import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { runCli, startCli } from '../helpers/cli.ts';
import { startFileServer } from '../helpers/file-server.ts';
import type { ServerFault } from '../helpers/file-server.ts';
import { hasNginx, startNginx } from '../helpers/nginx.ts';
import { makeLines } from '../helpers/rows.ts';
import { makeZip } from '../helpers/small-zip.ts';
import { makeTempFolder } from '../helpers/temp.ts';

// The real manifest, with the counts of small files and with the server in the place of the university's.
const ROWS = 8;
const RECORDS = [
  { img_id: 'a', question_id: 1, sent: 's' },
  { img_id: 'b', question_id: 2, sent: 't' },
];
const ZIP = makeZip({ 'valid_obj36.tsv': makeLines(ROWS).join('') });
const FILES: Readonly<Record<string, Buffer>> = {
  'lxmert_data/vqa/train.json': Buffer.from(JSON.stringify(RECORDS)),
  'lxmert_data/nlvr2_imgfeat/valid_obj36.zip': ZIP,
};
const OVERRIDES = {
  manifest_version: 1,
  assets: { 'vqa/train.json': { records: 2 }, 'nlvr2_imgfeat/valid_obj36': { rows: ROWS } },
  datasets: {
    small: {
      title: 'Small',
      common: [],
      default_splits: ['train'],
      splits: { train: ['vqa/train.json', 'nlvr2_imgfeat/valid_obj36'] },
    },
  },
};

async function makeWords(t: ExecutionContext, url: string): Promise<{ words: string[]; data: string }> {
  const folder = await makeTempFolder(t);
  const manifest = join(folder, 'own.json');
  await writeFile(manifest, JSON.stringify(OVERRIDES));
  const data = join(folder, 'data');
  const common = ['--data', data, '--manifest', manifest, '--mirror', 'unc', '--base-url', `unc=${url}`];
  return { words: ['fetch', 'small', ...common], data };
}

async function checkDone(t: ExecutionContext, data: string): Promise<void> {
  t.deepEqual(JSON.parse(await readFile(join(data, 'vqa/train.json'), 'utf8')), RECORDS);
  t.true((await stat(join(data, 'nlvr2_imgfeat/valid_obj36.safetensors'))).size > ROWS * 296_000);
  t.deepEqual((await readdir(data)).sort(), ['lxmert-data.lock.json', 'nlvr2_imgfeat', 'vqa']);
}

(hasNginx ? test : test.skip)('a dataset from a real nginx', async t => {
  const nginx = await startNginx(await makeTempFolder(t));
  t.teardown(() => nginx.stop());
  for (const [name, bytes] of Object.entries(FILES)) {
    await mkdir(dirname(join(nginx.root, name)), { recursive: true });
    await writeFile(join(nginx.root, name), bytes);
  }
  const { words, data } = await makeWords(t, nginx.url);
  const { code, stderr, stdout } = await runCli(words);
  t.is(code, 0, stderr);
  t.regex(stdout, /2 fetched, 0 in place before/);
  await checkDone(t, data);
});

test('fetch killed with SIGKILL at any point goes on and ends right', async t => {
  let isSlow = true;
  const server = await startFileServer(
    path => {
      const bytes = FILES[path.slice(1)];
      return bytes === undefined ? undefined : { bytes };
    },
    (request): ServerFault =>
      isSlow && request.path.endsWith('.zip') ? { kind: 'stall', bytes: 1_600_000 } : { kind: 'none' },
  );
  t.teardown(() => server.close());
  const { words, data } = await makeWords(t, server.url);
  const partial = join(data, '.downloads/unc/lxmert_data/nlvr2_imgfeat/valid_obj36.zip.partial');
  const first = startCli(words);
  while (!existsSync(partial) || (await stat(partial)).size < 1_040_000) await sleep(10);
  first.child.kill('SIGKILL');
  await first.result;
  t.true(existsSync(join(data, 'vqa/train.json')));
  isSlow = false;
  // Killed again and again, a little later each time, until a run is quick enough to end.
  let code: number | null = null;
  for (let lifeMs = 300; code !== 0 && lifeMs < 20_000; lifeMs += 300) {
    const run = startCli(words);
    const timer = setTimeout(() => run.child.kill('SIGKILL'), lifeMs);
    ({ code } = await run.result);
    clearTimeout(timer);
  }
  await checkDone(t, data);
  const ranges = server.requests
    .filter(request => request.path.endsWith('.zip'))
    .map(request => request.range);
  t.regex(ranges[1] ?? '', /^bytes=[1-9]/, 'the second run asks only for what is missing');
});

test('the exit code and the message when nothing can be had', async t => {
  const server = await startFileServer(() => undefined);
  t.teardown(() => server.close());
  const { words } = await makeWords(t, server.url);
  const { code, stderr, stdout } = await runCli(words);
  t.is(code, 1);
  t.regex(
    stderr,
    /vqa\/train\.json could not be downloaded\n {2}unc \(lxmert_data\/vqa\/train\.json\): the server answers 404/,
  );
  const address = new URL('lxmert_data/vqa/train.json', server.url).href;
  t.true(
    stderr.includes(`by hand: UNC Computer Science, the authors' own server: open ${address} in a browser`),
  );
  t.regex(stdout, /0 fetched, 0 in place before, 2 could not be downloaded/);
});

test('--dry-run, --list and wrong words', async t => {
  const { words, data } = await makeWords(t, 'http://127.0.0.1:1/');
  const plan = await runCli([...words, '--dry-run']);
  t.is(plan.code, 0);
  t.regex(
    plan.stdout,
    /to fetch {2}nlvr2_imgfeat\/valid_obj36\.safetensors, about 1\.78 GB\n {2}1\. from unc/,
  );
  t.regex(plan.stdout, /disk: about .* needed at the peak, .* free/);
  t.false(existsSync(data));
  const list = await runCli(['fetch', '--list', '--json']);
  const event = JSON.parse(list.stdout) as { datasets: Record<string, unknown> };
  t.deepEqual(Object.keys(event.datasets), [
    'vqa',
    'gqa',
    'nlvr2',
    'pretrain',
    'weights',
    'detector',
    'vqa-official',
    'images',
  ]);
  t.is((await runCli(['fetch', 'vqb'])).code, 2);
  t.is((await runCli(['fetch'])).code, 2);
  t.is((await runCli(['fetch', 'vqa', '--mirror', 'moon'])).code, 2);
});

test('make-json on the command line', async t => {
  const folder = await makeTempFolder(t);
  await writeFile(
    join(folder, 'dev.json'),
    '{"identifier": "dev-1-0-0", "label": "True", "sentence": "s"}\n',
  );
  const { code, stdout } = await runCli([
    'make-json',
    'nlvr2',
    '--raw',
    folder,
    '--data',
    join(folder, 'data'),
  ]);
  t.is(code, 0);
  t.regex(stdout, /data\/nlvr2\/valid\.json: 1 records/);
  t.is((await runCli(['make-json', 'nlvr2'])).code, 2);
});
