import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import test from 'ava';
import { parse } from 'csv-parse/sync';
import { LxmertDataError } from '../../pipeline/errors.ts';
import { decodeRow } from '../../pipeline/rows/decode-row.ts';
import {
  imageIdBytes,
  imageSize,
  recordColumn,
  RECORD_BYTES,
  type RowRecord,
  rowRecordAt,
} from '../../pipeline/rows/row-record.ts';
import { BUTD36, FEATURE_BYTES, OBJ36, type RowShape } from '../../pipeline/rows/row-shape.ts';
import { parseHeader } from '../../pipeline/store/parse-header.ts';
import { openRowSource } from '../../pipeline/inputs/open-source.ts';
import { convert } from '../../pipeline/stages/convert.ts';
import { exportTsv } from '../../pipeline/stages/export-tsv.ts';
import { plainParts } from '../../pipeline/store/store-filler.ts';
import { verifyStore } from '../../pipeline/stages/verify-store.ts';
import { openStore } from '../../pipeline/store/feature-store.ts';
import { seededRandom } from '../../pipeline/rows/synthetic-row.ts';
import { CONTENT } from '../helpers/hostile-zip.ts';
import { dataStartOf } from '../helpers/hostile-store.ts';
import { mutate, pick, type Random } from '../helpers/mutations.ts';
import { makeContext, makeLines, writeTsv } from '../helpers/rows.ts';
import { readAll } from '../helpers/sources.ts';
import { makeTempFolder } from '../helpers/temp.ts';
import { makeZip } from '../helpers/zip.ts';

/*
 * Seeded fuzzing: the same rounds every time. FUZZ_FACTOR=20 runs twenty times as many, FUZZ_SEED=7 other ones; a failure names
 * its round.
 */
const FACTOR = Number(process.env['FUZZ_FACTOR'] ?? 1);
const SEED = Number(process.env['FUZZ_SEED'] ?? 1);

/** Runs rounds, each with a generator of its own, and says which one failed. */
async function fuzz(
  rounds: number,
  body: (random: Random, round: number) => Promise<void> | void,
): Promise<void> {
  for (let round = 0; round < rounds * FACTOR; round++) {
    try {
      await body(seededRandom(SEED * 1_000_003 + round), round);
    } catch (error) {
      throw new Error(
        `seed ${SEED}, round ${round}: ${error instanceof Error ? (error.stack ?? '') : String(error)}`,
        { cause: error },
      );
    }
  }
}

function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

/** The slow reference: csv-parse cuts the row, Buffer decodes the base64. */
function referenceFields(text: string): string[][] {
  return parse(text, {
    delimiter: '\t',
    quote: '"',
    trim: true,
    relax_column_count: true,
    record_delimiter: ['\r\n', '\n'],
    skip_empty_lines: true,
  });
}

function checkAgainstReference(line: Buffer, record: RowRecord, features: Uint8Array, shape: RowShape): void {
  const records = referenceFields(line.toString('utf8'));
  check(records.length === 1, `the reference sees ${records.length} rows`);
  const fields = records[0]!;
  check(fields.length === shape.columns.length, `the reference sees ${fields.length} columns`);
  check(fields[0] === imageIdBytes(record).toString('utf8'), 'another id');
  check(Number(fields[shape.heightIndex]) === imageSize(record).height, 'another height');
  check(Number(fields[shape.widthIndex]) === imageSize(record).width, 'another width');
  check(fields[shape.countIndex] === '36', 'another number of boxes');
  for (const { name, index } of shape.binary) {
    const bytes = name === 'features' ? Buffer.from(features) : recordColumn(record, name);
    check(Buffer.from(fields[index]!, 'base64').equals(bytes), `other ${name}`);
  }
}

/** Places of tabs, and of the ends of the line: where a row is fragile. */
function hotPlaces(line: Buffer): number[] {
  const places = [0, line.length - 1];
  for (let at = line.indexOf(9); at >= 0; at = line.indexOf(9, at + 1)) places.push(at);
  return places;
}

function fuzzRows(shape: RowShape, rounds: number): () => Promise<number> {
  return async () => {
    const sources = ['\r\n', '\n', ''].map(lineEnd => Buffer.from(makeLines(1, 3, shape, lineEnd)[0]!));
    const features = new Uint8Array(FEATURE_BYTES);
    let accepted = 0;
    await fuzz(rounds, random => {
      const source = pick(random, sources);
      const line = mutate(random, source, hotPlaces(source));
      const inner = line.indexOf(10);
      // The line cutter ends rows at LF; what a row decoder gets has none inside.
      if (inner >= 0 && inner < line.length - 1) return;
      const record = rowRecordAt(new ArrayBuffer(RECORD_BYTES), 0);
      let errors = 0;
      const row = decodeRow(
        line,
        shape,
        { features, scratch: features, dtype: 'f32', record },
        ({ severity }) => {
          if (severity === 'error') errors++;
        },
      );
      check((row.status === 'bad') === errors > 0, `${row.status} with ${errors} errors`);
      if (row.status !== 'ok') return;
      accepted++;
      const parts = row.parts ?? plainParts(record, shape);
      const text = shape.binary.map(
        ({ name }, index) =>
          parts[index]! +
          (name === 'features' ? Buffer.from(features) : recordColumn(record, name)).toString('base64'),
      );
      check(
        Buffer.from(text.join('') + parts.at(-1)!).equals(line),
        'the row does not come back byte for byte',
      );
      checkAgainstReference(line, record, features, shape);
    });
    return accepted;
  };
}

test.serial(
  'mutated rows are refused, or mean what the reference reader says and come back byte for byte',
  async t => {
    t.timeout(3_600_000);
    t.true((await fuzzRows(OBJ36, 1200)()) > 20);
    t.true((await fuzzRows(BUTD36, 300)()) > 5);
  },
);

test.serial('mutated TSVs become a store that gives the same bytes back, or none', async t => {
  t.timeout(3_600_000);
  const folder = await makeTempFolder(t);
  const lines = makeLines(3);
  const sources = [
    lines,
    lines.map(line => line.replace('\r\n', '\n')),
    [...lines.slice(0, 2), lines[2]!.trimEnd()],
  ].map(rows => Buffer.from(rows.join('')));
  const path = join(folder, 'rows.tsv');
  const store = join(folder, 'rows.safetensors');
  const back = join(folder, 'back.tsv');
  let accepted = 0;
  await fuzz(50, async random => {
    const source = pick(random, sources);
    const bytes = mutate(random, source, hotPlaces(source));
    await writeFile(path, bytes);
    const result = await convert({ files: [path], out: store, force: true, threads: 1 }, makeContext()).catch(
      (error: unknown) => {
        if (error instanceof LxmertDataError && error.code === 'ERR_INPUT') return undefined;
        throw error;
      },
    );
    if (result?.store == null) {
      check(result === undefined || result.errors > 0, 'no store and no reason');
      return;
    }
    accepted++;
    check(result.errors === 0, 'a store in spite of errors');
    await exportTsv({ store, out: back, force: true }, makeContext());
    check((await readFile(back)).equals(bytes), 'other bytes came back');
    const records = referenceFields(bytes.toString('utf8'));
    const opened = await openStore(store);
    check(opened.rows === records.length, `${opened.rows} rows, ${records.length} in the reference`);
    for await (const row of opened.sequence()) {
      const fields = records.shift()!;
      const features = Buffer.from(row.features.buffer, row.features.byteOffset, row.features.byteLength);
      check(
        row.img_id === fields[0] && features.equals(Buffer.from(fields[9]!, 'base64')),
        `other values in ${row.img_id}`,
      );
    }
    await opened.close();
    await rm(store);
  });
  t.true(accepted > 0);
});

test.serial('mutated zips are refused, or give the same bytes', async t => {
  t.timeout(3_600_000);
  const folder = await makeTempFolder(t);
  const path = join(folder, 'rows.zip');
  const content = CONTENT.subarray(0, 30_000);
  const member = { name: 'data/rows.tsv', content };
  const others = [{ name: 'notes.txt', content: Buffer.from('notes') }, member];
  const zips = [
    makeZip([{ ...member, packed: deflateRawSync(content) }]),
    makeZip([{ ...member, method: 0 }], { comment: Buffer.from('a comment') }),
    makeZip([{ ...member, zip64: true, packed: deflateRawSync(content) }], { zip64: true }),
    makeZip(others),
  ].map(bytes => ({ bytes, hot: headerPlaces(bytes) }));
  await fuzz(1500, async random => {
    const { bytes, hot } = pick(random, zips);
    await writeFile(path, mutate(random, bytes, hot));
    const read = await openRowSource(path)
      .then(readAll)
      .catch((error: unknown) => {
        if (error instanceof LxmertDataError) return undefined;
        throw error;
      });
    check(read === undefined || read.equals(content), 'other bytes were accepted');
  });
  t.pass();
});

/** Every byte of the headers of a zip archive. */
function headerPlaces(bytes: Buffer): number[] {
  const places: number[] = [];
  for (let at = bytes.indexOf('PK'); at >= 0; at = bytes.indexOf('PK', at + 1)) {
    for (let offset = 0; offset < 60; offset++) places.push(at + offset);
  }
  return places;
}

test.serial('mutated store headers are refused, or verify finds them', async t => {
  t.timeout(3_600_000);
  const folder = await makeTempFolder(t);
  const { store } = await convert(
    { files: [await writeTsv(folder, makeLines(2))], threads: 1 },
    makeContext(),
  );
  const bytes = await readFile(store!);
  const head = bytes.subarray(0, dataStartOf(bytes));
  const textEnd = head.lastIndexOf('}') + 1;
  const hot = Array.from({ length: textEnd }, (_, at) => at);
  const data = bytes.subarray(head.length);
  await fuzz(4000, random => {
    // Mutations that change the length move the data along, or shorten the padding, as a tool would.
    let mutated = mutate(random, head, hot);
    if (random() < 0.5 && mutated.length >= 8) mutated = resize(mutated, head.length);
    try {
      const file = Buffer.concat([mutated, data]);
      const { crcAgrees } = parseHeader('x', file, file.length);
      check(!crcAgrees || file.equals(bytes), 'a changed header was accepted');
    } catch (error) {
      if (!(error instanceof LxmertDataError)) throw error;
    }
  });
  t.pass();
});

function resize(bytes: Buffer, length: number): Buffer {
  return Buffer.concat([bytes.subarray(0, length), Buffer.alloc(Math.max(0, length - bytes.length), ' ')]);
}

test.serial('mutated stores are refused, or verify finds them', async t => {
  t.timeout(3_600_000);
  const folder = await makeTempFolder(t);
  const { store } = await convert(
    { files: [await writeTsv(folder, makeLines(2))], threads: 1 },
    makeContext(),
  );
  const bytes = await readFile(store!);
  const tables = dataStartOf(bytes) + 2 * FEATURE_BYTES;
  const hot = Array.from({ length: bytes.length - tables }, (_, at) => tables + at);
  const path = join(folder, 'mutated.safetensors');
  await fuzz(60, async random => {
    const mutated = mutate(random, bytes, hot);
    await writeFile(path, mutated);
    const ok = await verifyStore(path, makeContext(), 1).then(
      result => result.ok,
      (error: unknown) => {
        if (error instanceof LxmertDataError) return false;
        throw error;
      },
    );
    check(!ok || mutated.equals(bytes), 'a changed store was called intact');
  });
  t.pass();
});
