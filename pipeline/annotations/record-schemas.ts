/*
 * What each kind of JSON that LXMERT reads holds: the one table that downloads are counted by, that verification checks
 * records by, and that manifests name. Another kind is an entry here.
 */

/** What a field of a record must be. */
export type FieldRule =
  /** Text or a number that no other record has. */
  | 'id'
  | 'text'
  /** Text: the img_id of a row of features. */
  | 'image'
  | 'zero-or-one'
  /** An object whose keys are answers. */
  | 'answers'
  /** An object of lists of such objects: answers by the dataset they come from. */
  | 'answer-lists'
  /** An object of lists of texts: sentences by the dataset they come from. */
  | 'sentences'
  | 'anything';

export interface RecordField {
  readonly name: string;
  readonly rules: readonly FieldRule[];
  /** LXMERT loads records without it. */
  readonly isOptional?: boolean;
}

export interface FileSchema {
  /** A JSON list of objects or of texts, a JSON object, or a line each. */
  readonly holds: 'records' | 'texts' | 'entries' | 'lines';
  /** Of records. The first field that must be unique names a record in messages. */
  readonly fields: readonly RecordField[];
}

const field = (name: string, ...rules: FieldRule[]): RecordField => ({ name, rules });
const optional = (name: string, ...rules: FieldRule[]): RecordField => ({ name, rules, isOptional: true });
const records = (...fields: RecordField[]): FileSchema => ({ holds: 'records', fields });

/** VQA and GQA; questions of a test split have no label. */
const QUESTIONS = records(
  field('question_id', 'id'),
  field('sent', 'text'),
  field('img_id', 'image'),
  optional('label', 'answers'),
);

/** Questions and sentences: assets of the kind `json`. */
export const RECORD_SCHEMAS = {
  vqa: QUESTIONS,
  'vqa-test': QUESTIONS,
  gqa: QUESTIONS,
  'gqa-test': QUESTIONS,
  nlvr2: records(
    field('uid', 'id'),
    field('sent', 'text'),
    field('img0', 'image'),
    field('img1', 'image'),
    field('identifier', 'text'),
    field('label', 'zero-or-one'),
  ),
  pretrain: records(
    field('img_id', 'id', 'image'),
    field('sentf', 'sentences'),
    optional('labelf', 'answer-lists'),
  ),
} satisfies Readonly<Record<string, FileSchema>>;

/** Answer tables and vocabularies: assets of the kind `table`. */
export const TABLE_SCHEMAS = {
  ans2label: { holds: 'entries', fields: [] },
  hashes: { holds: 'entries', fields: [] },
  label2ans: { holds: 'texts', fields: [] },
  'all-ans': records(field('ans', 'text'), field('dsets', 'anything')),
  lines: { holds: 'lines', fields: [] },
} satisfies Readonly<Record<string, FileSchema>>;

export type RecordSchemaName = keyof typeof RECORD_SCHEMAS;
export type TableSchemaName = keyof typeof TABLE_SCHEMAS;

export const RECORD_SCHEMA_NAMES = namesOf(RECORD_SCHEMAS);
export const TABLE_SCHEMA_NAMES = namesOf(TABLE_SCHEMAS);

export function findSchema(name: RecordSchemaName | TableSchemaName): FileSchema {
  return { ...RECORD_SCHEMAS, ...TABLE_SCHEMAS }[name];
}

function namesOf<Name extends string>(table: Readonly<Record<Name, FileSchema>>): readonly Name[] {
  return Object.keys(table) as Name[];
}
