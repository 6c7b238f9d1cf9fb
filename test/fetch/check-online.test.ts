import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { checkOnline } from '../../pipeline/fetch/check-online.ts';
import { loadManifest } from '../../pipeline/manifest/load.ts';
import { ROOT, startProgram } from '../helpers/cli.ts';
import { makeTempFolder } from '../helpers/temp.ts';

const manifest = await loadManifest();
const local = await loadManifest({ baseUrls: { unc: 'http://127.0.0.1:1/' } });
const canCutOff = spawnSync('unshare', ['--net', 'true']).status === 0;

test('a host that has an address is not offline, whether it answers or not', async t => {
  await t.notThrowsAsync(checkOnline(local, ['unc'], {}));
});

test('where a proxy looks names up, nothing is asked', async t => {
  await t.notThrowsAsync(checkOnline(manifest, ['unc'], { HTTPS_PROXY: 'http://127.0.0.1:1' }));
});

(canCutOff ? test : test.skip)('without a network fetch says so once (needs unshare as root)', async t => {
  const data = join(await makeTempFolder(t), 'data');
  const args = [
    '--net',
    process.execPath,
    join(ROOT, 'pipeline/cli/main.ts'),
    'fetch',
    'vqa',
    '--data',
    data,
  ];
  const { code, stdout, stderr } = await startProgram('unshare', args, {
    env: { HTTPS_PROXY: '', HTTP_PROXY: '', https_proxy: '', http_proxy: '' },
  }).result;
  t.is(code, 1);
  t.is(stdout, '');
  t.regex(stderr, /^error: no network: none of the hosts can be found\n/);
  t.is(stderr.match(/no network/g)?.length, 1);
  t.true(stderr.split('\n').length < 8, stderr);
  t.false(existsSync(join(data, 'lxmert-data.lock.json')));
});
