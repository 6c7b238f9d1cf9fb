import { isJsonObject } from '../json.ts';
import { LxmertDataError } from '../errors.ts';
import { PythonFloat } from './python-json.ts';
import type { PythonValue } from './python-json.ts';

export type Nlvr2Split = 'train' | 'valid' | 'test';

/** One line of an official NLVR2 file as LXMERT's record; `index` counts the lines of the file from 0. */
export function makeNlvr2Record(raw: unknown, split: Nlvr2Split, index: number, where: string): PythonValue {
  const identifier = readText(raw, 'identifier', where);
  const stem = identifier.split('-').slice(0, -1).join('-');
  return {
    identifier,
    img0: `${stem}-img0`,
    img1: `${stem}-img1`,
    label: readText(raw, 'label', where) === 'True' ? 1 : 0,
    sent: readText(raw, 'sentence', where),
    uid: `nlvr2_${split}_${index}`,
  };
}

/** One question of an official GQA file as LXMERT's record; only questions with an answer have a label. */
export function makeGqaRecord(questionId: string, raw: unknown, where: string): PythonValue {
  const record = {
    img_id: readText(raw, 'imageId', where),
    question_id: questionId,
    sent: readText(raw, 'question', where),
  };
  if (typeof raw === 'object' && raw !== null && !Object.hasOwn(raw, 'answer')) return record;
  return { ...record, label: { [readText(raw, 'answer', where)]: new PythonFloat(1) } };
}

function readText(raw: unknown, field: string, where: string): string {
  const value = isJsonObject(raw) ? raw[field] : undefined;
  if (typeof value === 'string') return value;
  throw new LxmertDataError('ERR_INPUT', {
    what: `the record has no text "${field}"`,
    where,
    got: raw === undefined ? 'nothing' : JSON.stringify(raw).slice(0, 200),
    hint: 'is this the official file, unchanged?',
  });
}
