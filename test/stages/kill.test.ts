import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { claimPartialPath } from '../../pipeline/files/partial-names.ts';
import { convert } from '../../pipeline/stages/convert.ts';
import { verifyStore } from '../../pipeline/stages/verify-store.ts';
import { seededRandom } from '../../pipeline/rows/synthetic-row.ts';
import { startCli } from '../helpers/cli.ts';
import { makeContext, makeLines } from '../helpers/rows.ts';
import { makeTempFolder } from '../helpers/temp.ts';
import { makeZip } from '../helpers/zip.ts';

/** Enough that killing can hit reading, writing and finishing. */
const ROWS = 120;
const OUT = 'rows.safetensors';

interface Scene {
  readonly folder: string;
  readonly input: string;
  /** What a run that nobody disturbs makes. */
  readonly store: Buffer;
  readonly durationMs: number;
}

/** A folder with one input, the store that it must become, and the time that takes. */
async function setScene(t: ExecutionContext, name: 'rows.tsv' | 'rows.zip'): Promise<Scene> {
  const folder = await makeTempFolder(t);
  const input = join(folder, name);
  const text = Buffer.from(makeLines(ROWS).join(''));
  const zip = (): Buffer =>
    makeZip([{ name: 'rows.tsv', content: text, packed: deflateRawSync(text, { level: 1 }) }]);
  await writeFile(input, name === 'rows.tsv' ? text : zip());
  const began = performance.now();
  const { code } = await startCli(['convert', input, '--quiet']).result;
  t.is(code, 0);
  const durationMs = performance.now() - began;
  const store = await readFile(join(folder, OUT));
  await rm(join(folder, OUT));
  return { folder, input, store, durationMs };
}

/** What may lie in the folder after a kill: the input, the whole store or none, and temporary files of the killed run. */
async function checkAfterKill(t: ExecutionContext, { folder, input, store }: Scene): Promise<boolean> {
  const names = await readdir(folder);
  for (const name of names)
    t.true(
      join(folder, name) === input || name === OUT || /^rows\.safetensors\.[^/]*\.partial$/.test(name),
      name,
    );
  if (!names.includes(OUT)) return false;
  t.true(
    (await readFile(join(folder, OUT))).equals(store),
    'something else than the whole store has the final name',
  );
  return true;
}

async function killAtRandom(
  t: ExecutionContext,
  name: 'rows.tsv' | 'rows.zip',
  kills: number,
): Promise<void> {
  const scene = await setScene(t, name);
  const random = seededRandom(name.length);
  const outcomes = { runs: 0, killed: 0, whole: 0, partials: 0 };
  let { durationMs } = scene;
  for (let next = 10; outcomes.killed < kills; outcomes.runs++) {
    // A third of them late, where the small tensors, the header and the names are written.
    const moment = outcomes.runs % 3 === 0 ? 0.6 + random() * 0.5 : random();
    const began = performance.now();
    const { child, result } = startCli(['convert', scene.input, '--quiet', '--force']);
    const timer = setTimeout(() => child.kill('SIGKILL'), moment * durationMs);
    const { signal } = await result;
    clearTimeout(timer);
    if (signal === 'SIGKILL') outcomes.killed++;
    // How long a run takes varies with what else the machine does; the moments follow it.
    if (signal !== 'SIGKILL') durationMs = (durationMs + performance.now() - began) / 2;
    else if (moment > 0.9) durationMs *= 1.1;
    if (await checkAfterKill(t, scene)) outcomes.whole++;
    if ((await readdir(scene.folder)).some(file => file.endsWith('.partial'))) outcomes.partials++;
    // The next run goes on from what the killed one left, as a user's would; now and then it may end.
    if (outcomes.killed < next) continue;
    next += 10;
    await rm(join(scene.folder, OUT), { force: true });
    const { code, stderr } = await startCli(['convert', scene.input, '--quiet']).result;
    t.is(code, 0, stderr);
    t.true(await checkAfterKill(t, scene));
    t.deepEqual((await readdir(scene.folder)).sort(), [OUT, name].sort());
    t.true((await verifyStore(join(scene.folder, OUT), makeContext(), 1)).ok);
    await rm(join(scene.folder, OUT));
  }
  t.log(JSON.stringify(outcomes));
  t.true(outcomes.partials > 0, 'some were killed while they wrote');
}

test.serial('kill -9 at 60 random moments of converting a TSV', async t => {
  t.timeout(290_000);
  await killAtRandom(t, 'rows.tsv', 60);
});

test.serial('kill -9 at 40 random moments of converting a zip', async t => {
  t.timeout(290_000);
  await killAtRandom(t, 'rows.zip', 40);
});

test.serial('Ctrl-C leaves nothing and exits with 130, also when npm passes it on a second time', async t => {
  t.timeout(120_000);
  const scene = await setScene(t, 'rows.tsv');
  const seen = new Set<number | null>();
  for (const [round, moment] of [0.45, 0.6, 0.7, 0.8, 0.9, 0.5].entries()) {
    const { child, result } = startCli(['convert', scene.input, '--quiet']);
    setTimeout(() => {
      child.kill('SIGINT');
      if (round % 2 === 1) setTimeout(() => child.kill('SIGINT'), 5);
    }, moment * scene.durationMs);
    const { code, signal, stderr } = await result;
    // Before the program listens and when it has ended its work, the signal ends it at once.
    seen.add(code);
    t.false(
      (await readdir(scene.folder)).some(name => name.endsWith('.partial')),
      stderr,
    );
    const published = await checkAfterKill(t, scene);
    if (code === 130) t.false(published);
    else t.true(signal === 'SIGINT' || (code === 0 && published), stderr);
    if (code === 130) t.regex(stderr, /^error: interrupted by SIGINT; nothing unfinished has a final name\n/);
    await rm(join(scene.folder, OUT), { force: true });
  }
  t.true(seen.has(130), 'at least one run was interrupted while it worked');
});

test.serial('what a killed run left is removed by the next one, that of a running one is not', async t => {
  const folder = await makeTempFolder(t);
  const input = join(folder, 'rows.tsv');
  await writeFile(input, makeLines(2).join(''));
  const { child, result } = startCli(['convert', input, '--quiet']);
  await result;
  await rm(join(folder, OUT));
  const name = (pid: number): string =>
    basename(claimPartialPath(join(folder, OUT), 'store')).replace(`-${process.pid}-`, `-${pid}-`);
  await writeFile(join(folder, name(child.pid!)), 'left');
  const running = name(process.ppid);
  await writeFile(join(folder, running), 'in use');
  await writeFile(join(folder, `${OUT}.elsewhere-1.store.partial`), 'of another machine');
  const notes = makeContext();
  await convert({ files: [input], threads: 1 }, notes);
  t.deepEqual(
    (await readdir(folder)).sort(),
    [OUT, `${OUT}.elsewhere-1.store.partial`, running, 'rows.tsv'].sort(),
  );
  t.deepEqual(notes.events.filter(({ event }) => event === 'note').length, 1);
});
