import { createHash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { found } from './found.ts';
import { runCli, startCli } from '../../helpers/cli.ts';
import {
  commandWords,
  containersOf,
  type DockerPlace,
  dockerTest,
  extractInDocker,
  makeDockerPlace,
  waitForRows,
} from '../../helpers/docker-run.ts';
import { crashEngine, ensureStandIn, startPrivateEngine, stopPrivateEngine } from '../../helpers/engine.ts';

const IMAGES = 40;
/** An image's time: long enough that a busy machine, too, is still at work when something is killed. */
const MS = 150;

async function sha256(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

/** Runs the same once more, undisturbed, and elsewhere; returns the hash of that store. */
async function undisturbed(place: DockerPlace, image: string): Promise<string> {
  const out = join(place.folder, 'whole', 'x.safetensors');
  await extractInDocker({ ...place, out }, { image });
  return await sha256(out);
}

dockerTest(
  found,
  'kill -9 of the command: leftovers are removed, and a rerun on more devices makes the same store',
  async (t, { docker, image }) => {
    const place = await makeDockerPlace(t, IMAGES, MS);
    const running = startCli(commandWords(place, image));
    await waitForRows(place, 6);
    const left = await containersOf(docker, place);
    t.is(left.length, 1);
    // Stopped, so that it is still there however slow the rerun is to start.
    await docker.getContainer(left[0]!.Id).pause();
    running.child.kill('SIGKILL');
    await running.result;
    const again = await runCli(commandWords(place, image, '--gpus', '0,1,2'));
    t.is(again.code, 0, again.stderr);
    t.regex(again.stderr, /container lxmert-data-\w+-0-0 of a run that was killed: removed/);
    t.regex(again.stderr, /\d+ of 40 images are already done/);
    t.deepEqual(await containersOf(docker, place), []);
    t.is(await sha256(place.out), await undisturbed(place, image));
  },
);

dockerTest(found, 'without its command a container ends by itself', async (t, { docker, image }) => {
  const place = await makeDockerPlace(t, IMAGES, MS);
  const running = startCli(commandWords(place, image));
  await waitForRows(place, 2);
  running.child.kill('SIGKILL');
  await running.result;
  let state = '';
  for (let attempt = 0; attempt < 100 && state !== 'exited'; attempt++) {
    await delay(100);
    state = (await containersOf(docker, place))[0]!.State;
  }
  t.is(state, 'exited');
  await rm(place.folder, { recursive: true });
});

dockerTest(found, 'kill -9 of a container, and its removal, cost nothing', async (t, { docker, image }) => {
  const place = await makeDockerPlace(t, IMAGES, 2 * MS);
  const running = startCli(commandWords(place, image, '--per-gpu', '2'));
  await waitForRows(place, 6);
  while ((await containersOf(docker, place)).length < 2) await delay(50);
  const [first, second] = await containersOf(docker, place);
  await docker.getContainer(first!.Id).kill();
  await delay(500);
  await docker.getContainer(second!.Id).remove({ force: true });
  const { code, stderr } = await running.result;
  t.is(code, 0, stderr);
  t.regex(stderr, /the extractor ended early \(the container was killed from outside\); starting it again/);
  t.is(stderr.match(/starting it again/g)!.length, 2);
  t.is(await sha256(place.out), await undisturbed(place, image));
});

dockerTest(found, 'an image is not blamed for what others end', async (t, { docker, image }) => {
  const place = await makeDockerPlace(t, 3, 0, { 1: 'hang' });
  const running = startCli(
    commandWords(place, image, '--stall', '6', '--report', join(place.folder, 'r.json')),
  );
  await waitForRows(place, 1);
  for (let kills = 0; kills < 2; kills++) {
    let [container] = await containersOf(docker, place);
    while (container?.State !== 'running') {
      await delay(50);
      [container] = await containersOf(docker, place);
    }
    // At work on the image: its stand-in for the network has been loaded.
    await delay(1500);
    await docker.getContainer(container.Id).kill();
    await docker
      .getContainer(container.Id)
      .wait()
      .catch(() => undefined);
    while ((await containersOf(docker, place)).some(({ Id: id }) => id === container.Id)) await delay(50);
  }
  const { code, stderr } = await running.result;
  t.is(code, 1, stderr);
  t.is(stderr.match(/\(the container was killed from outside\)/g)?.length, 2, stderr);
  // Only its own two stalls count.
  t.regex(
    stderr,
    /img_0001: the extractor died \d times on this image \(no output for 6 s; --stall allows for more\)/,
  );
});

dockerTest(found, 'Ctrl-C removes the containers, and a rerun goes on', async (t, { docker, image }) => {
  const place = await makeDockerPlace(t, IMAGES, MS);
  const running = startCli(commandWords(place, image, '--per-gpu', '2'));
  await waitForRows(place, 6);
  running.child.kill('SIGINT');
  const { code, stderr } = await running.result;
  t.is(code, 130, stderr);
  t.deepEqual(await containersOf(docker, place), []);
  const again = await runCli(commandWords(place, image));
  t.is(again.code, 0, again.stderr);
  t.regex(again.stderr, /images are already done/);
  t.is(await sha256(place.out), await undisturbed(place, image));
});

dockerTest(found, 'one worker that cannot go on ends the others too', async (t, { docker, image }) => {
  const place = await makeDockerPlace(t, IMAGES, MS, { 20: 'cuda' });
  const { code, stderr } = await runCli(commandWords(place, image, '--gpus', '0,1,2'));
  t.is(code, 1);
  t.regex(stderr, /the image was not made for this GPU/);
  t.deepEqual(await containersOf(docker, place), []);
});

const canRunEngine = ((): boolean => {
  try {
    const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
    execFileSync('dockerd', ['--version'], { env, stdio: 'pipe' });
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
})();

if (!canRunEngine || typeof found === 'string') {
  test.skip('kill -9 of the engine (root, dockerd and an engine are needed)', t => t.pass());
  test.skip('a full disk (root and an engine are needed)', t => t.pass());
} else {
  test.serial('kill -9 of the engine: with it back the run goes on, and the store is the same', async t => {
    const place = await makeDockerPlace(t, IMAGES, MS);
    const folder = join(place.folder, 'engine');
    execFileSync('mkdir', [folder]);
    let engine = await startPrivateEngine(folder);
    try {
      const image = await ensureStandIn(engine.docker);
      const env = { DOCKER_HOST: `unix://${engine.socket}` };
      const running = startCli(commandWords(place, image, '--per-gpu', '2'), { env });
      await waitForRows(place, 6);
      await crashEngine(folder, engine.pid);
      engine = await startPrivateEngine(folder);
      const { code, stderr } = await running.result;
      t.is(code, 0, stderr);
      t.regex(stderr, /the Docker engine (went away|does not answer)|the connection to the container broke/);
      t.deepEqual(await containersOf(engine.docker, place), []);
      const hash = await sha256(place.out);
      const whole = join(place.folder, 'whole', 'x.safetensors');
      const again = await runCli(commandWords({ ...place, out: whole }, image), { env });
      t.is(again.code, 0, again.stderr);
      t.is(hash, await sha256(whole));
    } finally {
      await stopPrivateEngine(folder, engine.pid);
    }
  });

  dockerTest(
    found,
    'a full disk ends the run, and with room a rerun goes on',
    async (t, { docker, image }) => {
      const place = await makeDockerPlace(t, IMAGES, MS);
      const disk = join(place.folder, 'disk');
      execFileSync('mkdir', [disk]);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', disk]);
      try {
        const small = { ...place, out: join(disk, 'x.safetensors') };
        // There is room when it begins, and none when it goes on.
        const slow = startCli(commandWords(small, image));
        await waitForRows(small, 1);
        execFileSync('sh', ['-c', `dd if=/dev/zero of=${disk}/filler bs=64k 2>/dev/null || true`]);
        const { code, stderr } = await slow.result;
        t.is(code, 1, stderr);
        t.regex(stderr, /the disk is full|No space left on device|not enough (disk )?space/i);
        t.deepEqual(await containersOf(docker, place), []);
        await rm(join(disk, 'filler'));
        const again = await runCli(commandWords(small, image));
        t.is(again.code, 0, again.stderr);
        t.is(await sha256(small.out), await undisturbed(place, image));
      } finally {
        execFileSync('umount', ['-l', disk]);
      }
    },
  );
}
