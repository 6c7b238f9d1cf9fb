import { isJsonObject } from '../json.ts';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { errorText, LxmertDataError } from '../errors.ts';
import { describeOpenFailure } from './open-file.ts';

const EXPECTED = 'a list with one img_id a line, or LXMERT JSON';

/** Ids whose rows lead a store, in their order, each once. */
export interface PinnedIds {
  /** The file that lists them. */
  readonly path: string;
  readonly ids: readonly string[];
  readonly sha256: string;
}

/**
 * Reads a list of img_ids: a text file with one a line, a JSON array of strings, or an LXMERT JSON (an array of records with
 * `img_id`, or `img0` and `img1` for NLVR2), whose images count in the order of their first record.
 */
export async function readPinnedIds(path: string): Promise<PinnedIds> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw describeOpenFailure(path, error, EXPECTED);
  });
  const listed = /^\s*[[{]/.test(text) ? parseJsonIds(text, path) : text.split(/\r?\n/);
  const ids = [...new Set(listed.map(id => id.trim()).filter(id => id !== ''))];
  if (ids.length === 0) {
    throw new LxmertDataError('ERR_INPUT', {
      what: 'the list has no img_id',
      where: path,
      expected: EXPECTED,
    });
  }
  return { path, ids, sha256: createHash('sha256').update(ids.join('\n')).digest('hex') };
}

function parseJsonIds(text: string, path: string): string[] {
  let records: unknown;
  try {
    records = JSON.parse(text);
  } catch (cause) {
    throw new LxmertDataError('ERR_INPUT', {
      what: `not valid JSON (${errorText(cause)})`,
      where: path,
      hint: 'give a list with one img_id a line, or one of the JSON files of LXMERT',
      cause,
    });
  }
  if (!Array.isArray(records)) throw wrongRecord(path, 'an object');
  return records.flatMap((record: unknown, index) => {
    if (typeof record === 'string') return [record];
    if (!isJsonObject(record)) throw wrongRecord(path, `${JSON.stringify(record)} as record ${index}`);
    const found = ['img_id', 'img0', 'img1'].flatMap(key => {
      const value = record[key];
      return typeof value === 'string' ? [value] : [];
    });
    if (found.length === 0) throw wrongRecord(path, `record ${index} without an id`);
    return found;
  });
}

function wrongRecord(where: string, got: string): LxmertDataError {
  const expected = 'an array of ids, or of records with img_id (or img0 and img1)';
  return new LxmertDataError('ERR_INPUT', {
    what: 'no img_ids can be read from this JSON',
    where,
    expected,
    got,
  });
}
