import { join } from 'node:path';
import { Writable } from 'node:stream';
import test from 'ava';
import { describeProgress, fitProgress, type ProgressState } from '../../pipeline/cli/progress-line.ts';
import { createProgress } from '../../pipeline/cli/progress.ts';
import { makeDemoImages } from '../../pipeline/extraction/demo-images.ts';
import { ROOT, startProgram, type StartOptions } from '../helpers/cli.ts';
import { makeLines, writeTsv } from '../helpers/rows.ts';
import { makeTempFolder } from '../helpers/temp.ts';
import { testWithTools } from '../helpers/tools.ts';

function makeState(event: Partial<ProgressState['event']>, seconds = 10, before = 0): ProgressState {
  const usual = { event: 'progress', stage: 'extract', unit: 'images', done: 45, total: 100 } as const;
  return {
    event: { ...usual, input: '/data/nlvr2_imgfeat/train_obj36.safetensors', ...event },
    seconds,
    before,
  };
}

test('a line of progress fits every width from 40 columns on, in whole words', t => {
  const events = [
    {},
    { detail: '2 with proposals + 1 classified' },
    { unit: 'bytes', rows: 12_345, done: 4e10, total: 5.9e10 },
    { input: `${'very_long_name_'.repeat(9)}obj36.tsv`, detail: 'converting model 45 %' },
    { input: '/photos/写真の写真の写真の写真の写真の写真.tsv' },
    { total: 0, unit: 'bytes' },
  ] as const;
  for (const event of events) {
    const state = makeState(event);
    const whole = new Set(describeProgress(state).split(/[ ,:]+/));
    for (let width = 40; width <= 200; width++) {
      const line = fitProgress(state, width);
      const wide = Array.from(line).filter(char => /\p{Script=Han}|\p{Script=Hiragana}/u.test(char)).length;
      t.true(Array.from(line).length + wide <= width, line);
      const words = line.split(/[ ,]+/).filter(word => !/^[█░]+$/.test(word));
      const [percent, unit, stage, name = '', ...others] = words;
      t.true(
        [percent!, unit!, stage!, ...others].every(word => whole.has(word)),
        line,
      );
      t.true(name.includes('…') || [...whole].some(word => word.includes(name)), line);
    }
  }
});

test('speed and time left count what this run did, not what was there before', t => {
  const line = describeProgress(makeState({ done: 60, total: 100 }, 20, 50));
  t.is(
    line,
    'extract /data/nlvr2_imgfeat/train_obj36.safetensors: 60 %, 60 of 100 images, 2.0 s each, 1 min 20 s left',
  );
});

test('without a terminal a plain line comes now and then', async t => {
  const written: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      written.push(chunk.toString());
      done();
    },
  });
  const progress = createProgress(stream as unknown as NodeJS.WriteStream, 'verify', 1);
  progress.update({ event: 'progress', stage: 'verify', input: 'x', done: 1, total: 2, unit: 'images' });
  while (written.length < 2) await new Promise(resolve => setImmediate(resolve));
  progress.end();
  t.deepEqual(written.slice(0, 2), Array<string>(2).fill('verify x: 50 %, 1 of 2 images\n'));
});

test('without a terminal a command that knows nothing of its progress yet still says that it is at work', async t => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      resolve(chunk.toString());
      done();
    },
  });
  const progress = createProgress(stream as unknown as NodeJS.WriteStream, 'make-json', 1);
  const line = await promise;
  progress.end();
  t.regex(line, /^make-json, \d+\.\d s\n$/);
});

/** Runs the command line on a terminal; returns what it wrote, and the lines that were to be seen at any time. */
async function runOnTerminal(columns: number, args: readonly string[], options: StartOptions) {
  const program = [process.execPath, join(ROOT, 'pipeline', 'cli', 'main.ts'), ...args];
  const helper = join(ROOT, 'test', 'helpers', 'run-in-pty.py');
  const { code, stdout } = await startProgram('python3', [helper, String(columns), ...program], options)
    .result;
  const lines = stdout
    .replace(/\u001b\[[0-9;?]*[A-Za-z]/g, '\n')
    .split(/[\r\n]+/)
    .filter(line => line !== '');
  return { code, stdout, lines };
}

testWithTools(
  'extract on a narrow terminal shows a moving line before the first image is done',
  ['python3'],
  async t => {
    const folder = await makeTempFolder(t);
    await makeDemoImages(join(folder, 'images'));
    const args = ['extract', 'custom', '--images', 'images', '--out', 'x.safetensors', '--limit', '1'];
    const { code, lines, stdout } = await runOnTerminal(
      40,
      [...args, '--weights', 'untrained', '--rois', '36', '--backend', 'embedded'],
      { cwd: folder, env: { TERM: 'xterm' } },
    );
    t.is(code, 0, stdout.slice(-1000));
    const drawn = lines.filter(line => /^[|/\\-] /.test(line));
    t.true(drawn.length > 3);
    for (const line of drawn) t.true(line.length < 40, line);
    const before = drawn.filter(line => line.includes('0 %') && !line.includes('100 %'));
    for (const step of [
      /converting model|(starting|loading) the network/,
      /1 (decoded|with proposals|classified)/,
    ])
      t.true(
        before.some(line => step.test(line)),
        String(step),
      );
    t.notRegex(stdout, /\u001b\[[0-9;]*m/);
    t.regex(lines.at(-1)!, /^x\.safetensors: 1 images, .* s each; next: lxmert-data verify x\.safetensors$/);
  },
);

testWithTools('a dumb terminal gets plain lines only', ['python3'], async t => {
  const folder = await makeTempFolder(t);
  await writeTsv(folder, makeLines(2), 'x.tsv');
  const options = { cwd: folder, env: { TERM: 'dumb', NO_COLOR: undefined } };
  const { code, stdout } = await runOnTerminal(80, ['convert', 'x.tsv'], options);
  t.is(code, 0);
  t.regex(stdout, /^x\.safetensors: 2 images, [^\u001b]*; next: lxmert-data verify x\.safetensors\r\n$/);
});
