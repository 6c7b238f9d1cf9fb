import { isJsonObject, parseJson } from '../json.ts';
import { LxmertDataError } from '../errors.ts';
import { type FieldRule, RECORD_SCHEMAS, type RecordField, type RecordSchemaName } from './record-schemas.ts';
import { parseElement, readTopLevel } from './top-level.ts';

export interface RecordChecks {
  readonly schema: RecordSchemaName;
  /** Answers in the task's table; undefined where the table is missing. */
  readonly answers?: ReadonlySet<string> | undefined;
  /** Images with features; undefined where the store is missing. */
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

/** The kind of problem that is about the features and not about the file. */
export const IMAGE_WITHOUT_FEATURES = 'image without features';

const MAX_EXAMPLES = 5;

/** One pass over a JSON of records: fields, ids, answers, images. Throws ERR_INPUT where it is not JSON. */
export async function verifyRecords(path: string, checks: RecordChecks): Promise<RecordFindings> {
  const verification = new RecordVerification(checks);
  for await (const elements of readTopLevel(path, 'array', { signal: checks.signal })) {
    for (const element of elements) verification.check(parseElement(path, element), element.text);
  }
  return verification;
}

class RecordVerification implements RecordFindings {
  readonly problems = new Map<string, { count: number; examples: string[] }>();
  readonly images = new Set<string>();
  records = 0;
  readonly #checks: RecordChecks;
  readonly #fields: readonly RecordField[];
  readonly #idField: string;
  readonly #ids = new Set<unknown>();
  /** How messages name the record at hand. */
  #where = '';

  constructor(checks: RecordChecks) {
    this.#checks = checks;
    this.#fields = RECORD_SCHEMAS[checks.schema].fields;
    this.#idField = this.#fields.find(({ rules }) => rules.includes('id'))?.name ?? '';
  }

  /** `text` is the record as it is in the file, for numbers that JavaScript would round. */
  check(record: unknown, text: string): void {
    this.records++;
    this.#where = `record ${this.records}`;
    if (!isJsonObject(record)) {
      this.#add('not an object');
      return;
    }
    const id = exactNumber(record[this.#idField], this.#idField, text);
    this.#where += ` (${this.#idField} ${describeId(id)})`;
    for (const field of this.#fields) {
      const value = field.name === this.#idField ? id : record[field.name];
      if (value === undefined && field.isOptional === true) continue;
      for (const rule of field.rules) this.#rules[rule](value, field.name);
    }
  }

  readonly #rules: Readonly<Record<FieldRule, (value: unknown, name: string) => void>> = {
    id: (value, name) => {
      if (!['string', 'number', 'bigint'].includes(typeof value)) this.#add(`no ${name}`);
      else if (this.#ids.has(value)) this.#add(`${name} comes twice`);
      this.#ids.add(value);
    },
    text: (value, name) => {
      if (typeof value !== 'string') this.#add(`no text "${name}"`);
    },
    image: (value, name) => {
      if (typeof value !== 'string') {
        this.#add(`no text "${name}"`);
        return;
      }
      this.images.add(value);
      if (this.#checks.images?.has(value) === false) this.#add(IMAGE_WITHOUT_FEATURES, value);
    },
    'zero-or-one': (value, name) => {
      if (value !== 0 && value !== 1) this.#add(`${name} is not 0 or 1`);
    },
    answers: (value, name) => {
      if (isJsonObject(value)) this.#checkAnswers(Object.keys(value));
      else this.#add(`${name} is not an object`);
    },
    'answer-lists': value => {
      this.#checkAnswers(listsOf(value).flat().filter(isJsonObject).flatMap(Object.keys));
    },
    sentences: (value, name) => {
      const isFit = isJsonObject(value) && Object.values(value).every(isTextList);
      if (!isFit) this.#add(`no lists of sentences in "${name}"`);
    },
    anything: () => undefined,
  };

  #checkAnswers(answers: readonly string[]): void {
    for (const answer of answers) {
      if (this.#checks.answers?.has(answer) === false) this.#add('unknown answer', JSON.stringify(answer));
    }
  }

  #add(kind: string, detail?: string): void {
    const problem = this.problems.get(kind) ?? { count: 0, examples: [] };
    problem.count++;
    if (problem.examples.length < MAX_EXAMPLES) {
      problem.examples.push(detail === undefined ? this.#where : `${this.#where}: ${detail}`);
    }
    this.problems.set(kind, problem);
  }
}

/** A whole number beyond 2^53 as it is written, since two neighbours would become one; every other value as it is. */
function exactNumber(value: unknown, name: string, text: string): unknown {
  if (typeof value !== 'number' || !Number.isInteger(value) || Number.isSafeInteger(value)) return value;
  const digits = new RegExp(`"${name}"\\s*:\\s*(-?[0-9]+)\\s*[,}]`).exec(text)?.[1];
  return digits === undefined ? value : BigInt(digits);
}

function describeId(id: unknown): string {
  if (id === undefined) return 'missing';
  return typeof id === 'bigint' ? String(id) : JSON.stringify(id);
}

function isTextList(value: unknown): boolean {
  return Array.isArray(value) && value.every(text => typeof text === 'string');
}

function listsOf(value: unknown): unknown[][] {
  return isJsonObject(value) ? Object.values(value).filter(list => Array.isArray(list)) : [];
}

/** Answers of a table, whichever of its three forms it has. Throws ERR_INPUT where it has none of them. */
export function readAnswers(text: string, path: string): ReadonlySet<string> {
  const table = parseJson(text);
  if (Array.isArray(table)) return new Set(table.map(entry => answerOf(entry, path)));
  if (isJsonObject(table)) return new Set(Object.keys(table));
  throw new LxmertDataError('ERR_INPUT', { what: 'not an answer table', where: path });
}

function answerOf(entry: unknown, path: string): string {
  const answer = isJsonObject(entry) ? entry['ans'] : entry;
  if (typeof answer === 'string') return answer;
  const got = JSON.stringify(entry).slice(0, 80);
  throw new LxmertDataError('ERR_INPUT', {
    what: 'an entry is not an answer',
    where: path,
    expected: 'text',
    got,
  });
}
