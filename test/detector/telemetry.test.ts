import { homedir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { ROOT } from '../helpers/cli.ts';
import { makeTempFolder } from '../helpers/temp.ts';
import { canTrace, traceScript } from '../helpers/trace.ts';

const PROGRAM = JSON.stringify(join(ROOT, 'pipeline/extraction/embedded/program.ts'));

/** Runs the embedded detector until its network is loaded, in a process of its own as `extract` does. */
const script = (cache: string, args: string): string => `
  import { spawnSync } from 'node:child_process';
  const run = spawnSync(process.execPath, [${PROGRAM}, '--cache=${cache}', ${args}], { input: '', encoding: 'utf8' });
  console.log(run.stdout, run.stderr);`;

test('loading the network looks up no host, reads no machine id and writes nothing outside its cache', async t => {
  if (!canTrace(t)) return;
  const cache = await makeTempFolder(t);
  const { calls, stdout } = await traceScript(
    script(cache, ''),
    'connect,socket,openat,open,mkdir,mkdirat,creat',
  );
  t.regex(stdout, /"event":"ready"/);
  const connects = calls.filter(call => /^(connect|socket)\(/.test(call) && /AF_INET|AF_UNIX/.test(call));
  t.deepEqual(connects, []);
  t.deepEqual(
    calls.filter(call =>
      /machine-id|resolv\.conf|nsswitch|\/etc\/hosts|ca-certificates|product_uuid/.test(call),
    ),
    [],
  );
  const written = calls.filter(
    call =>
      /O_WRONLY|O_RDWR|O_CREAT|^mkdir/.test(call) && !call.includes(cache) && !/"\/(dev|proc)\//.test(call),
  );
  t.deepEqual(
    written.filter(
      call => call.includes(`"${homedir()}`) || call.includes('"/tmp') || call.includes('"/var'),
    ),
    [],
  );
});
