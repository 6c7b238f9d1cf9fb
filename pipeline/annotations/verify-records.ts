import { LxmertDataError } from '../errors.ts';
import { parseElement, readTopLevel } from './top-level.ts';

export type RecordSchema = 'vqa' | 'vqa-test' | 'gqa' | 'gqa-test' | 'nlvr2' | 'pretrain';

export interface RecordChecks {
  readonly schema: RecordSchema;
  /** Answers that the task's table knows; absent where the table is not there. */
  readonly answers?: ReadonlySet<string> | undefined;
  /** Images with features; absent where the store is not there. */
  readonly images?: ReadonlySet<string> | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface RecordFindings {
  readonly records: number;
  /** Kinds of problem with their count and the first cases. */
  readonly problems: ReadonlyMap<string, { count: number; examples: string[] }>;
  /** Every image that a record names. */
  readonly images: ReadonlySet<string>;
}

const ID_FIELD: Readonly<Record<RecordSchema, string>> = {
  vqa: 'question_id',
  'vqa-test': 'question_id',
  gqa: 'question_id',
  'gqa-test': 'question_id',
  nlvr2: 'uid',
  pretrain: 'img_id',
};
const TEXT_FIELDS: Readonly<Record<RecordSchema, readonly string[]>> = {
  vqa: ['sent', 'img_id'],
  'vqa-test': ['sent', 'img_id'],
  gqa: ['sent', 'img_id'],
  'gqa-test': ['sent', 'img_id'],
  nlvr2: ['sent', 'img0', 'img1', 'identifier'],
  pretrain: ['img_id'],
};
const MAX_EXAMPLES = 5;

type JsonObject = Record<string, unknown>;

/** One pass over a JSON of records: fields, ids, answers, images. Throws ERR_INPUT where it is no JSON. */
export async function verifyRecords(path: string, checks: RecordChecks): Promise<RecordFindings> {
  const problems = new Map<string, { count: number; examples: string[] }>();
  const ids = new Set<unknown>();
  const images = new Set<string>();
  let records = 0;
  const add = (kind: string, example: string): void => {
    const problem = problems.get(kind) ?? { count: 0, examples: [] };
    problem.count++;
    if (problem.examples.length < MAX_EXAMPLES) problem.examples.push(example);
    problems.set(kind, problem);
  };
  for await (const elements of readTopLevel(path, 'array', { signal: checks.signal })) {
    for (const element of elements) {
      records++;
      const record = parseElement(path, element);
      if (typeof record !== 'object' || record === null || Array.isArray(record)) {
        add('not an object', `record ${records}`);
        continue;
      }
      checkRecord(record as JsonObject, records, checks, ids, images, add);
    }
  }
  return { records, problems, images };
}

function checkRecord(
  record: JsonObject,
  number: number,
  { schema, answers, images: known }: RecordChecks,
  ids: Set<unknown>,
  images: Set<string>,
  add: (kind: string, example: string) => void,
): void {
  const id = record[ID_FIELD[schema]];
  const where = `record ${number} (${ID_FIELD[schema]} ${id === undefined ? 'missing' : JSON.stringify(id)})`;
  if (typeof id !== 'string' && typeof id !== 'number') add(`no ${ID_FIELD[schema]}`, where);
  else if (ids.has(id)) add(`${ID_FIELD[schema]} comes twice`, where);
  ids.add(id);
  for (const field of TEXT_FIELDS[schema]) {
    if (typeof record[field] !== 'string') add(`no text "${field}"`, where);
  }
  for (const field of schema === 'nlvr2' ? ['img0', 'img1'] : ['img_id']) {
    const image = record[field];
    if (typeof image !== 'string') continue;
    images.add(image);
    if (known !== undefined && !known.has(image)) add('image without features', `${where}: ${image}`);
  }
  if (schema === 'nlvr2') {
    if (record['label'] !== 0 && record['label'] !== 1) add('label is not 0 or 1', where);
  } else if (schema === 'pretrain') {
    checkSentences(record['sentf'], where, add);
    for (const answer of pretrainAnswers(record['labelf'])) {
      if (answers?.has(answer) === false) add('unknown answer', `${where}: ${JSON.stringify(answer)}`);
    }
  } else if (record['label'] !== undefined) {
    const label = record['label'];
    if (typeof label !== 'object' || label === null) add('label is not an object', where);
    else {
      for (const answer of Object.keys(label)) {
        if (answers?.has(answer) === false) add('unknown answer', `${where}: ${JSON.stringify(answer)}`);
      }
    }
  }
}

function checkSentences(sentf: unknown, where: string, add: (kind: string, example: string) => void): void {
  const isFit =
    typeof sentf === 'object' &&
    sentf !== null &&
    Object.values(sentf).every(list => Array.isArray(list) && list.every(text => typeof text === 'string'));
  if (!isFit) add('no lists of sentences in "sentf"', where);
}

function pretrainAnswers(labelf: unknown): string[] {
  if (typeof labelf !== 'object' || labelf === null) return [];
  return Object.values(labelf).flatMap((labels): string[] =>
    Array.isArray(labels)
      ? (labels as unknown[]).flatMap((label): string[] =>
          typeof label === 'object' && label !== null ? Object.keys(label) : [],
        )
      : [],
  );
}

/** Answers of a table, whichever of its three forms it has. Throws ERR_INPUT where it has none of them. */
export function readAnswers(text: string, path: string): ReadonlySet<string> {
  const table = JSON.parse(text) as unknown;
  if (Array.isArray(table)) {
    return new Set(
      table.map((entry: unknown) =>
        typeof entry === 'string' ? entry : String((entry as JsonObject)['ans']),
      ),
    );
  }
  if (typeof table === 'object' && table !== null) return new Set(Object.keys(table));
  throw new LxmertDataError('ERR_INPUT', { what: 'not an answer table', where: path });
}
