import { createHash } from 'node:crypto';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { execFileSync } from 'node:child_process';
import test from 'ava';
import sharp from 'sharp';
import { found } from './found.ts';
import { verifyStore } from '../../../pipeline/stages/verify-store.ts';
import { runCli, startCli } from '../../helpers/cli.ts';
import {
  commandWords,
  containersOf,
  type DockerPlace,
  dockerTest,
  extractInDocker,
  makeDockerPlace,
  readInside,
} from '../../helpers/docker-run.ts';
import { exchangeFolderOf } from '../../../pipeline/extraction/exchange-folder.ts';
import { makeOrderImage } from '../../helpers/order-images.ts';
import { makeContext } from '../../helpers/rows.ts';
import { encodeLayer } from '../../helpers/write-caffemodel.ts';

async function sha256(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

function rowFolderOf(place: DockerPlace): string {
  return place.out.replace(/\.safetensors$/, '.rows');
}

dockerTest(
  found,
  '1 and 3 workers make the same store, each on its own device',
  async (t, { docker, image }) => {
    const place = await makeDockerPlace(t, 40, 20);
    const hashes: string[] = [];
    for (const gpus of [['0'], ['0', '2', '3']]) {
      const result = await extractInDocker(place, { image, gpus }, { keepRows: true, force: true });
      t.like(result, { ok: true, rows: 40, missing: [] });
      hashes.push(await sha256(place.out));
      const inside = await readInside(rowFolderOf(place));
      t.deepEqual(inside.map(({ gpus }) => gpus).sort(), gpus);
      await rm(rowFolderOf(place), { recursive: true });
    }
    t.is(hashes[0], hashes[1]);
    const { metadata, ok } = await verifyStore(place.out, makeContext());
    t.true(ok);
    const { Id: id } = await docker.getImage(image).inspect();
    const weights = createHash('sha256')
      .update(await readFile(place.weights))
      .digest('hex');
    t.like(JSON.parse(metadata['detector']!), {
      name: 'bottom-up-attention (Caffe)',
      weights,
      image: id,
    });
    t.deepEqual(await containersOf(docker, place), []);
  },
);

dockerTest(
  found,
  '--gpus all takes the GPUs that containers see, each as often as asked',
  async (t, { image }) => {
    const place = await makeDockerPlace(t, 20, 20);
    const result = await extractInDocker(place, { image, gpus: 'all', perGpu: 2 }, { keepRows: true });
    t.true(result.ok);
    t.deepEqual((await readInside(rowFolderOf(place))).map(({ gpus }) => gpus).sort(), ['0', '0', '1', '1']);
  },
);

dockerTest(
  found,
  'a container has no capabilities and no network, and writes only rows',
  async (t, { image }) => {
    const place = await makeDockerPlace(t, 3);
    t.true((await extractInDocker(place, { image }, { keepRows: true })).ok);
    t.deepEqual(await readInside(rowFolderOf(place)), [
      {
        gpus: 'void',
        user: [process.getuid!(), process.getgid!()],
        capabilities: Array.from({ length: 5 }, () => '0'.repeat(16)),
        no_new_privileges: '1',
        interfaces: ['lo'],
        writable: ['/rows', '/tmp'],
        shm_mib: 1024,
      },
    ]);
  },
);

dockerTest(found, 'files belong to the user who calls', async (t, { image }) => {
  const socket = process.env['DOCKER_HOST']?.replace(/^unix:\/\//, '') ?? '/var/run/docker.sock';
  const group = (await stat(socket).catch(() => undefined))?.gid;
  if (process.getuid!() !== 0 || group === undefined) {
    t.log('only root can be another user');
    t.pass();
    return;
  }
  const place = await makeDockerPlace(t, 4);
  const user = 12_345;
  for (const path of [place.folder, place.images, join(place.folder, 'weights')])
    await chown(path, user, group);
  await chmod(place.folder, 0o755);
  const words = commandWords(place, image, '--keep-rows', '--json');
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, '..', '..', '..', 'pipeline', 'cli', 'main.ts'), ...words],
    {
      uid: user,
      gid: group,
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const [code] = (await once(child, 'close')) as [number];
  t.is(code, 0, errors);
  const rows = (await readdir(rowFolderOf(place))).filter(name => name.endsWith('.tsv'));
  for (const name of rows) {
    const { uid, gid } = await stat(join(rowFolderOf(place), name));
    t.deepEqual([uid, gid], [user, group]);
  }
  t.deepEqual((await readInside(rowFolderOf(place)))[0]!.user, [user, group]);
});

dockerTest(found, 'images that are links, and lists of images, reach the container', async (t, { image }) => {
  const place = await makeDockerPlace(t, 2);
  const farm = join(place.folder, 'farm');
  await mkdir(join(place.folder, 'elsewhere'), { recursive: true });
  await mkdir(farm);
  await writeFile(join(place.folder, 'elsewhere', 'store-17.bmp'), makeOrderImage('linked'));
  await symlink(join(place.folder, 'elsewhere', 'store-17.bmp'), join(farm, 'name é.bmp'));
  const list = join(place.folder, 'list.txt');
  await writeFile(list, `farm/name é.bmp\n${join(place.images, 'img_0001.bmp')}\n`);
  await t.throwsAsync(extractInDocker(place, { image }, { images: list }), {
    message: /links that lead out/,
  });
  const followLinks = true;
  t.like(await extractInDocker(place, { image }, { images: list, followLinks }), { ok: true, rows: 2 });
  const tsv = join(place.folder, 'y.tsv');
  t.true((await extractInDocker(place, { image }, { images: farm, out: tsv, followLinks })).ok);
  t.regex(await readFile(tsv, 'utf8'), /^name é\t48\t64\t/);
});

dockerTest(found, 'each image that cannot be done is named with its reason', async (t, { image }) => {
  const orders = { 1: 'crash', 3: 'nan', 5: 'few', 8: 'raise', 10: 'memory' } as const;
  const place = await makeDockerPlace(t, 12, 0, orders);
  await sharp({ create: { width: 900, height: 9, channels: 3, background: 'red' } })
    .png()
    .toFile(join(place.images, 'img_9000.png'));
  const noise = await sharp(Buffer.alloc(300 * 300 * 3, makeOrderImage('noise')), {
    raw: { width: 300, height: 300, channels: 3 },
  })
    .jpeg()
    .toBuffer();
  await writeFile(
    join(place.images, 'img_9002.jpg'),
    Buffer.concat([noise.subarray(0, 4998), Buffer.from([0xff, 0xd9])]),
  );
  await writeFile(join(place.images, 'img_9001.jpg'), 'no image');
  const result = await extractInDocker(place, { image, memoryGib: 1 });
  t.like(result, { ok: false, out: null, wanted: 15, rows: 7 });
  const died = 'the extractor died 2 times on this image';
  const gpuMemory =
    'the GPU is out of memory: up to 12 GB are needed for each worker; end other programs on it, or lower --per-gpu';
  t.deepEqual(
    result.missing.map(({ img_id: id, reason }) => [id, reason]),
    [
      ['img_0001', `${died} (${gpuMemory})`],
      ['img_0003', 'the network put out NaN or infinity (pool5_flat)'],
      ['img_0005', 'fewer than 36 proposals (20)'],
      ['img_0008', 'ValueError: the stand-in was told to'],
      ['img_0010', `${died} (the container needed more than its 1.0 GiB of memory: raise --memory)`],
      [
        'img_9000',
        'the image is too narrow for the network, which needs sides of at least 16 pixels: 900 x 9 pixels',
      ],
      [
        'img_9001',
        'this is not an image of a format that is read: a file of an unknown format (first bytes 6e 6f 20 69 6d 61 67 65)',
      ],
      ['img_9002', 'pixels of this JPEG are missing: premature end of JPEG data; the file has 5000 bytes'],
    ],
  );
});

dockerTest(
  found,
  'a container that crashes, hangs or is out of memory once costs nothing',
  async (t, { docker, image }) => {
    const whole = await makeDockerPlace(t, 20);
    t.true((await extractInDocker(whole, { image })).ok);
    const place = await makeDockerPlace(t, 20, 0, { 2: 'crashOnce', 9: 'hangOnce', 15: 'memoryOnce' });
    const result = await extractInDocker(place, { image, memoryGib: 1 }, { stallSeconds: 2 });
    t.like(result, { ok: true, rows: 20 });
    const warnings = result.events.flatMap(event => (event.event === 'warning' ? [event.message] : []));
    t.is(warnings.length, 3);
    t.true((await verifyStore(place.out, makeContext())).ok);
    t.deepEqual(await containersOf(docker, place), []);
  },
);

dockerTest(
  found,
  'a GPU that the image has no code for ends the run at once, with what to do',
  async (t, { docker, image }) => {
    const place = await makeDockerPlace(t, 20, 0, { 2: 'cuda' });
    await t.throwsAsync(extractInDocker(place, { image, gpus: ['0', '1'] }), {
      code: 'ERR_EXTRACTOR',
      message:
        /^the extractor ended early \(the image was not made for this GPU: use a GPU of the Pascal generation or older, another --image, or --backend embedded\)\n {2}got: {6}[^]*invalid device function/,
    });
    t.deepEqual(await containersOf(docker, place), []);
  },
);

dockerTest(
  found,
  'weights that Caffe must not get end the run before any container',
  async (t, { docker, image }) => {
    const place = await makeDockerPlace(t, 2);
    const at = (name: string): string => join(place.folder, name);
    await writeFile(
      at('other.caffemodel'),
      encodeLayer('conv1', [{ shape: [2], values: new Float32Array(2) }]),
    );
    await writeFile(at('page.caffemodel'), '<html>');
    await mkdir(at('folder'));
    execFileSync('mkfifo', [at('fifo')]);
    const created: string[] = [];
    const events = await docker.getEvents({ filters: { event: ['create'] } });
    // Tests of other files make containers of other images meanwhile.
    events.on('data', (event: Buffer) => {
      if (event.toString().includes(JSON.stringify(image))) created.push(event.toString());
    });
    for (const [weights, message] of [
      [at('none'), /the weights file does not exist/],
      [
        at('other.caffemodel'),
        /blob conv1\/0 has another shape|the file lacks weights that this detector needs/,
      ],
      [at('page.caffemodel'), /this is a web page, not a caffemodel/],
      [at('folder'), /cannot open the weights[^]*got: {6}a folder/],
      [at('fifo'), /cannot open the weights[^]*got: {6}a FIFO/],
      ['untrained', /the Caffe of a container needs trained weights/],
    ] as const) {
      const error = await t.throwsAsync<Error & { code: string }>(extractInDocker(place, { image, weights }));
      t.regex(error.message, message);
      t.true(['ERR_INPUT', 'ERR_USAGE'].includes(error.code));
    }
    (events as NodeJS.ReadableStream & { destroy(): void }).destroy();
    t.deepEqual(created, []);
    t.deepEqual(
      (await readdir(place.folder)).filter(name => name.startsWith('x.')),
      [],
    );
  },
);

dockerTest(found, 'what no image causes ends the run with the cause', async (t, { image }) => {
  const orders = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [index, 'hang'] as const));
  const place = await makeDockerPlace(t, 20, 0, orders);
  const error = await t.throwsAsync<Error & { code: string }>(
    extractInDocker(place, { image }, { stallSeconds: 1 }),
  );
  t.is(error.code, 'ERR_EXTRACTOR');
  t.regex(error.message, /\(no output for 1 s; --stall allows for more\), 5 times without a row in between/);
  t.deepEqual(
    (await readdir(place.folder)).filter(name => name.startsWith('x.')),
    [],
  );
});

dockerTest(found, 'an engine that stays away ends the run after the wait', async (t, { docker, image }) => {
  const place = await makeDockerPlace(t, 2, 0, { 0: 'hang' });
  const socket = join(place.folder, 'engine.sock');
  const real = (process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock').replace(/^unix:\/\//, '');
  const proxy = createServer(client => {
    const server = connect(real);
    client.pipe(server).pipe(client);
    for (const end of [client, server]) end.on('error', () => undefined);
    sockets.push(client, server);
  });
  const sockets: Socket[] = [];
  await once(proxy.listen(socket), 'listening');
  const before = process.env['DOCKER_HOST'];
  process.env['DOCKER_HOST'] = `unix://${socket}`;
  try {
    const run = extractInDocker(place, { image, engineWaitSeconds: 1 }, { stallSeconds: 600 });
    const outcome = t.throwsAsync<Error & { code: string }>(run);
    while (!(await containersOf(docker, place)).some(({ State: state }) => state === 'running'))
      await delay(50);
    proxy.close();
    for (const end of sockets) end.destroy();
    const error = await outcome;
    t.is(error.code, 'ERR_EXTRACTOR');
    t.regex(error.message, /no Docker engine answers here|the Docker engine went away/);
  } finally {
    if (before === undefined) delete process.env['DOCKER_HOST'];
    else process.env['DOCKER_HOST'] = before;
  }
  for (const { Id: id } of await containersOf(docker, place))
    await docker.getContainer(id).remove({ force: true });
});

dockerTest(
  found,
  'an image without a shell, and one without a module, end at once',
  async (t, { docker, image }) => {
    const place = await makeDockerPlace(t, 2);
    const bare = 'lxmert-data-test/bare:1';
    await docker
      .buildImage(await pack(place.folder, `FROM ${image}\nRUN rm /opt/butd/caffe/python/cv2.py`), {
        t: bare,
      })
      .then(
        async stream =>
          await new Promise<void>(resolve => docker.modem.followProgress(stream, () => resolve())),
      );
    const missing = await t.throwsAsync<Error>(extractInDocker(place, { image: bare }));
    t.regex(missing.message, /the extractor ended early \(the Python module cv2 is missing in the image\)\n/);
    const empty = 'lxmert-data-test/empty:1';
    await docker
      .buildImage(await pack(place.folder, 'FROM scratch\nCOPY Dockerfile /x'), { t: empty })
      .then(
        async stream =>
          await new Promise<void>(resolve => docker.modem.followProgress(stream, () => resolve())),
      );
    const shell = await t.throwsAsync<Error>(extractInDocker(place, { image: empty }));
    t.regex(shell.message, /the extractor ended early \(the image has no shell \(\/bin\/sh\)/);
  },
);

dockerTest(
  found,
  'what the configuration of an image changes is in the store',
  async (t, { docker, image }) => {
    const place = await makeDockerPlace(t, 1);
    const changed = 'lxmert-data-test/changed:1';
    const config = '/opt/butd/lib/fast_rcnn/config.py';
    const line = `RUN echo "    cfg.TEST.NMS, cfg.TEST.RPN_POST_NMS_TOP_N = 0.5, 100" >>${config}`;
    const stream = await docker.buildImage(await pack(place.folder, `FROM ${image}\n${line}`), {
      t: changed,
    });
    await new Promise<void>(resolve => docker.modem.followProgress(stream, () => resolve()));
    const { detector } = await extractInDocker(place, { image: changed });
    t.like(detector, { rois: 100, settings: { nms: 0.5 } });
    const { metadata } = await verifyStore(place.out, makeContext());
    t.like(JSON.parse(metadata['detector']!), { rois: 100, settings: { nms: 0.5 } });
  },
);

/** A build context of one Dockerfile. */
async function pack(folder: string, text: string): Promise<NodeJS.ReadableStream> {
  await writeFile(join(folder, 'Dockerfile'), text);
  return Readable.from([execFileSync('tar', ['-C', folder, '-cf', '-', 'Dockerfile'])]);
}

dockerTest(found, 'what containers see is said before they start', async (t, { image }) => {
  const place = await makeDockerPlace(t, 1);
  const { events } = await extractInDocker(place, { image, memoryGib: 100_000 });
  const texts = events.flatMap(event =>
    event.event === 'note' || event.event === 'warning' ? [event.message] : [],
  );
  for (const text of [
    `containers see ${place.images} as /images, read-only`,
    `containers see ${exchangeFolderOf(rowFolderOf(place))} as /rows`,
    /^containers see .*formula\.caffemodel as \/weights\/formula\.caffemodel, read-only$/,
    /^--memory 100000 is more than there is/,
  ])
    t.true(
      texts.some(line => (typeof text === 'string' ? line === text : text.test(line))),
      String(text),
    );
});

dockerTest(found, 'an image that is not here and cannot be fetched is told as such', async (t, { image }) => {
  const place = await makeDockerPlace(t, 2);
  await t.throwsAsync(extractInDocker(place, { image: `localhost:1/${image}` }), {
    code: 'ERR_ENGINE',
    message: /the image is not here, and the engine cannot reach a registry to fetch it\n {2}got:/,
  });
});

dockerTest(found, 'the docker run commands of --dry-run start such an extractor', async (t, { image }) => {
  if (execOrUndefined('docker', ['version']) === undefined) {
    t.log('no docker command here');
    t.pass();
    return;
  }
  const place = await makeDockerPlace(t, 2);
  const { stdout, code } = await runCli([...commandWords(place, image), '--dry-run']);
  t.is(code, 0);
  const command = stdout.split('\n').find(line => line.startsWith('docker run '))!;
  const rows = exchangeFolderOf(rowFolderOf(place));
  await mkdir(rows, { recursive: true });
  const lot = { lot: 0, rows: '/rows/a.tsv', images: [{ img_id: 'a', path: '/images/img_0000.bmp' }] };
  const events = execFileSync('sh', ['-c', command], { input: `${JSON.stringify(lot)}\n`, encoding: 'utf8' });
  t.deepEqual(
    events
      .trim()
      .split('\n')
      .map(line => (JSON.parse(line) as { event: string }).event),
    ['ready', 'row', 'lot'],
  );
  t.true((await readFile(join(rows, 'a.tsv'))).length > 395_000);
});

function execOrUndefined(program: string, words: readonly string[]): string | undefined {
  try {
    return execFileSync(program, words, { encoding: 'utf8', stdio: 'pipe' });
  } catch {
    return undefined;
  }
}

test('no engine, and no permission to talk to it, are told with what to do', async t => {
  const place = await makeDockerPlace(t, 1);
  const words = commandWords(place, 'image');
  const missing = await runCli(words, { env: { DOCKER_HOST: `unix://${place.folder}/none.sock` } });
  t.is(missing.code, 1);
  t.regex(
    missing.stderr,
    /no Docker engine answers here\n {2}got: {6}connect ENOENT.*\n {2}what to do: start Docker, or name an engine with DOCKER_HOST/,
  );
  const context = await runCli(words, { env: { DOCKER_HOST: '', DOCKER_CONTEXT: 'nowhere' } });
  t.regex(context.stderr, /nowhere: there is no such Docker context/);
  if (process.getuid!() !== 0) return;
  const socket = join(place.folder, 'closed.sock');
  const server = createServer().listen(socket);
  await once(server, 'listening');
  await chmod(socket, 0o600);
  await chmod(place.folder, 0o755);
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, '..', '..', '..', 'pipeline', 'cli', 'main.ts'), ...words],
    {
      uid: 12_345,
      gid: 12_345,
      env: { ...process.env, DOCKER_HOST: `unix://${socket}` },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  await chown(place.folder, 12_345, 12_345);
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  await once(child, 'close');
  server.close();
  t.regex(errors, /you may not talk to the Docker engine\n {2}got: {6}connect EACCES/);
});

test('a name that no image can have, and weights that are not there, before anything is pulled', async t => {
  const place = await makeDockerPlace(t, 1);
  const named = await runCli(commandWords(place, 'Bad Name'));
  t.is(named.code, 2);
  t.regex(named.stderr, /this is not the name of an image[^]*got: {6}"Bad Name"/);
  const words = [
    ...commandWords(place, 'airsplay/bottom-up-attention'),
    '--weights',
    join(place.folder, 'none'),
  ];
  const missing = await runCli(words);
  t.is(missing.code, 1);
  t.notRegex(missing.stderr, /pulling/);
});

test('options of the other backend are refused, and the choice is told', async t => {
  const place = await makeDockerPlace(t, 1);
  const both = await runCli([...commandWords(place, 'image'), '--device', 'cpu']);
  t.is(both.code, 2);
  t.regex(both.stderr, /--backend docker does not support --device/);
  const words = [
    'extract',
    'custom',
    '--images',
    place.images,
    '--data',
    place.data,
    '--out',
    place.out,
    '--dry-run',
  ];
  const plain = await startCli(words).result;
  t.regex(plain.stderr, /backend embedded: the trained weights for the Caffe image were not found/);
  const none = await runCli([...words, '--weights', place.weights], {
    env: { DOCKER_HOST: `unix://${place.folder}/none.sock` },
  });
  t.regex(none.stderr, /backend embedded: no Docker engine answers/);
  const wrong = await runCli([...words, '--gpus', 'first']);
  t.is(wrong.code, 2);
  t.regex(wrong.stderr, /--gpus is not understood/);
});
