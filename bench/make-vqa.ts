import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeOfficialVqa } from '../test/helpers/vqa-official.ts';
import { measureCli, print } from './measure.ts';

/*
 * make-json vqa on files of the official form and size: 443,757 and 214,354 questions with ten answers each, and 447,793
 * of test. All checks are on: answers are those of the table (first argument), minival's images have its questions, and the
 * two known labels are there. A second argument names the folder to work
 * in, a third keeps what was made.
 */

const [table, ...rest] = process.argv.slice(2);
if (table === undefined) throw new Error('give the path of trainval_ans2label.json');
const folder = mkdtempSync(join(rest[0] ?? tmpdir(), 'make-vqa-'));
const raw = join(folder, 'raw');
mkdirSync(raw);
const minival = readFileSync(join(import.meta.dirname, '..', 'manifests', 'minival-image-ids.txt'), 'utf8');
const gray = [...Array<string>(3).fill('gray'), ...Array<string>(5).fill('green'), 'brown', 'black, white'];
const tableNames = Object.keys(JSON.parse(readFileSync(table, 'utf8')) as object);
writeOfficialVqa(raw, {
  sizes: { train2014: 443_757, val2014: 214_354, test2015: 447_793 },
  answers: tableNames,
  plain: true,
  minival: {
    images: minival
      .trim()
      .split('\n')
      .map(id => Number(id.slice(-12))),
    questions: 25_994,
  },
  known: [
    { questionId: 131_089_000, answers: gray },
    {
      questionId: 581_000_000,
      answers: [
        ...Array<string>(4).fill('picnic table'),
        'skateboard',
        ...Array<string>(3).fill('table'),
        'x1',
        'x2',
      ],
    },
  ],
});
try {
  const run = await measureCli('make-json', 'vqa', '--raw', raw, '--out', join(folder, 'vqa'));
  print(`make-json vqa: ${run.seconds.toFixed(1)} s, ${(run.peak / 1e9).toFixed(2)} GB at most`);
} finally {
  if (rest[1] === undefined) rmSync(folder, { recursive: true });
  else print(`kept: ${folder}`);
}
