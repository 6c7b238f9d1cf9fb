import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { LxmertDataError } from '../../pipeline/errors.ts';
import type { StageContext } from '../../pipeline/events.ts';
import { decideOverlap } from '../../pipeline/fetch/disk-space.ts';
import { planFetch } from '../../pipeline/fetch/plan-fetch.ts';
import type { Asset, Manifest, Mirror, Source } from '../../pipeline/manifest/load.ts';
import { exportTsv } from '../../pipeline/stages/export-tsv.ts';
import { fetchData, previewFetch } from '../../pipeline/stages/fetch.ts';
import type { FetchOptions } from '../../pipeline/stages/fetch.ts';
import { storeBytesFor } from '../../pipeline/store/layout.ts';
import { makeLimit } from '../../pipeline/workers/limit.ts';
import { FAST_RETRY, makeTemporaryFolder } from '../helpers/downloads.ts';
import { startDriveServer } from '../helpers/drive-server.ts';
import { startFileServer } from '../helpers/file-server.ts';
import type { ServerFault, TestServer } from '../helpers/file-server.ts';
import { makeContext, makeLines } from '../helpers/rows.ts';
import { makeZip } from '../helpers/small-zip.ts';

const TSV = makeLines(3).join('');
const OTHER_TSV = makeLines(2, 10).join('');
const ZIP = makeZip({ 'somewhere/a_obj36.tsv': TSV });
const BOTH_ZIP = makeZip({ 'x/a_obj36.tsv': TSV, 'x/b_obj36.tsv': OTHER_TSV });
const VQA = JSON.stringify([{ img_id: 'i', question_id: 1, sent: 's', label: {} }]);
const TABLE = '["yes", ""]';

type Files = Record<string, Buffer | string>;

interface Case {
  readonly files?: Files;
  readonly faultOf?: (path: string) => ServerFault | undefined;
  readonly mirrors?: Record<string, Mirror>;
  readonly sources?: { json?: Source[]; a?: Source[]; b?: Source[] };
}

const plain = (base: string, more: Partial<Mirror> = {}): Mirror => ({
  provider: 'https',
  title: 'Plain',
  base,
  allow_http: true,
  manual: 'ask a friend',
  ...more,
});

function makeManifest(mirrors: Record<string, Mirror>, { json, a, b }: Case['sources'] = {}): Manifest {
  const features = (name: string, rows: number, sources: Source[]): Asset => ({
    kind: 'features',
    target: `feat/${name}_obj36`,
    rows,
    estimate: { zip_bytes: 10_000 },
    sources,
  });
  const member = (name: string): Source[] => [
    { mirror: 'first', get: 'zip-member', path: `${name}.zip`, member: `${name}_obj36.tsv` },
    { mirror: 'second', get: 'file', path: `${name}_obj36.tsv` },
  ];
  return {
    manifest_version: 1,
    mirrors,
    datasets: {
      set: {
        title: 'Set',
        common: ['table.json'],
        default_splits: ['train'],
        splits: { train: ['vqa/train.json', 'feat/a_obj36'], test: ['feat/b_obj36'] },
      },
    },
    image_sets: {},
    assets: {
      'table.json': {
        kind: 'table',
        target: 'table.json',
        schema: 'label2ans',
        records: 2,
        sources: [{ mirror: 'first', get: 'file', path: 'table.json' }],
      },
      'vqa/train.json': {
        kind: 'json',
        target: 'vqa/train.json',
        schema: 'vqa',
        records: 1,
        sources: json ?? [
          { mirror: 'first', get: 'file', path: 'train.json' },
          { mirror: 'second', get: 'file', path: 'train.json' },
        ],
      },
      'feat/a_obj36': features('a', 3, a ?? member('a')),
      'feat/b_obj36': features('b', 2, b ?? member('b')),
    },
  };
}

const ALL: Files = {
  '/1/table.json': TABLE,
  '/1/train.json': VQA,
  '/1/a.zip': ZIP,
  '/1/b.zip': makeZip({ 'b_obj36.tsv': OTHER_TSV }),
  '/2/train.json': VQA,
  '/2/a_obj36.tsv': TSV,
  '/2/b_obj36.tsv': OTHER_TSV,
};

async function setUp(t: ExecutionContext, value: Case = {}) {
  const files = value.files ?? ALL;
  const server: TestServer = await startFileServer(
    path => (files[path] === undefined ? undefined : { bytes: Buffer.from(files[path]) }),
    request => value.faultOf?.(request.path) ?? { kind: 'none' },
  );
  t.teardown(() => server.close());
  const dataRoot = join(await makeTemporaryFolder(t), 'data');
  const mirrors = value.mirrors ?? { first: plain(`${server.url}1/`), second: plain(`${server.url}2/`) };
  const context = makeContext();
  const options: FetchOptions = {
    datasets: ['set'],
    dataRoot,
    manifest: makeManifest(mirrors, value.sources),
    environment: {},
    transfer: { retry: FAST_RETRY, watchdog: { idleMs: 300, minBytes: 10 } },
  };
  const lock = async () =>
    (
      JSON.parse(await readFile(join(dataRoot, 'lxmert-data.lock.json'), 'utf8')) as {
        assets: Record<string, { sha256: string; mirror: string }>;
      }
    ).assets;
  return { server, dataRoot, options, context, lock };
}

async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

const sha256 = (text: Buffer | string): string => createHash('sha256').update(text).digest('hex');
const DEFAULT_FILES = ['feat/a_obj36.safetensors', 'lxmert-data.lock.json', 'table.json', 'vqa/train.json'];

test('a dataset ends as stores and JSON, locked, with nothing left over', async t => {
  const { options, context, dataRoot, lock, server } = await setUp(t);
  const result = await fetchData(options, context);
  t.deepEqual(result, {
    ok: true,
    fetched: ['table.json', 'vqa/train.json', 'feat/a_obj36'],
    present: [],
    failed: [],
    unusable: [],
  });
  t.deepEqual(await listFiles(dataRoot), DEFAULT_FILES);
  t.is(await readFile(join(dataRoot, 'vqa/train.json'), 'utf8'), VQA);
  await exportTsv(
    { store: join(dataRoot, 'feat/a_obj36.safetensors'), out: join(dataRoot, 'x.tsv') },
    context,
  );
  t.is(await readFile(join(dataRoot, 'x.tsv'), 'utf8'), TSV);
  const entries = await lock();
  t.is(
    entries['feat/a_obj36']?.sha256,
    sha256(TSV),
    'features are locked by their rows, whichever way they came',
  );
  t.is(entries['vqa/train.json']?.sha256, sha256(VQA));

  const before = server.requests.length;
  const again = await fetchData(options, context);
  t.deepEqual(again.present, ['table.json', 'vqa/train.json', 'feat/a_obj36']);
  t.is(server.requests.length, before, 'what is in place is not asked for again');
});

const PAGE = '<!DOCTYPE html><title>Maintenance</title>';
async function testNextMirror(t: ExecutionContext, value: Case, reason: RegExp) {
  const { options, context, dataRoot, lock } = await setUp(t, value);
  const result = await fetchData({ ...options, kinds: ['features'] }, context);
  t.true(result.ok);
  t.is((await lock())['feat/a_obj36']?.mirror, 'second');
  t.deepEqual(await listFiles(dataRoot), ['feat/a_obj36.safetensors', 'lxmert-data.lock.json']);
  const notes = context.events.flatMap(event => (event.event === 'note' ? [event.message] : []));
  t.true(
    notes.some(note => note.startsWith('feat/a_obj36: first left:') && reason.test(note)),
    notes.join('\n'),
  );
}
const faultFirst = (fault: ServerFault) => (path: string) => (path.startsWith('/1/') ? fault : undefined);
const withFirst = (zip: Buffer): Case => ({ files: { ...ALL, '/1/a.zip': zip } });
test(
  'a mirror that is down',
  testNextMirror,
  { faultOf: faultFirst({ kind: 'status', status: 503 }) },
  /503/,
);
test(
  'a mirror that lacks the file',
  testNextMirror,
  { faultOf: faultFirst({ kind: 'status', status: 404 }) },
  /404/,
);
test(
  'a mirror with a page',
  testNextMirror,
  { faultOf: faultFirst({ kind: 'page', type: 'text/html', page: PAGE }) },
  /"Maintenance"/,
);
test('a mirror that resets', testNextMirror, { faultOf: faultFirst({ kind: 'reset' }) }, /127\.0\.0\.1/);
test('a zip without the member', testNextMirror, withFirst(makeZip({ 'c.tsv': TSV })), /no such member/);
test(
  'a zip with too few rows',
  testNextMirror,
  withFirst(makeZip({ 'a_obj36.tsv': makeLines(2).join('') })),
  /2 rows, expected 3/,
);
test(
  'a zip with a broken row',
  testNextMirror,
  withFirst(makeZip({ 'a_obj36.tsv': TSV.slice(0, -900) })),
  /problems in its rows/,
);
test('a zip with a flipped bit', testNextMirror, withFirst(flip(ZIP, 100_000)), /unpacked|damaged|rows/);
test('a cut zip', testNextMirror, withFirst(ZIP.subarray(0, -30)), /cannot be read/);

function flip(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at]! ^= 1;
  return copy;
}

test('when no mirror has it, every mirror is listed with its reason, and the rest is fetched', async t => {
  const { options, context, dataRoot } = await setUp(t, {
    files: { ...ALL, '/2/a_obj36.tsv': 'rubbish' },
    faultOf: path => (path === '/1/a.zip' ? { kind: 'status', status: 404 } : undefined),
  });
  const result = await fetchData(options, context);
  t.false(result.ok);
  t.deepEqual(result.fetched, ['table.json', 'vqa/train.json']);
  const [failed] = result.failed;
  t.is(failed?.name, 'feat/a_obj36');
  t.deepEqual(
    failed?.reasons.map(({ mirror, reason }) => [
      mirror,
      /404/.test(reason),
      /begins with "rubbish"/.test(reason),
    ]),
    [
      ['first', true, false],
      ['second', false, true],
    ],
  );
  t.deepEqual(failed?.manual, ['Plain: ask a friend']);
  t.false(existsSync(join(dataRoot, 'feat/a_obj36.safetensors')));
});

test('a dead mirror comes last and says so', async t => {
  const server = await startFileServer(() => undefined);
  t.teardown(() => server.close());
  const dead = { since: '2020-12', evidence: 'host gone' };
  const { options, context } = await setUp(t, {
    mirrors: { first: plain(`${server.url}1/`, { dead }), second: plain(`${server.url}2/`) },
  });
  const result = await fetchData({ ...options, kinds: ['features'] }, context);
  t.deepEqual(
    result.failed[0]?.reasons.map(({ mirror, reason }) => [
      mirror,
      /gone since 2020-12: host gone/.test(reason),
    ]),
    [
      ['second', false],
      ['first', true],
    ],
  );
});

test('a zip that holds several files is downloaded once', async t => {
  const shared = (name: string): Source[] => [
    { mirror: 'first', get: 'zip-member', path: 'both.zip', member: `${name}_obj36.tsv` },
  ];
  const { options, context, dataRoot, server } = await setUp(t, {
    files: { '/1/both.zip': BOTH_ZIP, '/1/table.json': TABLE, '/1/train.json': VQA },
    sources: { a: shared('a'), b: shared('b') },
  });
  const result = await fetchData({ ...options, splits: ['all'] }, context);
  t.true(result.ok);
  t.is(server.requests.filter(request => request.path === '/1/both.zip').length, 1);
  t.deepEqual(await listFiles(dataRoot), [...DEFAULT_FILES, 'feat/b_obj36.safetensors'].sort());
});

async function testKeep(t: ExecutionContext, keep: 'zip' | 'tsv', file: string, content: Buffer | string) {
  const { options, context, dataRoot } = await setUp(t);
  t.true((await fetchData({ ...options, keep }, context)).ok);
  t.true((await readFile(join(dataRoot, file))).equals(Buffer.from(content)));
}
test('--keep zip', testKeep, 'zip', 'feat/a.zip', ZIP);
test('--keep tsv', testKeep, 'tsv', 'feat/a_obj36.tsv', TSV);

test('the lock is enforced on every later copy', async t => {
  const { options, context, dataRoot, lock } = await setUp(t);
  await fetchData(options, context);
  const before = await lock();
  await rm(join(dataRoot, 'vqa/train.json'));
  await rm(join(dataRoot, 'feat/a_obj36.safetensors'));
  const other = await setUp(t, {
    files: {
      ...ALL,
      '/1/train.json': VQA.replace('"s"', '"t"'),
      '/1/a.zip': makeZip({ 'a_obj36.tsv': makeLines(3, 50).join('') }),
    },
  });
  const result = await fetchData({ ...other.options, dataRoot }, context);
  t.true(result.ok, 'the second mirror still has the locked copies');
  t.is(await readFile(join(dataRoot, 'vqa/train.json'), 'utf8'), VQA);
  t.deepEqual(await lock(), before);
  const notes = context.events.flatMap(event => (event.event === 'note' ? [event.message] : [])).join('\n');
  t.regex(notes, /feat\/a_obj36: first left: not the locked copy/);
  t.regex(notes, /vqa\/train\.json: first left: .*another one: sha256/);
});

test('--frozen refuses what is not locked', async t => {
  const { options, context, dataRoot } = await setUp(t);
  const error = await t.throwsAsync(fetchData({ ...options, frozen: true }, context), {
    instanceOf: LxmertDataError,
  });
  t.is(error.code, 'ERR_LOCK');
  t.regex(error.message, /not in it: table\.json, vqa\/train\.json, feat\/a_obj36/);
  await fetchData(options, context);
  await rm(join(dataRoot, 'table.json'));
  t.deepEqual((await fetchData({ ...options, frozen: true }, context)).fetched, ['table.json']);
});

test('a damaged lock file is refused', async t => {
  const { options, context, dataRoot } = await setUp(t);
  await mkdir(dataRoot, { recursive: true });
  await writeFile(
    join(dataRoot, 'lxmert-data.lock.json'),
    '{"lock_version": 1, "artefacts": {"x": {"size": "1"}}}',
  );
  await t.throwsAsync(fetchData(options, context), {
    message: /lxmert-data\.lock\.json: the lock file is damaged/,
  });
});

test('a file in place that is not the locked one is not overwritten', async t => {
  const { options, context, dataRoot } = await setUp(t);
  await fetchData(options, context);
  await writeFile(join(dataRoot, 'vqa/train.json'), '[]');
  const result = await fetchData(options, context);
  t.deepEqual(
    result.failed.map(({ name, reasons }) => [name, reasons[0]?.reason]),
    [['vqa/train.json', 'the file in place is not the locked one']],
  );
  t.is(await readFile(join(dataRoot, 'vqa/train.json'), 'utf8'), '[]');
});

test('files put in place by hand are checked and locked', async t => {
  const { options, context, dataRoot, lock, server } = await setUp(t);
  await mkdir(join(dataRoot, 'vqa'), { recursive: true });
  await writeFile(join(dataRoot, 'vqa/train.json'), VQA);
  await writeFile(join(dataRoot, 'table.json'), '["only one"]');
  const result = await fetchData({ ...options, kinds: ['json'] }, context);
  t.deepEqual(result.present, ['vqa/train.json']);
  t.regex(result.failed[0]?.reasons[0]?.reason ?? '', /1 records, expected 2/);
  t.like((await lock())['vqa/train.json'], { mirror: 'in place', location: 'vqa/train.json' });
  t.is(server.requests.length, 0);
});

test('a second fetch on the same folder waits its turn', async t => {
  const { options, context, dataRoot } = await setUp(t, {
    faultOf: path => (path === '/1/table.json' ? { kind: 'drip' } : undefined),
  });
  const ends = await Promise.allSettled([fetchData(options, context), fetchData(options, context)]);
  const refused = ends.flatMap(end => (end.status === 'rejected' ? [String(end.reason)] : []));
  t.is(refused.length, 1, 'whichever came second');
  t.regex(refused[0]!, /another fetch is using/);
  await writeFile(join(dataRoot, '.fetch-running'), `${hostname()} 1\n`);
  await t.throwsAsync(fetchData(options, context), { message: /another fetch is using[^]*process 1 on/ });
  await writeFile(join(dataRoot, '.fetch-running'), 'another-host 999999999\n');
  const hoursAgo = Date.now() / 1000 - 3 * 3600;
  await utimes(join(dataRoot, '.fetch-running'), hoursAgo, hoursAgo);
  await t.throwsAsync(fetchData(options, context), {
    message:
      /claimed 3 hours ago by process 999999999 on another-host[^]*take over by deleting .*\.fetch-running/,
  });
  await writeFile(join(dataRoot, '.fetch-running'), `${hostname()} 999999999\n`);
  t.true((await fetchData(options, context)).ok, 'the claim of a killed process does not count');
});

test('the plan names files, mirrors, bytes and disk, and changes nothing', async t => {
  const { options, dataRoot, server } = await setUp(t);
  const plan = await previewFetch(options, makeContext());
  t.deepEqual(
    plan.assets.map(({ file, action, sources }) => [file, action, sources.map(source => source.mirror)]),
    [
      ['table.json', 'fetch', ['first']],
      ['vqa/train.json', 'fetch', ['first', 'second']],
      ['feat/a_obj36.safetensors', 'fetch', ['first', 'second']],
    ],
  );
  t.is(plan.downloadBytes, 10_000);
  t.is(plan.diskPeakBytes, 10_000 + storeBytesFor(3, 'f32'));
  t.is(plan.unknownSizes, 2);
  t.true((plan.diskFreeBytes ?? 0) > 0);
  t.false(existsSync(dataRoot));
  t.is(server.requests.length, 0);
});

const THREE: Case = {
  files: { ...ALL, '/1/c.zip': makeZip({ 'c_obj36.tsv': makeLines(1, 20).join('') }) },
};

/** Three feature files from three zips; the conversion of the first waits for `gate`. */
async function setUpThree(t: ExecutionContext, gate: () => Promise<void>, faultOf?: Case['faultOf']) {
  const made = await setUp(t, faultOf === undefined ? THREE : { ...THREE, faultOf });
  const { manifest } = made.options;
  const c: Asset = {
    kind: 'features',
    target: 'feat/c_obj36',
    rows: 1,
    estimate: { zip_bytes: 20_000 },
    sources: [{ mirror: 'first', get: 'zip-member', path: 'c.zip', member: 'c_obj36.tsv' }],
  };
  const splits = { train: ['feat/a_obj36', 'feat/b_obj36', 'feat/c_obj36'] };
  const limit = makeLimit(1);
  let isFirst = true;
  const options: FetchOptions = {
    ...made.options,
    manifest: {
      ...manifest,
      datasets: { set: { title: 'Set', common: [], default_splits: ['train'], splits } },
      assets: { ...manifest.assets, 'feat/c_obj36': c },
    },
    placing: task =>
      limit(async () => {
        const isGated = isFirst;
        isFirst = false;
        if (isGated) await gate();
        return await task();
      }),
  };
  return { ...made, options };
}

test('the next file is downloaded while one is converted, and no other', async t => {
  const secondIsHere = Promise.withResolvers<undefined>();
  let atGate: string[] = [];
  let firstWasPlaced: boolean | undefined;
  const made = await setUpThree(
    t,
    async () => {
      await secondIsHere.promise;
      atGate = made.server.requests.map(({ path }) => path);
    },
    path => {
      if (path === '/1/c.zip') firstWasPlaced = existsSync(join(made.dataRoot, 'feat/a_obj36.safetensors'));
      return undefined;
    },
  );
  const { options, dataRoot } = made;
  const context: StageContext = {
    ...made.context,
    emit(event) {
      const isWhole = event.event === 'progress' && event.stage === 'fetch' && event.done === event.total;
      if (isWhole && event.input === 'feat/b_obj36') secondIsHere.resolve(undefined);
    },
  };
  const result = await fetchData(options, context);
  t.true(result.ok);
  t.deepEqual(result.fetched, ['feat/a_obj36', 'feat/b_obj36', 'feat/c_obj36']);
  t.deepEqual(atGate, ['/1/a.zip', '/1/b.zip']);
  t.is(firstWasPlaced, true, 'the third file waits until the first one is in place');
  t.false(existsSync(join(dataRoot, '.downloads')));
});

test('a conversion that fails for our own fault stops the download beside it', async t => {
  const secondHasBegun = Promise.withResolvers<undefined>();
  const { options, context, dataRoot, server } = await setUpThree(
    t,
    async () => {
      await secondHasBegun.promise;
      throw new LxmertDataError('ERR_NO_SPACE', { what: 'not enough disk space' });
    },
    path => {
      if (path === '/1/b.zip') secondHasBegun.resolve(undefined);
      return undefined;
    },
  );
  await t.throwsAsync(fetchData(options, context), { code: 'ERR_NO_SPACE' });
  t.false(server.requests.some(({ path }) => path === '/1/c.zip'));
  t.false(existsSync(join(dataRoot, 'feat/b_obj36.safetensors')));
  t.true((await fetchData({ ...options, placing: undefined }, context)).ok, 'a later run goes on');
});

test('a bad conversion falls back to the next mirror while another file is under way', async t => {
  const broken = makeZip({ 'a_obj36.tsv': TSV.slice(0, -2000) });
  const { options, context, lock } = await setUp(t, { files: { ...ALL, '/1/a.zip': broken } });
  const result = await fetchData({ ...options, splits: ['all'] }, context);
  t.true(result.ok, JSON.stringify(result.failed));
  t.is((await lock())['feat/a_obj36']?.mirror, 'second');
});

test('the disk plan counts the file ahead', t => {
  const manifest = makeManifest({ first: plain('https://x/'), second: plain('https://y/') });
  const names = ['feat/a_obj36', 'feat/b_obj36'];
  const nothing = { partialBytes: 0 };
  const states = { 'feat/a_obj36': nothing, 'feat/b_obj36': { partialBytes: 4000 } };
  const plan = planFetch(manifest, { names, keep: 'none', lock: {}, states });
  const [a, b] = [storeBytesFor(3, 'f32'), storeBytesFor(2, 'f32')];
  t.is(plan.diskPeakBytes, a + 6000 + b);
  t.is(plan.overlappedPeakBytes, a + 6000 + b);
  const keeping = planFetch(manifest, { names, keep: 'zip', lock: {}, states });
  t.is(keeping.overlappedPeakBytes, 10_000 + a + 6000 + b);
  const json = { ...manifest.assets['vqa/train.json']!, size: 5_000_000 } as Asset;
  const withJson = { ...manifest, assets: { ...manifest.assets, 'vqa/train.json': json } };
  const mixed = planFetch(withJson, {
    names: ['feat/a_obj36', 'vqa/train.json'],
    keep: 'none',
    lock: {},
    states: { ...states, 'vqa/train.json': nothing },
  });
  t.is(mixed.diskPeakBytes, a + 5_000_000);
  t.is(mixed.overlappedPeakBytes, 10_000 + a + 5_000_000);
  const small = { ...plan, diskPeakBytes: 50, overlappedPeakBytes: 80 };
  t.true(decideOverlap(small, 80, '/data'));
  t.false(decideOverlap(small, 79, '/data'));
  t.throws(() => decideOverlap(small, 49, '/data'), { message: /not enough disk space[^]*49 bytes free/ });
});

test('partial files of mirrors that were left, or that nobody names any more, go when the file is in place', async t => {
  const { options, context, dataRoot } = await setUp(t);
  const stale = [
    'second/a_obj36.tsv.partial',
    'second/a_obj36.tsv.partial-journal',
    'gone/deep/a.zip.partial',
    'gone/deep/a.zip.partial-journal',
  ];
  const wanted = ['first/b.zip.partial', 'gone/deep/b.zip.partial', 'gone/other.bin'];
  for (const file of [...stale, ...wanted]) {
    await mkdir(dirname(join(dataRoot, '.downloads', file)), { recursive: true });
    await writeFile(join(dataRoot, '.downloads', file), 'x');
  }
  t.true((await fetchData(options, context)).ok);
  t.deepEqual(await listFiles(join(dataRoot, '.downloads')), wanted.toSorted());
});

test('failed tries leave no empty folders and no empty files', async t => {
  const { options, context, dataRoot } = await setUp(t, { files: {} });
  const result = await fetchData(options, context);
  t.is(result.failed.length, 3);
  t.false(
    existsSync(join(dataRoot, '.downloads')),
    (await readdir(dataRoot, { recursive: true })).join(', '),
  );
});

test('unknown datasets and splits are refused with what there is', async t => {
  const { options } = await setUp(t);
  await t.throwsAsync(previewFetch({ ...options, datasets: ['nothing'] }, makeContext()), {
    message: /unknown dataset "nothing"[^]*set/,
  });
  await t.throwsAsync(previewFetch({ ...options, splits: ['dev'] }, makeContext()), {
    message: /no chosen dataset has a split "dev"/,
  });
});

test('Google Drive takes over when the server is gone', async t => {
  const id = (name: string): string => name.padEnd(28, 'x');
  const drive = await startDriveServer({
    id: id('root'),
    name: 'root',
    folders: [
      {
        id: id('zips'),
        name: 'zips',
        files: [{ id: id('zip'), name: 'all.zip', bytes: BOTH_ZIP, isLarge: true, cutAfter: 300_000 }],
      },
    ],
  });
  t.teardown(() => drive.close());
  const { options, context, lock } = await setUp(t, {
    mirrors: {
      first: plain('http://127.0.0.1:1/'),
      second: {
        provider: 'google-drive',
        title: 'Drive',
        base: drive.drive,
        allow_http: true,
        folder: id('root'),
      },
    },
    sources: {
      a: [
        { mirror: 'first', get: 'zip-member', path: 'a.zip', member: 'a_obj36.tsv' },
        { mirror: 'second', get: 'zip-member', path: 'zips/all.zip', member: 'a_obj36.tsv' },
      ],
    },
  });
  t.true((await fetchData({ ...options, kinds: ['features'] }, context)).ok);
  t.is((await lock())['feat/a_obj36']?.sha256, sha256(TSV));
});

async function makeOwnFolder(t: ExecutionContext, files: Files): Promise<string> {
  const folder = await makeTemporaryFolder(t);
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return folder;
}

async function testFrom(
  t: ExecutionContext,
  files: Files,
  fetched: string[],
  more: Partial<FetchOptions> = {},
) {
  const from = await makeOwnFolder(t, files);
  const { options, context, dataRoot, server } = await setUp(t);
  const result = await fetchData({ ...options, datasets: [], from, ...more }, context);
  t.deepEqual([result.ok, [...result.fetched].sort()], [true, fetched]);
  t.is(server.requests.length, 0);
  if (fetched.includes('feat/a_obj36')) {
    const out = join(dataRoot, 'x.tsv');
    await exportTsv({ store: join(dataRoot, 'feat/a_obj36.safetensors'), out }, context);
    t.is(await readFile(out, 'utf8'), TSV);
  }
  for (const [name, content] of Object.entries(files)) {
    t.true((await readFile(join(from, name))).equals(Buffer.from(content)), `${name} is as the user left it`);
  }
}
const half = Math.floor(ZIP.length / 2);
test('--from: a zip', testFrom, { 'Downloads/whatever.zip': ZIP }, ['feat/a_obj36']);
test(
  '--from: parts of a zip',
  testFrom,
  { 'a.zip.aa': ZIP.subarray(0, 100), 'a.zip.ab': ZIP.subarray(100, half), 'a.zip.ac': ZIP.subarray(half) },
  ['feat/a_obj36'],
);
test(
  '--from: numbered parts beyond nine',
  testFrom,
  Object.fromEntries(
    Array.from({ length: 12 }, (_, i) => [
      `a.zip.${i}`,
      ZIP.subarray(i * 1000, i === 11 ? undefined : (i + 1) * 1000),
    ]),
  ),
  ['feat/a_obj36'],
);
test('--from: a TSV', testFrom, { 'deep/er/a_obj36.tsv': TSV }, ['feat/a_obj36']);
test('--from: one zip with two', testFrom, { 'mscoco.zip': BOTH_ZIP }, ['feat/a_obj36', 'feat/b_obj36']);
test(
  '--from: JSON and tables, beside things that are not needed',
  testFrom,
  { 'train.json': VQA, 'table.json': TABLE, 'notes.txt': 'x', 'x.zip': 'no zip' },
  ['table.json', 'vqa/train.json'],
);
test(
  '--from: only what is asked for',
  testFrom,
  { 'both.zip': BOTH_ZIP, 'train.json': VQA, 'table.json': TABLE },
  ['feat/a_obj36'],
  { datasets: ['set'], kinds: ['features'] },
);

async function testFromFailure(t: ExecutionContext, files: Files, name: string, reason: RegExp) {
  const from = await makeOwnFolder(t, files);
  const { options, context, dataRoot } = await setUp(t);
  const result = await fetchData({ ...options, from }, context);
  const failed = result.failed.find(failure => failure.name === name);
  t.regex(failed?.reasons[0]?.reason ?? '', reason);
  t.deepEqual(failed?.manual, ['Plain: ask a friend']);
  t.false(existsSync(join(dataRoot, 'feat/a_obj36.safetensors')));
}
test(
  '--from: a missing part',
  testFromFailure,
  { 'a.zip.aa': ZIP.subarray(0, 100) },
  'feat/a_obj36',
  /no file in this folder holds it/,
);
test(
  '--from: a missing part in the middle',
  testFromFailure,
  { 'a.zip.aa': ZIP.subarray(0, 50_000), 'a.zip.ac': ZIP.subarray(half) },
  'feat/a_obj36',
  /member|unpacked|damaged|holds it/,
);
test(
  '--from: a truncated TSV',
  testFromFailure,
  { 'a_obj36.tsv': TSV.slice(0, -2000) },
  'feat/a_obj36',
  /problems in its rows/,
);
test(
  '--from: too few records',
  testFromFailure,
  { 'vqa/train.json': '[]' },
  'vqa/train.json',
  /0 records, expected 1/,
);

const DEV_JSON = fileURLToPath(new URL('../../../shared/samples/nlvr2/dev.json', import.meta.url));
(existsSync(DEV_JSON) ? test : test.skip)('an asset is made from the official raw file', async t => {
  const { options, context, dataRoot, lock } = await setUp(t, {
    files: { ...ALL, '/1/dev.json': await readFile(DEV_JSON) },
  });
  const manifest: Manifest = {
    ...options.manifest,
    datasets: { set: { title: 's', common: [], default_splits: ['v'], splits: { v: ['nlvr2/valid.json'] } } },
    assets: {
      'nlvr2/valid.json': {
        kind: 'json',
        target: 'nlvr2/valid.json',
        schema: 'nlvr2',
        records: 6982,
        sources: [
          { mirror: 'first', get: 'raw', path: 'dev.json', make: 'nlvr2', split: 'valid', size: 3_762_423 },
        ],
      },
    },
  };
  t.true((await fetchData({ ...options, manifest }, context)).ok);
  t.is(
    (await lock())['nlvr2/valid.json']?.sha256,
    '1de87ab7cd82b565b11bd3b56f7f61e4523b4f2acc47ec31b4f54a149b73583d',
  );
  t.deepEqual(await listFiles(dataRoot), ['lxmert-data.lock.json', 'nlvr2/valid.json']);
});
