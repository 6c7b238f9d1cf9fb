import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Docker from 'dockerode';
import { ROOT } from './cli.ts';

/*
 * A stand-in for the Caffe image, made without a registry: Debian's Python and NumPy out of Debian's packages, and the modules of
 * test/fixtures/butd in place of those in /opt/butd.
 */

const BASE = 'lxmert-data-test/python:bookworm';
const FIXTURES = join(ROOT, 'test', 'fixtures', 'butd');
const CACHE = join(
  process.env['XDG_CACHE_HOME'] ?? join(tmpdir(), 'lxmert-data-test'),
  'python-bookworm.tar',
);

/** The engine of DOCKER_HOST or the default socket; undefined where none answers. */
export async function findTestEngine(socketPath?: string): Promise<Docker | undefined> {
  const docker = new Docker(socketPath === undefined ? {} : { host: undefined, socketPath });
  try {
    await docker.ping();
    return docker;
  } catch {
    return undefined;
  }
}

/** Name of the stand-in image, made if need be; throws where it cannot be made. */
export async function ensureStandIn(docker: Docker): Promise<string> {
  const hash = createHash('sha256');
  const names = (await readdir(FIXTURES, { recursive: true })).sort();
  for (const name of names.filter(name => /\.(py|yml|prototxt)$|nvidia-smi$/.test(name)))
    hash.update(name).update(await readFile(join(FIXTURES, name)));
  const tag = hash.digest('hex').slice(0, 12);
  const image = `lxmert-data-test/butd:${tag}`;
  if (await hasImage(docker, image)) return image;
  await ensureBase(docker);
  const container = await docker.createContainer({ Image: BASE, Cmd: ['true'] });
  try {
    const words = [
      '--exclude=__pycache__',
      '--transform=s,^bin/,usr/bin/,;s,^\\([^u]\\),opt/butd/\\1,',
      '-cf',
      '-',
    ];
    const tar = execFileSync('tar', ['-C', FIXTURES, ...words, ...(await readdir(FIXTURES))]);
    await container.putArchive(tar, { path: '/' });
    await container.commit({ repo: 'lxmert-data-test/butd', tag });
  } finally {
    await container.remove({ force: true });
  }
  return image;
}

async function hasImage(docker: Docker, name: string): Promise<boolean> {
  return await docker
    .getImage(name)
    .inspect()
    .then(() => true)
    .catch(() => false);
}

async function ensureBase(docker: Docker): Promise<void> {
  if (await hasImage(docker, BASE)) return;
  if (!existsSync(CACHE)) await makeBase();
  const [repo, tag] = BASE.split(':') as [string, string];
  const stream = await docker.importImage(createReadStream(CACHE), { repo, tag });
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(stream, error => (error === null ? resolve() : reject(error)));
  });
  if (!(await hasImage(docker, BASE))) throw new Error(`${CACHE} cannot be imported`);
}

async function makeBase(): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'lxmert-data-root-'));
  try {
    const packages = '--include=python3-minimal,python3-numpy';
    const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
    execFileSync('debootstrap', ['--variant=minbase', packages, 'bookworm', root], { env, stdio: 'pipe' });
    await mkdir(join(CACHE, '..'), { recursive: true });
    const excluded = [
      './dev/*',
      './var/cache/apt/*',
      './var/lib/apt/lists/*',
      './usr/share/doc/*',
      './usr/share/locale/*',
    ];
    const words = [
      '-C',
      root,
      ...excluded.map(name => `--exclude=${name}`),
      '-cf',
      `${CACHE}.${process.pid}`,
      '.',
    ];
    execFileSync('tar', words);
    await rename(`${CACHE}.${process.pid}`, CACHE);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** An engine of one's own, to be killed. Needs root. */
export async function startPrivateEngine(
  folder: string,
): Promise<{ docker: Docker; socket: string; pid: number }> {
  const socket = join(folder, 'docker.sock');
  const words = [
    ...[
      '--data-root',
      join(folder, 'data'),
      '--exec-root',
      join(folder, 'exec'),
      '--pidfile',
      join(folder, 'pid'),
    ],
    ...[
      '--config-file',
      join(folder, 'none.json'),
      '-H',
      `unix://${socket}`,
      '--bridge=none',
      '--iptables=false',
      '--ip6tables=false',
    ],
  ];
  const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
  await writeFile(join(folder, 'none.json'), '{}');
  const child = spawn('dockerd', words, { env, stdio: 'ignore', detached: true });
  child.unref();
  for (let attempt = 0; attempt < 100; attempt++) {
    const docker = await findTestEngine(socket);
    if (docker !== undefined) return { docker, socket, pid: child.pid! };
    await delay(200);
  }
  throw new Error('the private engine does not answer');
}

/** Ends an engine, and the containerd that it started, as a crash would. */
export async function crashEngine(folder: string, pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  process.kill(
    Number(await readFile(join(folder, 'exec', 'containerd', 'containerd.pid'), 'utf8')),
    'SIGKILL',
  );
  // Where nobody has taken note of their deaths yet, their numbers seem to be in use.
  for (const name of ['pid', join('exec', 'containerd', 'containerd.pid')])
    await rm(join(folder, name), { force: true });
}

/** Ends a private engine and what it has mounted. */
export async function stopPrivateEngine(folder: string, pid: number): Promise<void> {
  try {
    process.kill(pid, 'SIGTERM');
    for (let attempt = 0; attempt < 100 && existsSync(join(folder, 'pid')); attempt++) await delay(100);
  } finally {
    const mounts = (await readFile('/proc/mounts', 'utf8')).split('\n').map(line => line.split(' ')[1] ?? '');
    for (const mount of mounts.filter(path => path.startsWith(folder)).reverse())
      execFileSync('umount', ['-l', mount]);
  }
}
