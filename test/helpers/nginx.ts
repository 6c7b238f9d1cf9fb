import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findPorts } from './ports.ts';

export const hasNginx = spawnSync('nginx', ['-v']).status === 0;

export interface Nginx {
  readonly url: string;
  /** Files put here are served. */
  readonly root: string;
  readonly stop: () => Promise<void>;
}

/** The real nginx on a free port, as the user that runs the tests. */
export async function startNginx(folder: string, locationRules = ''): Promise<Nginx> {
  const root = join(folder, 'www');
  await mkdir(root, { recursive: true });
  const port = (await findPorts(1))[0]!;
  await writeFile(
    join(folder, 'nginx.conf'),
    `daemon off; pid ${folder}/nginx.pid; error_log ${folder}/error.log; worker_processes 1;
    ${process.getuid?.() === 0 ? 'user root;' : ''}
    events { worker_connections 64; }
    http { access_log off; sendfile on; client_body_temp_path ${folder}/t1; proxy_temp_path ${folder}/t2;
      fastcgi_temp_path ${folder}/t3; uwsgi_temp_path ${folder}/t4; scgi_temp_path ${folder}/t5;
      server { listen 127.0.0.1:${port}; root ${root}; location / { ${locationRules} } } }`,
  );
  const child = spawn('nginx', ['-c', join(folder, 'nginx.conf'), '-p', folder], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}/`;
  await waitFor(url, child);
  return {
    url,
    root,
    async stop() {
      child.kill('SIGQUIT');
      await new Promise(resolve =>
        child.exitCode === null ? child.once('exit', resolve) : resolve(undefined),
      );
    },
  };
}

async function waitFor(url: string, child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}`);
    const answers = await fetch(url).then(
      response => response.body?.cancel().then(() => true) ?? true,
      () => false,
    );
    if (answers) return;
    await sleep(20);
  }
  throw new Error('nginx does not answer');
}
