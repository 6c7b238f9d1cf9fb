import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { LxmertDataError } from '../../pipeline/errors.ts';
import { parseHeader } from '../../pipeline/store/parse-header.ts';
import { convert } from '../../pipeline/stages/convert.ts';
import { verifyStore } from '../../pipeline/stages/verify-store.ts';
import { openStore } from '../../pipeline/store/feature-store.ts';
import { seededRandom } from '../../pipeline/rows/synthetic-row.ts';
import { runCli } from '../helpers/cli.ts';
import { dataStartOf, HOSTILE_STORES, rewritten, withHeaderText } from '../helpers/hostile-store.ts';
import { STORE_MESSAGES } from '../helpers/hostile-store-messages.ts';
import { makeContext, makeLine, makeLines, writeTsv } from '../helpers/rows.ts';
import { makeTempFolder } from '../helpers/temp.ts';

/** Three images, the last with a shorter id, so that ids have padding. */
async function makeStore(t: ExecutionContext): Promise<{ folder: string; bytes: Buffer }> {
  const folder = await makeTempFolder(t);
  const path = await writeTsv(folder, [...makeLines(2), makeLine({ img_id: 'SHORT' }, 2)]);
  const { store } = await convert({ files: [path], threads: 1 }, makeContext());
  return { folder, bytes: await readFile(store!) };
}

/** What verify says about a store: why it cannot be opened, or all that it finds; without its folder. */
async function messagesOf(path: string): Promise<readonly string[]> {
  try {
    const { ok, faults, damaged } = await verifyStore(path, makeContext(), 1);
    const images = damaged.map(
      ({ row, img_id, expected, got }) => `row ${row} ${img_id}: ${got}, expected ${expected}`,
    );
    // The header's own checksum changes with every version of this tool.
    const anonymous = faults.map(fault =>
      fault.replace(/(header does not match its checksum) [0-9a-f]{8}/, '$1 ########'),
    );
    return ok ? ['intact'] : [...anonymous, ...images];
  } catch (error) {
    if (error instanceof LxmertDataError) return error.message.replaceAll(path, 'x.safetensors').split('\n');
    throw error;
  }
}

let base: Promise<Buffer> | undefined;

const brokenStore = test.macro({
  title: (_, title: string) => `broken store: ${title}`,
  async exec(t, title: string, make: (bytes: Buffer) => Buffer) {
    base ??= makeStore(t).then(({ bytes }) => bytes);
    const path = join(await makeTempFolder(t), 'x.safetensors');
    await writeFile(path, make(await base));
    t.deepEqual(await messagesOf(path), STORE_MESSAGES[title]);
    // A store that opens has rows of the right shape.
    const store = await openStore(path).catch((error: unknown) => {
      t.true(error instanceof LxmertDataError, String(error));
    });
    if (store === undefined) return;
    try {
      for await (const row of store.sequence()) t.is(row.features.length, 36 * 2048);
    } catch (error) {
      t.true(error instanceof LxmertDataError, String(error));
    } finally {
      await store.close();
    }
  },
});

for (const { title, make } of HOSTILE_STORES) test(brokenStore, title, make);

test('each kind of broken store has its message, and there are many', t => {
  t.deepEqual(HOSTILE_STORES.map(({ title }) => title).sort(), Object.keys(STORE_MESSAGES).sort());
  t.true(HOSTILE_STORES.length >= 80);
});

test('every flipped bit of the header is found', async t => {
  t.timeout(120_000);
  const { bytes } = await makeStore(t);
  const dataStart = dataStartOf(bytes);
  const textEnd = bytes.lastIndexOf('}', dataStart) + 1;
  const missed: string[] = [];
  const head = Buffer.from(bytes.subarray(0, dataStart));
  const isFound = (): boolean => {
    try {
      return !parseHeader('x', head, bytes.length).crcAgrees;
    } catch (error) {
      return error instanceof LxmertDataError;
    }
  };
  t.false(isFound());
  for (let at = 0; at < dataStart; at++) {
    // All bits of the text, one of each byte of the padding behind it.
    const bits = at < textEnd + 64 ? [0, 1, 2, 3, 4, 5, 6, 7] : [at % 8];
    for (const bit of bits) {
      head[at]! ^= 1 << bit;
      if (!isFound()) missed.push(`byte ${at} bit ${bit}`);
      head[at]! ^= 1 << bit;
    }
  }
  t.deepEqual(missed, []);
});

test('flipped bits anywhere in the data are found, and their images named', async t => {
  t.timeout(120_000);
  const { folder, bytes } = await makeStore(t);
  const path = join(folder, 'x.safetensors');
  const dataStart = dataStartOf(bytes);
  const random = seededRandom(11);
  const small = bytes.length - dataStart - 3 * 294_912;
  for (let round = 0; round < 60; round++) {
    // Half of them in the small tensors behind the features.
    const span = round % 2 === 0 ? small : bytes.length - dataStart;
    const at = bytes.length - 1 - Math.floor(random() * span);
    bytes[at]! ^= 1 << Math.floor(random() * 8);
    await writeFile(path, bytes);
    const { ok, damaged } = await verifyStore(path, makeContext(), 1);
    t.false(ok, `byte ${at}`);
    if (at - dataStart < 3 * 294_912)
      t.deepEqual(
        damaged.map(({ row }) => row),
        [Math.floor((at - dataStart) / 294_912)],
      );
    bytes[at] = (await readFile(join(folder, 'rows.safetensors')))[at]!;
  }
});

test('a store cut anywhere is refused', async t => {
  const { folder, bytes } = await makeStore(t);
  const path = join(folder, 'x.safetensors');
  const random = seededRandom(12);
  for (let round = 0; round < 60; round++) {
    await writeFile(path, bytes.subarray(0, Math.floor(random() * bytes.length)));
    await t.throwsAsync(openStore(path), { name: 'LxmertDataError' });
  }
});

test('a header that another tool wrote: the images are still proven one by one, exit code 1', async t => {
  const { folder, bytes } = await makeStore(t);
  const path = join(folder, 'x.safetensors');
  await writeFile(path, rewritten(bytes));
  const { code, stdout } = await runCli(['verify', path]);
  t.is(code, 1);
  t.regex(stdout, /the header does not match its checksum/);
  const store = await openStore(path);
  t.deepEqual(await store.ids(), ['SYNTHETIC_000000000000', 'SYNTHETIC_000000000001', 'SHORT']);
  await store.close();
  const { damaged } = await verifyStore(path, makeContext(), 1);
  t.deepEqual(damaged, []);
});

test('verify refuses metadata that cannot be read, with exit code 1 and no stack', async t => {
  const { folder, bytes } = await makeStore(t);
  const path = join(folder, 'x.safetensors');
  const text = bytes.toString('utf8', 8, dataStartOf(bytes)).trimEnd();
  await writeFile(path, withHeaderText(bytes, text.replace(/"detector":"(\\.|[^"])*"/, '"detector":"null"')));
  const { code, stdout, stderr } = await runCli(['verify', path]);
  t.is(code, 1);
  t.is(stdout, '');
  t.is(stderr.split('\n')[0], `error: ${path}: metadata detector is invalid`);
});
