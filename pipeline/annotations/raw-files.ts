import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import { makeGqaRecord, makeNlvr2Record } from './lxmert-records.ts';
import type { Nlvr2Split } from './lxmert-records.ts';
import type { PythonValue } from './python-json.ts';
import { parseEntry, readTopLevel } from './top-level.ts';

const BATCH_RECORDS = 1000;
const MAX_LINE_BYTES = 1 << 20;

/** Records of an official NLVR2 file (one JSON object a line), in file order. */
export async function* readNlvr2(
  path: string,
  split: Nlvr2Split,
  signal?: AbortSignal,
): AsyncGenerator<PythonValue[]> {
  let batch: PythonValue[] = [];
  let index = 0;
  for await (const line of readLines(path, signal)) {
    const where = `${path}:${index + 1}`;
    let raw: unknown;
    try {
      raw = JSON.parse(line);
    } catch (cause) {
      throw new LxmertDataError('ERR_INPUT', {
        what: 'the line is not JSON',
        where,
        got: line === '' ? 'an empty line' : line.slice(0, 200),
        hint: "give NLVR2's data folder with its train.json, dev.json and test1.json",
        cause,
      });
    }
    batch.push(makeNlvr2Record(raw, split, index, where));
    index++;
    if (batch.length === BATCH_RECORDS) {
      yield batch;
      batch = [];
    }
  }
  yield batch;
}

/** Lines without their LF. node:readline would also cut at U+2028, which may occur inside a JSON string. */
async function* readLines(path: string, signal?: AbortSignal): AsyncGenerator<string> {
  let pending: Buffer = Buffer.alloc(0);
  let number = 0;
  const decode = (bytes: Buffer): string => {
    number++;
    if (bytes.length <= MAX_LINE_BYTES && isUtf8(bytes)) return bytes.toString('utf8');
    const what = bytes.length > MAX_LINE_BYTES ? 'the line is too long' : 'the line is not UTF-8';
    throw new LxmertDataError('ERR_INPUT', { what, where: `${path}:${number}` });
  };
  const chunks: AsyncIterable<Buffer> = createReadStream(path, { signal });
  for await (const chunk of chunks) {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    let start = 0;
    for (let end = pending.indexOf(0x0a); end >= 0; end = pending.indexOf(0x0a, start)) {
      yield decode(pending.subarray(start, end));
      start = end + 1;
    }
    pending = pending.subarray(start);
    if (pending.length > MAX_LINE_BYTES) decode(pending);
  }
  if (pending.length > 0) yield decode(pending);
}

/** Records of official GQA question files (one object keyed by question id), file after file. */
export async function* readGqa(
  paths: readonly string[],
  signal?: AbortSignal,
): AsyncGenerator<PythonValue[]> {
  for (const path of paths) {
    const ids = new Set<string>();
    for await (const elements of readTopLevel(path, 'object', { signal })) {
      yield elements.map(element => {
        const [id, raw] = parseEntry(path, element);
        const where = `${path}, question "${id}"`;
        if (ids.has(id))
          throw new LxmertDataError('ERR_INPUT', { what: 'the question id comes twice', where });
        ids.add(id);
        return makeGqaRecord(id, raw, where);
      });
    }
  }
}

/** Files of a folder in the order in which the file system lists them, which is the order LXMERT's script takes. */
export async function listInFolderOrder(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const entry of await opendir(folder)) paths.push(join(folder, entry.name));
  return paths;
}
