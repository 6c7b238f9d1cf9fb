import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import test from 'ava';
import fc from 'fast-check';
import { DemuxStream } from '../../../pipeline/extraction/docker/demux.ts';
import { explainEnd } from '../../../pipeline/extraction/docker/end-reasons.ts';
import { findEngineAddress, isOpenToNetwork } from '../../../pipeline/extraction/docker/engine-address.ts';
import { explainEngineError } from '../../../pipeline/extraction/docker/engine-errors.ts';
import {
  buildContainer,
  describeRun,
  type WorkerSpec,
} from '../../../pipeline/extraction/docker/container-spec.ts';
import { parseGpus } from '../../../pipeline/extraction/gpu-choice.ts';
import { watchSpeed } from '../../../pipeline/extraction/docker/speed.ts';
import { makeContext } from '../../helpers/rows.ts';
import { makeTempFolder } from '../../helpers/temp.ts';

function frame(kind: number, content: Uint8Array): Buffer {
  const header = Buffer.alloc(8);
  header[0] = kind;
  header.writeUInt32BE(content.length, 4);
  return Buffer.concat([header, content]);
}

test('output of a container is taken apart however the bytes arrive', async t => {
  const frames = fc.array(fc.tuple(fc.constantFrom(1, 2), fc.uint8Array({ maxLength: 40 })), {
    maxLength: 12,
  });
  const property = fc.asyncProperty(frames, fc.integer({ min: 1, max: 23 }), async (list, size) => {
    const bytes = Buffer.concat(list.map(([kind, content]) => frame(kind, content)));
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
      bytes.subarray(i * size, (i + 1) * size),
    );
    const errors: Buffer[] = [];
    const out = await buffer(Readable.from(chunks).pipe(new DemuxStream(part => errors.push(part))));
    const of = (kind: number) =>
      Buffer.concat(list.filter(([k]) => k === kind).map(([, content]) => content));
    return out.equals(of(1)) && Buffer.concat(errors).equals(of(2));
  });
  await t.notThrowsAsync(fc.assert(property));
});

test('what is no output of a container is refused', async t => {
  const stream = new DemuxStream(() => undefined);
  stream.end(Buffer.from('HTTP/1.1 500 Internal'));
  await t.throwsAsync(buffer(stream), { message: 'the engine sent something other than container output' });
});

test('a reader that is slow holds up the engine', t => {
  const stream = new DemuxStream(() => undefined);
  const full = frame(1, Buffer.alloc(1 << 16));
  let taken = 0;
  while (taken < 1000 && stream.write(full)) taken++;
  t.true(taken < 10, `${taken} frames of 64 KiB were taken unread`);
});

test('the engine is found where Docker finds it', async t => {
  const home = await makeTempFolder(t);
  const find = (env: Record<string, string>) => findEngineAddress(env, home);
  t.like(find({ DOCKER_HOST: 'unix:///a/b.sock' }), { kind: 'socket', path: '/a/b.sock' });
  t.like(find({ DOCKER_HOST: 'tcp://h:80' }), { kind: 'tcp', host: 'h', port: 80, tls: undefined });
  t.like(find({ DOCKER_HOST: 'tcp://h' }), { kind: 'tcp', host: 'h', port: 2375, tls: undefined });
  t.like(find({ DOCKER_HOST: 'ssh://me@h:22' }), { kind: 'ssh', destination: 'me@h', port: '22' });
  t.like(find({ DOCKER_HOST: 'ssh://h' }), { kind: 'ssh', destination: 'h', port: undefined });
  for (const host of ['nonsense', 'tcp://', 'h:2375']) {
    t.throws(() => find({ DOCKER_HOST: host }), {
      message: /this address of a Docker engine is not understood/,
    });
  }
  const tls = { DOCKER_HOST: 'tcp://h:2376', DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: join(home, 'certs') };
  t.throws(() => find(tls), { message: /to be reached with TLS, but there are no certificates/ });
  await mkdir(join(home, 'certs'));
  for (const name of ['ca', 'cert', 'key']) await writeFile(join(home, 'certs', `${name}.pem`), name);
  t.deepEqual(find(tls), {
    kind: 'tcp',
    host: 'h',
    port: 2376,
    tls: { ca: Buffer.from('ca'), cert: Buffer.from('cert'), key: Buffer.from('key') },
    label: 'DOCKER_HOST tcp://h:2376',
  });
});

test('TCP without TLS beyond this machine is open to its network', async t => {
  const home = await makeTempFolder(t);
  const isOpen = (host: string): boolean => isOpenToNetwork(findEngineAddress({ DOCKER_HOST: host }, home));
  for (const host of ['tcp://h', 'tcp://10.0.0.7:2375', 'tcp://127.example.org', 'tcp://[fe80::1]:2375'])
    t.true(isOpen(host), host);
  for (const host of ['tcp://127.0.0.1:2375', 'tcp://localhost', 'tcp://[::1]:2375', 'ssh://h', 'unix:///x'])
    t.false(isOpen(host), host);
});

test('contexts are followed: DOCKER_CONTEXT before the current one, DOCKER_HOST before both', async t => {
  const home = await makeTempFolder(t);
  const add = async (name: string, host: string): Promise<string> => {
    const key = createHash('sha256').update(name).digest('hex');
    const folder = join(home, '.docker', 'contexts', 'meta', key);
    await mkdir(folder, { recursive: true });
    await writeFile(
      join(folder, 'meta.json'),
      JSON.stringify({ Name: name, Endpoints: { docker: { Host: host } } }),
    );
    return key;
  };
  await add('colima', 'unix:///colima.sock');
  const key = await add('far', 'tcp://far:4243');
  const certificates = join(home, '.docker', 'contexts', 'tls', key, 'docker');
  await mkdir(certificates, { recursive: true });
  await writeFile(join(certificates, 'ca.pem'), 'ca');
  await writeFile(join(home, '.docker', 'config.json'), JSON.stringify({ currentContext: 'colima' }));
  t.like(findEngineAddress({}, home), { kind: 'socket', path: '/colima.sock' });
  t.like(findEngineAddress({ DOCKER_CONTEXT: 'far' }, home), {
    kind: 'tcp',
    port: 4243,
    tls: { ca: Buffer.from('ca') },
  });
  t.like(findEngineAddress({ DOCKER_CONTEXT: 'far', DOCKER_HOST: 'unix:///x' }, home), { path: '/x' });
  t.like(findEngineAddress({ DOCKER_CONTEXT: 'default' }, home), { kind: 'socket' });
  t.throws(() => findEngineAddress({ DOCKER_CONTEXT: 'gone' }, home), {
    message: /gone: there is no such Docker context/,
  });
});

test('--gpus', t => {
  t.is(parseGpus('all'), 'all');
  t.is(parseGpus('none'), 'none');
  t.deepEqual(parseGpus('0, 2'), ['0', '2']);
  t.deepEqual(parseGpus('GPU-12ab-3'), ['GPU-12ab-3']);
  for (const words of ['', '0,0', '1,', 'device=0', '-1']) {
    t.throws(() => parseGpus(words), { code: 'ERR_USAGE' }, words);
  }
});

const SPEC: WorkerSpec = {
  image: 'an/image',
  gpu: '2',
  gpuWay: 'request',
  weights: '/w/w.caffemodel',
  folders: { images: "/my images/it's", rows: '/r', script: '/s' },
  user: '1000:1000',
  groups: ['4'],
  memoryBytes: 1024,
  selinux: true,
  ownExtractor: false,
  labels: {},
};

test('a container asks for one GPU, in the way that the engine knows', t => {
  const host = buildContainer(SPEC).HostConfig!;
  t.deepEqual(host.DeviceRequests, [
    { Driver: '', Count: 0, DeviceIDs: ['2'], Capabilities: [['gpu']], Options: {} },
  ]);
  t.deepEqual(host.SecurityOpt, ['no-new-privileges', 'label=disable']);
  const old = buildContainer({ ...SPEC, gpuWay: 'runtime' });
  t.like(old.HostConfig, { Runtime: 'nvidia', DeviceRequests: undefined });
  t.true(old.Env!.includes('NVIDIA_VISIBLE_DEVICES=2'));
  t.true(buildContainer({ ...SPEC, gpu: undefined }).Env!.includes('NVIDIA_VISIBLE_DEVICES=void'));
});

test('the docker run command is quoted for a shell', t => {
  const command = describeRun(SPEC);
  t.true(command.includes(`'type=bind,source=/my images/it'\\''s,target=/images,readonly'`));
  t.true(command.includes(`--gpus '"device=2"'`));
  t.regex(
    describeRun({ ...SPEC, ownExtractor: true }),
    / an\/image --weights=\/weights\/w.caffemodel --device=cuda$/,
  );
});

const fails = test.macro((t, said: string | NodeJS.ErrnoException, what: RegExp) => {
  const error = explainEngineError(typeof said === 'string' ? new Error(said) : said, 'here');
  t.is(error.code, 'ERR_ENGINE');
  t.regex(error.message, what);
});

test(
  'no driver',
  fails,
  'could not select device driver "" with capabilities: [[gpu]]',
  /cannot give GPUs to containers/,
);
test(
  'no GPU',
  fails,
  'nvidia-container-cli: initialization error: nvml error: driver not loaded',
  /did not give the container its GPU/,
);
test(
  'remote folder',
  fails,
  'invalid mount config for type "bind": bind source path does not exist: /x',
  /cannot see a folder/,
);
test(
  'no network',
  fails,
  'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host',
  /cannot reach a registry/,
);
test(
  'no such image',
  fails,
  'pull access denied for a/b, repository does not exist',
  /does not give out this image/,
);
test(
  'nobody listens',
  fails,
  Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }),
  /no Docker engine answers here/,
);
test('other', fails, 'something new', /the Docker engine refused\n {2}got: {6}something new/);

const ends = test.macro((t, stderrTail: string, code: number, why: RegExp, exitCode?: number) => {
  const end = explainEnd({
    exitCode: exitCode ?? 134,
    oomKilled: false,
    error: '',
    stderrTail,
    memoryBytes: 0,
  });
  t.is(end.code, code);
  t.regex(end.why ?? '', why);
});

test(
  'unsupported GPU',
  ends,
  'Check failed: error == cudaSuccess (8 vs. 0)  invalid device function',
  4,
  /not made for this GPU/,
);
test(
  'cuDNN',
  ends,
  'Check failed: status == CUDNN_STATUS_SUCCESS (8 vs. 0)  CUDNN_STATUS_EXECUTION_FAILED',
  4,
  /not made for this GPU/,
);
test(
  'old driver',
  ends,
  'cudaSuccess (35 vs. 0)  CUDA driver version is insufficient',
  4,
  /does not reach the container/,
);
test(
  'GPU memory',
  ends,
  'Check failed: error == cudaSuccess (2 vs. 0)  out of memory',
  134,
  /GPU is out of memory/,
);
test('CPU build', ends, 'Cannot use GPU in CPU-only Caffe: check mode.', 4, /no GPU code/);
test('full disk', ends, 'cannot go on: [Errno 28] No space left on device', 1, /the disk is full/, 1);
test('killed', ends, '', 137, /killed from outside/, 137);
test(
  'module',
  ends,
  'ImportError: No module named dateutil.parser',
  4,
  /module dateutil\.parser is missing/,
  1,
);
test(
  'weights',
  ends,
  'Check failed: ReadProtoFromBinaryFile(param_file, param)',
  4,
  /cannot use these weights/,
);
test('no shell', ends, '[FATAL tini (7)] exec /bin/sh failed: No such file or directory', 4, /no shell/, 127);
test('no Python', ends, '/bin/sh: 1: exec: python3: not found', 4, /the image has no Python/, 127);

test('a GPU that takes as long as one that is not supported is warned of, once', t => {
  const context = makeContext();
  const clock = { now: 0 };
  const watch = watchSpeed('1', context, () => clock.now);
  const row = { event: 'row', lot: 0, img_id: 'a', bytes: 1 } as const;
  for (let image = 0; image < 20; image++) {
    watch(row);
    clock.now += 30_000;
  }
  t.is(context.events.length, 1);
  t.like(context.events[0], { event: 'warning' });
  const quick = makeContext();
  const watchQuick = watchSpeed('1', quick, () => clock.now);
  for (let image = 0; image < 20; image++) {
    watchQuick(row);
    clock.now += 300;
  }
  t.deepEqual(quick.events, []);
});
