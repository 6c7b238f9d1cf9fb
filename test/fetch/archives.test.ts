import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { type Asset, loadManifest, type Manifest } from '../../pipeline/manifest/load.ts';
import { fetchData, type FetchResult } from '../../pipeline/stages/fetch.ts';
import { FAST_RETRY, makeTemporaryFolder } from '../helpers/downloads.ts';
import { startFileServer } from '../helpers/file-server.ts';
import { makeContext } from '../helpers/rows.ts';
import { makeZip } from '../helpers/small-zip.ts';

const ZIP = makeZip({ 'train2014/a.jpg': 'a', 'train2014/b.jpg': 'b' });
const SHA256 = createHash('sha256').update(ZIP).digest('hex');
const OTHER = '0'.repeat(64);

async function fetchArchive(
  t: ExecutionContext,
  facts: Partial<Extract<Asset, { kind: 'archive' }>>,
): Promise<{ result: FetchResult; data: string; messages: string[] }> {
  const data = await makeTemporaryFolder(t);
  const server = await startFileServer(path => (path === '/zips/train2014.zip' ? { bytes: ZIP } : undefined));
  t.teardown(() => server.close());
  const manifest: Manifest = {
    manifest_version: 1,
    mirrors: { coco: { provider: 'https', title: 'COCO', base: server.url, allow_http: true } },
    datasets: {
      images: {
        title: 'Images',
        common: [],
        default_splits: ['train'],
        splits: { train: ['images/train2014.zip'] },
      },
    },
    image_sets: {},
    assets: {
      'images/train2014.zip': {
        kind: 'archive',
        target: 'images/train2014.zip',
        ...facts,
        sources: [{ mirror: 'coco', get: 'file', path: 'zips/train2014.zip' }],
      },
    },
  };
  const context = makeContext();
  const result = await fetchData(
    { datasets: ['images'], dataRoot: data, manifest, environment: {}, transfer: { retry: FAST_RETRY } },
    context,
  );
  const messages = context.events.flatMap(event => ('message' in event ? [String(event.message)] : []));
  return { result, data, messages };
}

test('an official zip is kept as it is and locked', async t => {
  const { result, data, messages } = await fetchArchive(t, { size: ZIP.length, sha256: SHA256, files: 2 });
  t.true(result.ok);
  t.deepEqual(await readFile(join(data, 'images/train2014.zip')), ZIP);
  t.true((await readFile(join(data, 'lxmert-data.lock.json'), 'utf8')).includes(SHA256));
  t.false(messages.some(message => message.includes('edition')));
});

test('a hash that independent lists agree on refuses, one of a single list is reported', async t => {
  const refused = await fetchArchive(t, { sha256: OTHER });
  t.false(refused.result.ok);
  const reported = await fetchArchive(t, { expected_sha256: OTHER });
  t.true(reported.result.ok);
  t.true(reported.messages.some(message => message.includes(`the only published list has ${OTHER}`)));
});

test('a zip with another number of files is refused', async t => {
  const { result, messages } = await fetchArchive(t, { files: 3 });
  t.false(result.ok);
  t.true(messages.some(message => message.includes('2 files inside, expected 3')));
});

test('official zips are recognised by name in a folder', async t => {
  const folder = await makeTemporaryFolder(t);
  const data = join(folder, 'data');
  await mkdir(join(folder, 'from'));
  await writeFile(join(folder, 'from', 'v2_Questions_Train_mscoco.zip'), makeZip({ 'x.json': '{}' }));
  const context = makeContext();
  const manifest = await loadManifest();
  const options = { datasets: [], dataRoot: data, manifest, from: join(folder, 'from'), environment: {} };
  const result = await fetchData(options, context);
  t.deepEqual(result.fetched, ['official/v2_Questions_Train_mscoco.zip']);
});
