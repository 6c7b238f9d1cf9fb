import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from './cli.ts';

const run = promisify(execFile);
const EMBEDDED = 'lxmert-data-embedded:test';

/** Makes a .sif; what Apptainer keeps of images goes with `folder`. */
async function build(folder: string, sif: string, from: string): Promise<string> {
  const env = { ...process.env, APPTAINER_CACHEDIR: join(folder, 'kept'), APPTAINER_TMPDIR: folder };
  // Uncompressed, since compressing takes most of a minute.
  await run('apptainer', ['build', '--mksquashfs-args', '-noI -noD -noF -noX', sif, from], { env });
  return sif;
}

/** A folder with a shell and nothing else, whose extractor is this script. */
export async function makeShellImage(folder: string, script: string): Promise<string> {
  const image = join(folder, 'image');
  for (const name of ['dev', 'proc', 'sys', 'tmp', 'var/tmp', 'etc', 'root', '.singularity.d'])
    await mkdir(join(image, name), { recursive: true });
  const { stdout } = await run('ldd', ['/bin/sh']);
  for (const path of ['/bin/sh', ...(stdout.match(/\/\S+/g) ?? [])]) {
    await mkdir(join(image, dirname(path)), { recursive: true });
    await copyFile(path, join(image, path));
  }
  await writeFile(join(image, '.singularity.d', 'labels.json'), '{"lxmert-data.extractor":"shell"}\n');
  const start = join(image, '.singularity.d', 'runscript');
  await writeFile(start, `#!/bin/sh\n${script}`);
  await chmod(start, 0o755);
  return image;
}

/** The same as one file. */
export async function makeShellSif(folder: string, script: string): Promise<string> {
  return await build(folder, join(folder, 'shell.sif'), await makeShellImage(folder, script));
}

/** The image of docker/embedded as a .sif, by the two commands of the docs. */
export async function makeEmbeddedSif(folder: string): Promise<string> {
  const dockerfile = ['--file=docker/embedded/Dockerfile', `--tag=${EMBEDDED}`, '.'];
  await run('docker', ['build', '--quiet', '--network=host', ...dockerfile], { cwd: ROOT });
  const archive = join(folder, 'image.tar');
  await run('docker', ['save', EMBEDDED, '--output', archive]);
  const sif = await build(folder, join(folder, 'embedded.sif'), `docker-archive:${archive}`);
  await rm(archive);
  return sif;
}
