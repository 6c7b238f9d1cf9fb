import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { LxmertDataError } from '../../pipeline/errors.ts';
import { readTopLevel } from '../../pipeline/annotations/top-level.ts';
import { makeJson } from '../../pipeline/stages/make-json.ts';

const DEV_JSON = fileURLToPath(new URL('../../../shared/samples/nlvr2/dev.json', import.meta.url));
const testWithSample = existsSync(DEV_JSON) ? test : test.skip;

async function makeFolder(t: ExecutionContext, files: Record<string, string | Buffer>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'lxmert-json-'));
  t.teardown(() => rm(folder, { recursive: true }));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return folder;
}

testWithSample('the official dev.json becomes the valid.json of LXMERT', async t => {
  const raw = await makeFolder(t, { 'dev.json': await readFile(DEV_JSON) });
  const made = await makeJson({ dataset: 'nlvr2', rawDirectory: raw, outDirectory: join(raw, 'out') });
  t.deepEqual(
    made.map(file => [file.path, file.records, file.sha256]),
    [
      // What LXMERT's own process_dataset.py writes for this input.
      [join(raw, 'out/valid.json'), 6982, '1de87ab7cd82b565b11bd3b56f7f61e4523b4f2acc47ec31b4f54a149b73583d'],
    ],
  );
  t.deepEqual(await readdir(join(raw, 'out')), ['valid.json']);
});

test('NLVR2 records as Python writes them', async t => {
  const lines = [
    '{"identifier": "test1-0-1-0", "label": "True", "sentence": "caf\\u00e9 \u2028 \\"x\\"", "extra": {"a": 1}}',
    '{"identifier": "test1-0-1-1", "label": "False", "sentence": "b", "identifier": "test1-7-1-1"}\r',
  ];
  const raw = await makeFolder(t, { 'test1.json': `${lines.join('\n')}\n` });
  const [file] = await makeJson({ dataset: 'nlvr2', rawDirectory: raw, outDirectory: raw });
  t.is(
    await readFile(file!.path, 'latin1'),
    `[
    {
        "identifier": "test1-0-1-0",
        "img0": "test1-0-1-img0",
        "img1": "test1-0-1-img1",
        "label": 1,
        "sent": "caf\\u00e9 \\u2028 \\"x\\"",
        "uid": "nlvr2_test_0"
    },
    {
        "identifier": "test1-7-1-1",
        "img0": "test1-7-1-img0",
        "img1": "test1-7-1-img1",
        "label": 0,
        "sent": "b",
        "uid": "nlvr2_test_1"
    }
]`,
  );
});

test('GQA keeps the order of the file, float labels, and escapes like Python', async t => {
  const questions = `{
    "2": {"imageId": "n1", "question": "tab\\t del\u007f \\ud83d\\ude00 \\ud800 /", "answer": "yes"},
    "1": {"imageId": "2", "question": "q } ] , \\\\", "answer": "a\\"b", "types": [{"x": "]"}]},
    "__proto__": {"imageId": "3", "question": ""}
  }`;
  const raw = await makeFolder(t, {
    'val_balanced_questions.json': questions,
    'submission_all_questions.json': '{ }',
    'train_all_questions/part_0.json': '{"9": {"imageId": "1", "question": "x", "answer": "__proto__"}}',
  });
  const made = await makeJson({ dataset: 'gqa', rawDirectory: raw, outDirectory: join(raw, 'gqa') });
  t.deepEqual(
    made.map(file => [file.path.slice(raw.length), file.records]),
    [
      ['/gqa/valid.json', 3],
      ['/gqa/train_all.json', 1],
      ['/gqa/submit.json', 0],
    ],
  );
  t.is(
    await readFile(join(raw, 'gqa/valid.json'), 'latin1'),
    `[
    {
        "img_id": "n1",
        "label": {
            "yes": 1.0
        },
        "question_id": "2",
        "sent": "tab\\t del\\u007f \\ud83d\\ude00 \\ud800 /"
    },
    {
        "img_id": "2",
        "label": {
            "a\\"b": 1.0
        },
        "question_id": "1",
        "sent": "q } ] , \\\\"
    },
    {
        "img_id": "3",
        "question_id": "__proto__",
        "sent": ""
    }
]`,
  );
  t.is(await readFile(join(raw, 'gqa/submit.json'), 'latin1'), '[]');
  t.true((await readFile(join(raw, 'gqa/train_all.json'), 'latin1')).includes('"__proto__": 1.0'));
});

test('an element may lie across any chunk boundary', async t => {
  // 1 MiB chunks: strings with quotes, backslashes and brackets around every boundary.
  const count = 70_000;
  const text = Array.from(
    { length: count },
    (_, i) => `"k${i}": {"imageId": "${i}", "question": "\\\\\\"]}${'é'.repeat(i % 7)}"}`,
  );
  const raw = await makeFolder(t, { 'test_balanced_questions.json': `{${text.join(',')}}` });
  const [file] = await makeJson({ dataset: 'gqa', rawDirectory: raw, outDirectory: raw });
  const records = JSON.parse(await readFile(file!.path, 'utf8')) as { sent: string; question_id: string }[];
  t.is(records.length, count);
  t.deepEqual(
    records.filter((r, i) => r.question_id !== `k${i}` || r.sent !== `\\"]}${'é'.repeat(i % 7)}`),
    [],
  );
});

async function testRefused(t: ExecutionContext, files: Record<string, string | Buffer>, message: RegExp) {
  const raw = await makeFolder(t, files);
  const dataset = Object.keys(files)[0]?.includes('questions') === true ? 'gqa' : 'nlvr2';
  const error = await t.throwsAsync(
    makeJson({ dataset, rawDirectory: raw, outDirectory: join(raw, 'out') }),
    { instanceOf: LxmertDataError, message },
  );
  t.true(['ERR_INPUT', 'ERR_OUTPUT_EXISTS'].includes(error.code));
  t.deepEqual(
    await readdir(join(raw, 'out')).catch(() => []),
    [],
    'nothing is left under the final name or beside it',
  );
}

const GQA = 'val_balanced_questions.json';
test('an empty folder', testRefused, {}, /no official NLVR2 file/);
test(
  'a line that is not JSON',
  testRefused,
  { 'dev.json': '{"a": 1}\nx' },
  /dev\.json:1: the record has no text "label"|"identifier"/,
);
test(
  'an empty line',
  testRefused,
  { 'dev.json': '\n' },
  /dev\.json:1: the line is not JSON[^]*an empty line/,
);
test(
  'a line that is not UTF-8',
  testRefused,
  { 'dev.json': Buffer.from([0x22, 0xff, 0x22]) },
  /:1: the line is not UTF-8/,
);
test('a list where an object is needed', testRefused, { [GQA]: '[]' }, /does not begin with {/);
test('a cut file', testRefused, { [GQA]: '{"1": {"imageId": "a", "question": "b"}' }, /ends in the middle/);
test('a file cut inside a string', testRefused, { [GQA]: '{"1": {"imageId": "a' }, /ends in the middle/);
test('an empty file', testRefused, { [GQA]: '' }, /ends in the middle/);
test('the wrong bracket', testRefused, { [GQA]: '{"1": 2]' }, /wrong bracket/);
test('something after the end', testRefused, { [GQA]: '{} {}' }, /byte 3: something follows/);
test(
  'a comma too many',
  testRefused,
  { [GQA]: '{"1": {"imageId": "a", "question": "b"},}' },
  /not valid JSON/,
);
test(
  'an id that comes twice',
  testRefused,
  { [GQA]: '{"1": {"imageId": "a", "question": "b"}, "1": {"imageId": "a", "question": "b"}}' },
  /"1": the question id comes twice/,
);
test(
  'a number as image',
  testRefused,
  { [GQA]: '{"1": {"imageId": 5, "question": "b"}}' },
  /no text "imageId"/,
);

test('an element beyond the limit does not fill the memory', async t => {
  const folder = await makeFolder(t, { 'a.json': `["${'x'.repeat(3 << 20)}"]` });
  await t.throwsAsync(
    async () => {
      for await (const batch of readTopLevel(join(folder, 'a.json'), 'array', { maxElementBytes: 1 << 20 }))
        t.fail(String(batch.length));
    },
    { message: /an element is longer/ },
  );
});

test('existing files stay unless forced', async t => {
  const raw = await makeFolder(t, {
    'dev.json': '{"identifier": "dev-1-0-0", "label": "True", "sentence": "s"}',
    'out/valid.json': 'mine',
  });
  const options = { dataset: 'nlvr2', rawDirectory: raw, outDirectory: join(raw, 'out') } as const;
  const error = await t.throwsAsync(makeJson(options), { instanceOf: LxmertDataError });
  t.is(error.code, 'ERR_OUTPUT_EXISTS');
  t.is(await readFile(join(raw, 'out/valid.json'), 'utf8'), 'mine');
  await makeJson({ ...options, force: true });
  t.true((await readFile(join(raw, 'out/valid.json'), 'utf8')).startsWith('['));
});
