import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { cocoImageId } from '../coco-ids.ts';
import { LxmertDataError } from '../errors.ts';
import type { PythonValue } from './python-json.ts';
import { parseElement } from './top-level.ts';
import { AnswerTable, asObject, formatLabel, readInteger, readText } from './vqa-answers.ts';
import {
  annotationsOf,
  findOfficial,
  type FoundFile,
  type OfficialSplit,
  questionsOf,
  requireOfficial,
} from './vqa-official.ts';
import { hashAnswers, type VqaRule } from './vqa-rule.ts';

const MINIVAL = fileURLToPath(new URL('../../manifests/minival-image-ids.txt', import.meta.url));

/** One of LXMERT's files and how its records are made. */
export interface VqaFile {
  readonly output: 'train.json' | 'nominival.json' | 'minival.json' | 'test.json';
  readonly raw: string;
  readonly read: (signal?: AbortSignal) => AsyncGenerator<PythonValue[]>;
}

/** The official question files of a folder; undefined where one is missing. */
export interface VqaQuestions {
  readonly train: FoundFile | undefined;
  readonly val: FoundFile | undefined;
  readonly test: FoundFile | undefined;
}

export interface VqaInput {
  /** Folder of the official zips, or of the JSON inside them. */
  readonly rawDirectory: string;
  /** From `findVqaQuestions`. */
  readonly questions: VqaQuestions;
  readonly rule: VqaRule;
  /** img_ids of minival; by default the published 5,000. */
  readonly minival?: ReadonlySet<string> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The img_ids of minival's 5,000 images, in the order of the published features. */
export async function readMinivalIds(): Promise<ReadonlySet<string>> {
  const text = await readFile(MINIVAL, 'utf8');
  return new Set(text.split('\n').filter(line => line !== ''));
}

/** Looks for the official question files, without reading them. */
export async function findVqaQuestions(rawDirectory: string): Promise<VqaQuestions> {
  const [train, val, test] = await Promise.all([
    findOfficial(rawDirectory, questionsOf('train2014')),
    findOfficial(rawDirectory, questionsOf('val2014')),
    findOfficial(rawDirectory, questionsOf('test2015')),
  ]);
  return { train, val, test };
}

/** LXMERT's files that can be made of these questions, in the order in which they are made. */
export function listVqaOutputs({ train, val, test }: VqaQuestions): readonly VqaFile['output'][] {
  return [
    ...(train === undefined ? [] : (['train.json'] as const)),
    ...(val === undefined ? [] : (['nominival.json', 'minival.json'] as const)),
    ...(test === undefined ? [] : (['test.json'] as const)),
  ];
}

/**
 * How each of LXMERT's files is made of the official ones. The annotations of train
 * and val are both needed for either, since answers become classes by their number in the two together; they are read
 * here, counted, and held to the rule's checks.
 *
 * @throws LxmertDataError ERR_INPUT for a missing, damaged or other file, and where answers differ from the known ones
 */
export async function planVqa(input: VqaInput): Promise<readonly VqaFile[]> {
  const { train, val, test } = input.questions;
  const files: VqaFile[] = [];
  if (train !== undefined || val !== undefined) {
    const table = await readAnswers(input);
    const minival = input.minival ?? (await readMinivalIds());
    const labelled = (
      output: VqaFile['output'],
      questions: FoundFile,
      split: OfficialSplit,
      takes: (imageId: string) => boolean,
    ): VqaFile => ({
      output,
      raw: questions.path,
      read: signal => readLabelled({ questions, split, table, takes, signal }),
    });
    if (train !== undefined) files.push(labelled('train.json', train, 'train2014', () => true));
    if (val !== undefined) {
      files.push(labelled('nominival.json', val, 'val2014', id => !minival.has(id)));
      files.push(labelled('minival.json', val, 'val2014', id => minival.has(id)));
    }
  }
  if (test !== undefined)
    files.push({ output: 'test.json', raw: test.path, read: signal => readTest(test, signal) });
  return files;
}

async function readAnswers({ rawDirectory, rule, signal }: VqaInput): Promise<AnswerTable> {
  const table = new AnswerTable(rule);
  for (const split of ['train2014', 'val2014'] as const) {
    const file = annotationsOf(split);
    const found = await findOfficial(rawDirectory, file);
    const need = 'answers are counted over train and val together';
    const { label, read } = requireOfficial(found, rawDirectory, file, need);
    for await (const elements of read(signal)) for (const element of elements) table.add(label, element);
  }
  checkAnswers(table, rule, rawDirectory);
  return table;
}

function checkAnswers(table: AnswerTable, { checks }: VqaRule, where: string): void {
  const classes = table.countClasses();
  if (hashAnswers(classes) !== checks.answers_sha256) {
    throw new LxmertDataError('ERR_INPUT', {
      what: 'the answers that occur often enough are not those of LXMERT',
      where,
      expected: `${checks.answers} answers, as in trainval_ans2label.json`,
      got: classes.size === checks.answers ? `${classes.size} others` : `${classes.size} answers`,
      hint: 'are these the annotations of VQA 2.0, complete and unchanged?',
    });
  }
  for (const { question_id: id, label } of checks.labels) {
    const isThere =
      id === undefined
        ? table.hasLabel(label)
        : formatLabel(table.find(id)?.label ?? {}) === formatLabel(label);
    if (isThere) continue;
    throw new LxmertDataError('ERR_INPUT', {
      what: `${id === undefined ? 'no question' : `question ${id}`} has the label that is known of LXMERT's file`,
      where,
      expected: JSON.stringify(label),
      got: id === undefined ? undefined : JSON.stringify(table.find(id)?.label),
      hint: 'are these the annotations of VQA 2.0, complete and unchanged?',
    });
  }
}

interface LabelledQuestions {
  readonly questions: FoundFile;
  readonly split: OfficialSplit;
  readonly table: AnswerTable;
  readonly takes: (imageId: string) => boolean;
  readonly signal: AbortSignal | undefined;
}

async function* readLabelled(options: LabelledQuestions): AsyncGenerator<PythonValue[]> {
  const { questions, split, table, takes, signal } = options;
  const ids = new Set<number>();
  for await (const elements of questions.read(signal)) {
    const batch: PythonValue[] = [];
    for (const element of elements) {
      const question = readQuestion(questions.label, element, ids);
      const imageId = cocoImageId(split, question.imageId);
      if (!takes(imageId)) continue;
      const annotation = table.find(question.id);
      if (annotation?.imageId !== question.imageId) {
        throw new LxmertDataError('ERR_INPUT', {
          what: `the annotations and question ${question.id} do not belong together`,
          where: `${questions.label}, byte ${element.offset}`,
          expected: `an annotation of image ${question.imageId}`,
          got: annotation === undefined ? 'none' : `one of image ${annotation.imageId}`,
          hint: 'are these the files of one release, unchanged?',
        });
      }
      batch.push({
        answer_type: annotation.answerType,
        img_id: imageId,
        label: annotation.label,
        question_id: question.id,
        question_type: annotation.questionType,
        sent: question.sent,
      });
    }
    yield batch;
  }
}

async function* readTest(questions: FoundFile, signal?: AbortSignal): AsyncGenerator<PythonValue[]> {
  const ids = new Set<number>();
  for await (const elements of questions.read(signal)) {
    yield elements.map(element => {
      const { id, imageId, sent } = readQuestion(questions.label, element, ids);
      return { img_id: cocoImageId('test2015', imageId), question_id: id, sent };
    });
  }
}

interface Question {
  readonly id: number;
  readonly imageId: number;
  readonly sent: string;
}

function readQuestion(
  label: string,
  element: { readonly text: string; readonly offset: number },
  ids: Set<number>,
): Question {
  const where = `${label}, byte ${element.offset}`;
  const raw = asObject(parseElement(label, element), where);
  const id = readInteger(raw, 'question_id', where);
  if (ids.has(id)) throw new LxmertDataError('ERR_INPUT', { what: `question ${id} comes twice`, where });
  ids.add(id);
  return { id, imageId: readInteger(raw, 'image_id', where), sent: readText(raw, 'question', where) };
}
