import { mkdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import got from 'got';
import { startProgram } from './cli.ts';
import { findPorts } from './ports.ts';
import { makeTempFolder } from './temp.ts';

const POLL_MS = 500;

/** A node of Ray, for one test. */
export interface Ray {
  /** Submits a command and returns the id of its job. */
  readonly submit: (entrypoint: string) => Promise<string>;
  /** Waits until a job has ended; returns its state, and what it printed. */
  readonly waitFor: (job: string) => Promise<{ readonly state: string; readonly log: string }>;
}

/** Starts Ray on ports of its own; `bin` is the folder of the program. It ends with the test. */
export async function startRay(t: ExecutionContext, bin: string): Promise<Ray> {
  const folder = await makeTempFolder(t);
  const temp = join(folder, 'r');
  await mkdir(temp);
  const [port, dashboard] = await findPorts(2);
  const env = { HOME: folder, PATH: [bin, process.env['PATH']].join(delimiter) };
  const { child, result } = startProgram(
    join(bin, 'ray'),
    [
      ...['start', '--head', '--block', '--disable-usage-stats', '--num-cpus=2', `--temp-dir=${temp}`],
      ...['--node-ip-address=127.0.0.1', `--port=${port}`, '--object-store-memory=100000000'],
      ...['--dashboard-host=127.0.0.1', `--dashboard-port=${dashboard}`],
    ],
    { env },
  );
  t.teardown(async () => {
    child.kill('SIGTERM');
    await result;
  });
  const jobs = got.extend({ prefixUrl: `http://127.0.0.1:${dashboard}/api/jobs`, retry: { limit: 0 } });
  let ended: string | undefined;
  void result.then(({ stdout, stderr }) => (ended = stdout + stderr));
  // The jobs are there some seconds after the dashboard.
  while (
    !(await jobs.get('').then(
      () => true,
      () => false,
    ))
  ) {
    if (ended !== undefined) throw new Error(`Ray has ended: ${ended}`);
    await delay(POLL_MS);
  }
  return {
    async submit(entrypoint) {
      const json = { entrypoint, entrypoint_num_cpus: 1 };
      return (await jobs.post('', { json }).json<{ submission_id: string }>()).submission_id;
    },
    async waitFor(job) {
      for (;;) {
        const { status: state } = await jobs.get(job).json<{ status: string }>();
        if (state !== 'PENDING' && state !== 'RUNNING')
          return { state, log: (await jobs.get(`${job}/logs`).json<{ logs: string }>()).logs };
        await delay(POLL_MS);
      }
    },
  };
}
