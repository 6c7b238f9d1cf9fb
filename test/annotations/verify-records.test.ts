import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { countRecords } from '../../pipeline/annotations/count-records.ts';
import { readAnswers, type RecordChecks, verifyRecords } from '../../pipeline/annotations/verify-records.ts';
import { makeTempFolder } from '../helpers/temp.ts';

async function problemsOf(t: ExecutionContext, text: string, checks: RecordChecks) {
  const path = join(await makeTempFolder(t), 'x.json');
  await writeFile(path, text);
  const { problems } = await verifyRecords(path, checks);
  return Object.fromEntries([...problems].map(([kind, { count, examples }]) => [kind, [count, examples[0]]]));
}

const question = (id: string): string =>
  `{"question_id": ${id}, "sent": "s", "img_id": "i", "label": {"yes": 1}}`;

test('question ids beyond 2^53 are compared as they are written', async t => {
  const neighbours = `[${question('9007199254740993')}, ${question('9007199254740992')}]`;
  t.deepEqual(await problemsOf(t, neighbours, { schema: 'vqa' }), {});
  const twice = `[${question('9007199254740993')}, ${question('9007199254740993')}]`;
  t.deepEqual(await problemsOf(t, twice, { schema: 'vqa' }), {
    'question_id comes twice': [1, 'record 2 (question_id 9007199254740993)'],
  });
});

test('text and number of the same digits are two ids, as in Python', async t => {
  t.deepEqual(await problemsOf(t, `[${question('1')}, ${question('"1"')}]`, { schema: 'gqa' }), {});
});

test('each rule of a record finds what breaks it', async t => {
  const checks = { schema: 'vqa', answers: new Set(['yes']), images: new Set(['i']) } as const;
  const broken = [
    '{"question_id": 1, "sent": 3, "img_id": "i"}',
    '{"question_id": 2, "sent": "s", "img_id": "other"}',
    '{"question_id": 3, "sent": "s", "img_id": "i", "label": {"no": 1}}',
    '{"question_id": 4, "sent": "s", "img_id": "i", "label": ["yes"]}',
    '[]',
    '{"sent": "s", "img_id": "i"}',
  ];
  t.deepEqual(await problemsOf(t, `[${broken.join()}]`, checks), {
    'no text "sent"': [1, 'record 1 (question_id 1)'],
    'image without features': [1, 'record 2 (question_id 2): other'],
    'unknown answer': [1, 'record 3 (question_id 3): "no"'],
    'label is not an object': [1, 'record 4 (question_id 4)'],
    'not an object': [1, 'record 5'],
    'no question_id': [1, 'record 6 (question_id missing)'],
  });
});

test('answers come from each of the three forms of a table, and from nothing else', t => {
  t.deepEqual([...readAnswers('{"yes": 0, "no": 1}', 'x')], ['yes', 'no']);
  t.deepEqual([...readAnswers('["yes", "no"]', 'x')], ['yes', 'no']);
  t.deepEqual([...readAnswers('[{"ans": "yes", "dsets": []}]', 'x')], ['yes']);
  for (const text of ['3', 'null', '[null]', '[{"ans": 1}]', '[{}]'])
    t.throws(() => readAnswers(text, 'x'), { code: 'ERR_INPUT' }, text);
});

test('a table is counted by its own form', async t => {
  const folder = await makeTempFolder(t);
  const count = async (text: string, name: Parameters<typeof countRecords>[1]): Promise<number> => {
    const path = join(folder, 'table');
    await writeFile(path, text);
    return await countRecords(path, name);
  };
  t.is(await count('{"a": 0, "b": 1}', 'ans2label'), 2);
  t.is(await count('["a"]', 'label2ans'), 1);
  t.is(await count('a\nb\n\n', 'lines'), 2);
  await t.throwsAsync(count('["a", 3]', 'label2ans'), { code: 'ERR_INPUT', message: /record 2/ });
  await t.throwsAsync(count('[{"ans": 3, "dsets": []}]', 'all-ans'), {
    code: 'ERR_INPUT',
    message: /record 1/,
  });
});
