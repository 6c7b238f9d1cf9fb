import { spawnSync } from 'node:child_process';
import { chown, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { makeDemoImages } from '../../pipeline/extraction/demo-images.ts';
import { openStore } from '../../pipeline/store/feature-store.ts';
import { ROOT, startProgram } from '../helpers/cli.ts';
import { makeLines, writeTsv } from '../helpers/rows.ts';
import { makeTempFolder } from '../helpers/temp.ts';

/* The image of docker/Dockerfile, built and run by a real engine. */

const TAG = 'lxmert-data:test';
/** Someone without a name on this machine or in the image, where we may give files away. */
const [UID, GID] =
  process.getuid?.() === 0 ? [12_345, 23_456] : [process.getuid?.() ?? 0, process.getgid?.() ?? 0];

const engine = spawnSync('docker', ['version', '--format', '{{.Server.Os}}'], { encoding: 'utf8' });
const hasEngine = process.platform === 'linux' && engine.status === 0 && engine.stdout.trim() === 'linux';
const engineTest = hasEngine ? test.serial : test.skip;

engineTest(
  'the image of the tool converts, exports and extracts in a mounted folder, as any user',
  async t => {
    t.timeout(600_000);
    const build = ['build', '--quiet', '--network=host', '--file=docker/Dockerfile', `--tag=${TAG}`, '.'];
    const built = await startProgram('docker', build, { cwd: ROOT }).result;
    t.is(built.code, 0, (built.stdout + built.stderr).slice(-2000));
    const folder = await makeTempFolder(t);
    await chown(folder, UID, GID);
    await writeTsv(folder, makeLines(3), 'x.tsv');
    const run = async (options: readonly string[], ...args: string[]) => {
      const limits = ['--rm', '--network=none', '--cap-drop=ALL', '--security-opt=no-new-privileges'];
      return await startProgram('docker', ['run', ...limits, ...options, TAG, ...args]).result;
    };
    const help = await run([], '--help');
    t.is(help.code, 0, help.stderr);
    t.regex(help.stdout, /^Usage: lxmert-data/);
    const whoami = await run(['--entrypoint=id'], '-u');
    t.is(whoami.stdout, '65534\n');
    await makeDemoImages(join(folder, 'images'));
    const extract = ['extract', 'custom', '--images', 'images', '--limit', '1', '--out', 'one.safetensors'];
    const mounted = [`--volume=${folder}:/data`, `--user=${UID}:${GID}`, '--read-only', '--tmpfs=/tmp'];
    for (const args of [
      ['convert', 'x.tsv'],
      ['verify', 'x.safetensors', '--against', 'x.tsv'],
      ['export', 'x.safetensors', '--to', 'npz', '--out', 'npz'],
      [...extract, '--backend', 'embedded', '--weights', 'untrained', '--rois', '36'],
    ]) {
      const { code, stdout, stderr } = await run(mounted, ...args);
      t.is(code, 0, `${args.join(' ')}: ${stdout}${stderr}`);
    }
    t.is((await stat(join(folder, 'x.safetensors'))).uid, UID);
    const store = await openStore(join(folder, 'x.safetensors'));
    t.is(store.rows, 3);
    await store.close();
    t.is((await readdir(join(folder, 'npz'))).filter(name => name.endsWith('.npz')).length, 3);
  },
);
