import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { readNamedArray } from '../../pipeline/annotations/named-array.ts';
import { hashAnswers, loadVqaRule, type VqaRule } from '../../pipeline/annotations/vqa-rule.ts';
import { makeJson } from '../../pipeline/stages/make-json.ts';
import { readMinivalIds } from '../../pipeline/annotations/make-vqa.ts';
import { ROOT } from '../helpers/cli.ts';
import { sharedPath, testWithShared } from '../helpers/shared.ts';
import { makeTempFolder } from '../helpers/temp.ts';
import { testWithTools } from '../helpers/tools.ts';
import { writeOfficialVqa } from '../helpers/vqa-official.ts';

const RULE = join(ROOT, 'manifests', 'vqa-rule.json');

/** The rule for made-up questions, whose answers are not the published ones. */
async function ruleFor(answers: Iterable<string>): Promise<VqaRule> {
  const rule = await loadVqaRule();
  return { ...rule, checks: { answers: 0, answers_sha256: hashAnswers(answers), labels: [] } };
}

async function readAnswers(folder: string): Promise<string[]> {
  const { normalise, leastQuestions } = await loadVqaRule();
  const counts = new Map<string, number>();
  for (const split of ['train2014', 'val2014']) {
    const text = await readFile(join(folder, `v2_mscoco_${split}_annotations.json`), 'utf8');
    for (const { multiple_choice_answer: answer } of (
      JSON.parse(text) as { annotations: { multiple_choice_answer: string }[] }
    ).annotations)
      counts.set(normalise(answer), (counts.get(normalise(answer)) ?? 0) + 1);
  }
  return [...counts].filter(([, count]) => count >= leastQuestions).map(([answer]) => answer);
}

async function makeRaw(t: ExecutionContext): Promise<{ folder: string; raw: string; minival: string }> {
  const folder = await makeTempFolder(t);
  const [raw, list] = [join(folder, 'raw'), join(folder, 'minival.txt')];
  await mkdir(raw);
  const minival = { images: [9, 581_929], questions: 10 };
  writeOfficialVqa(raw, { sizes: { train2014: 900, val2014: 700, test2015: 40 }, minival });
  await writeFile(list, 'COCO_val2014_000000000009\nCOCO_val2014_000000581929\n');
  return { folder, raw, minival: list };
}

testWithTools(
  'all four files are those of an independent statement of the rule, byte for byte',
  ['python3'],
  async t => {
    const { folder, raw, minival } = await makeRaw(t);
    const [restated, made] = [join(folder, 'restated'), join(folder, 'made')];
    await mkdir(restated);
    const program = join(ROOT, 'test', 'helpers', 'restate-vqa.py');
    const kept = execFileSync('python3', [program, raw, restated, RULE, minival], {
      cwd: folder,
      encoding: 'utf8',
    });
    const classes = await readAnswers(raw);
    t.is(classes.length, Number(kept));
    const files = await makeJson({
      dataset: 'vqa',
      rawDirectory: raw,
      outDirectory: made,
      vqa: {
        rule: await ruleFor(classes),
        minival: new Set((await readFile(minival, 'utf8')).trim().split('\n')),
      },
    });
    t.deepEqual(
      files.map(({ records }) => records),
      [900, 690, 10, 40],
    );
    for (const name of ['train', 'nominival', 'minival', 'test']) {
      const [ours, theirs] = await Promise.all(
        [made, restated].map(async place => await readFile(join(place, `${name}.json`))),
      );
      t.true(ours!.equals(theirs!), name);
    }
    const labels = JSON.parse(await readFile(join(made, 'train.json'), 'utf8')) as { label: object }[];
    t.true(
      labels.some(({ label }) => Object.keys(label).length === 0),
      'a question without a kept answer stays',
    );
  },
);

testWithTools('zips give what the JSON inside them gives', ['python3', 'zip'], async t => {
  const { folder, raw } = await makeRaw(t);
  const vqa = { rule: await ruleFor(await readAnswers(raw)) };
  const make = async (rawDirectory: string, name: string): Promise<readonly string[]> => {
    const outDirectory = join(folder, name);
    return (await makeJson({ dataset: 'vqa', rawDirectory, outDirectory, vqa })).map(({ sha256 }) => sha256);
  };
  const zips = join(folder, 'zips');
  await mkdir(zips);
  for (const [split, name] of [
    ['train2014', 'Train'],
    ['val2014', 'Val'],
    ['test2015', 'Test'],
  ] as const) {
    const questions = `v2_OpenEnded_mscoco_${split}_questions.json`;
    execFileSync('zip', ['-q', join(zips, `v2_Questions_${name}_mscoco.zip`), questions], { cwd: raw });
    if (split === 'test2015') continue;
    const annotations = `v2_mscoco_${split}_annotations.json`;
    execFileSync('zip', ['-q', join(zips, `v2_Annotations_${name}_mscoco.zip`), annotations], { cwd: raw });
  }
  t.deepEqual(await make(zips, 'from-zips'), await make(raw, 'from-json'));
});

test('what the whole official set must have is checked before anything is written', async t => {
  const { folder, raw } = await makeRaw(t);
  const outDirectory = join(folder, 'out');
  const make = async (rule?: VqaRule, records?: Record<string, number>): Promise<unknown> =>
    await makeJson({ dataset: 'vqa', rawDirectory: raw, outDirectory, records, vqa: { rule } });
  const rule = await ruleFor(await readAnswers(raw));
  await t.throwsAsync(make(), { code: 'ERR_INPUT', message: /expected: 3129 answers/ });
  const withLabel = (question_id: number | undefined, label: Record<string, number>): VqaRule => ({
    ...rule,
    checks: { ...rule.checks, labels: [{ question_id, label }] },
  });
  await t.throwsAsync(make(withLabel(9500, { yes: 0.3 })), {
    message: /question 9500 has the label that is known/,
  });
  await t.throwsAsync(make(withLabel(undefined, { nowhere: 1 })), { message: /no question has the label/ });
  t.deepEqual(await readdir(outDirectory), []);
  await t.throwsAsync(make(rule, { 'train.json': 899 }), {
    message: /expected: 899 records\n.*got: {6}900 records/s,
  });
  t.deepEqual(await readdir(outDirectory), []);
});

test('files that do not belong together, and questions that come twice, are refused', async t => {
  const { folder, raw } = await makeRaw(t);
  const vqa = { rule: await ruleFor(await readAnswers(raw)) };
  const make = async (): Promise<unknown> =>
    await makeJson({
      dataset: 'vqa',
      rawDirectory: raw,
      outDirectory: join(folder, 'out'),
      force: true,
      vqa,
    });
  const path = join(raw, 'v2_OpenEnded_mscoco_train2014_questions.json');
  const text = await readFile(path, 'utf8');
  const [first] = /\{"image_id":[^}]*\}/.exec(text)!;
  const cases: readonly (readonly [string, RegExp])[] = [
    [
      text.replace(first, first.replace(/"question_id":\d+/, '"question_id":7')),
      /question 7 do not belong together.*got: {6}none/s,
    ],
    [text.replace(first, first.replace(/"image_id":\d+/, '"image_id":7')), /got: {6}one of image/],
    [text.replace(first, `${first}, ${first}`), /comes twice/],
    [text.replace('"questions": [{', '"others": [{'), /has no list "questions"/],
    [text.slice(0, -40), /ends in the middle/],
    [`${text} x`, /something follows the end/],
    ['[1]', /does not begin with \{/],
    [text.replace(first, '3'), /this is not an object/],
    [text.replace(first, '{"image_id": 1, "question_id": 2, "question": null}'), /"question" is not text/],
  ];
  for (const [content, message] of cases) {
    await writeFile(path, content);
    await t.throwsAsync(make(), { code: 'ERR_INPUT', message });
  }
  await rm(join(raw, 'v2_mscoco_val2014_annotations.json'));
  await t.throwsAsync(make(), {
    message: /answers are counted over train and val together.*v2_Annotations_Val_mscoco\.zip/s,
  });
});

test('the list may lie across any chunk boundary', async t => {
  const text = '{"a": {"list": [0]}, "b\\"": "[", "list": [1, {"x": "],"}, [2]], "c": [3, "}"]} ';
  for (let size = 1; size <= text.length; size++) {
    const chunks = async function* (): AsyncGenerator<Buffer> {
      for (let at = 0; at < text.length; at += size)
        yield await Promise.resolve(Buffer.from(text.slice(at, at + size)));
    };
    const found: string[] = [];
    for await (const elements of readNamedArray('x', 'list', chunks()))
      for (const element of elements) {
        t.is(text.slice(element.offset, element.offset + element.text.length), element.text);
        found.push(element.text.trim());
      }
    t.deepEqual(found, ['1', '{"x": "],"}', '[2]'], String(size));
  }
});

testWithShared(
  'the answers of the shipped table have the hash of the rule',
  ['samples', 'answers', 'vqa'],
  async t => {
    const text = await readFile(sharedPath('samples', 'answers', 'vqa', 'trainval_ans2label.json'), 'utf8');
    const answers = Object.keys(JSON.parse(text) as object);
    const { checks } = await loadVqaRule();
    t.is(answers.length, checks.answers);
    t.is(hashAnswers(answers), checks.answers_sha256);
  },
);

test('minival has 5,000 images, in the order of the published features', async t => {
  const ids = [...(await readMinivalIds())];
  t.is(ids.length, 5000);
  t.is(ids[0], 'COCO_val2014_000000568281');
  t.is(ids.at(-1), 'COCO_val2014_000000124429');
});

test('gray and green are counted as in the label that is known', async t => {
  const { score, checks } = await loadVqaRule();
  const raw = ['gray', 'gray', 'gray', 'green', 'green', 'green', 'green', 'green', 'brown', 'black, white'];
  const count = (answer: string): number => raw.filter(one => one === answer).length;
  t.deepEqual(
    Object.fromEntries(['brown', 'gray', 'green'].map(answer => [answer, score(count(answer))])),
    checks.labels[0]!.label,
  );
});
