import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { parseElement, parseEntry, readTopLevel } from '../../pipeline/annotations/top-level.ts';
import { makeTempFolder } from '../helpers/temp.ts';

async function readArray(t: ExecutionContext, text: string | Buffer, maxElementBytes?: number) {
  const path = join(await makeTempFolder(t), 'x.json');
  await writeFile(path, text);
  const values: unknown[] = [];
  for await (const elements of readTopLevel(path, 'array', { maxElementBytes }))
    for (const element of elements) values.push(parseElement(path, element));
  return values;
}

for (const text of [
  '[]',
  ' \r\n[ \t ]\n',
  '[1, "a,]", {"b": [2, {"c": "\\\\\\""}]}, null]',
  '["\\u2028", "ü", "[", "\\\\"]',
  JSON.stringify(Array.from({ length: 300_000 }, (_, index) => ({ index }))),
]) {
  test(`the elements of ${text.slice(0, 40).replaceAll(/\s/g, '·')} are those of JSON.parse`, async t => {
    t.deepEqual(await readArray(t, text), JSON.parse(text));
  });
}

for (const [text, what] of [
  ['[\f]', /not valid JSON/],
  ['[1,]', /not valid JSON/],
  ['[,1]', /not valid JSON/],
  ['[1 2]', /not valid JSON/],
  ['[01]', /not valid JSON/],
  ['{"a": 1}', /does not begin with \[/],
  ['[1}', /the wrong bracket closes the JSON/],
  ['[1] x', /something follows the end/],
  ['[1', /ends in the middle/],
  ['', /ends in the middle/],
  ['["\xff"]', /not UTF-8/],
] as const) {
  test(`${JSON.stringify(text)} is refused`, async t => {
    const bytes = Buffer.from(text, 'latin1');
    await t.throwsAsync(readArray(t, bytes), { code: 'ERR_INPUT', message: what });
  });
}

test('an endless element ends with its offset and not with the memory', async t => {
  await t.throwsAsync(readArray(t, `[1, "${'x'.repeat(3 << 20)}"]`, 1 << 20), {
    code: 'ERR_INPUT',
    message: /longer than 1048576 bytes/,
  });
});

test('entries of an object keep the order of the file, also where keys look like numbers', async t => {
  const path = join(await makeTempFolder(t), 'x.json');
  await writeFile(path, '{"b": 1, "2": {"x": "}"}, "1": []}');
  const entries: [string, unknown][] = [];
  for await (const elements of readTopLevel(path, 'object'))
    for (const element of elements) entries.push(parseEntry(path, element));
  t.deepEqual(entries, [
    ['b', 1],
    ['2', { x: '}' }],
    ['1', []],
  ]);
});
