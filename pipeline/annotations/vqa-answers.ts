import { LxmertDataError } from '../errors.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import { parseElement, type TopLevelElement } from './top-level.ts';
import type { VqaRule } from './vqa-rule.ts';

/** What an official annotation says about its question. */
export interface Annotation {
  readonly imageId: number;
  readonly answerType: string;
  readonly questionType: string;
  readonly label: Readonly<Record<string, number>>;
}

/** Numbers in the order in which they came, in memory that grows with them. */
class NumberList {
  #values = new Uint32Array(1 << 16);
  length = 0;

  push(value: number): void {
    if (this.length === this.#values.length) {
      const grown = new Uint32Array(2 * this.length);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.length++] = value;
  }

  at(index: number): number {
    return this.#values[index]!;
  }
}

/** Texts by number: each is kept once, however often it comes. */
class TextTable {
  readonly #numbers = new Map<string, number>();
  readonly texts: string[] = [];

  numberOf(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    this.#numbers.set(text, this.texts.length);
    return this.texts.push(text) - 1;
  }
}

/**
 * The annotations of VQA 2.0's train and val in memory: about 80 bytes a question. First all are added, then the classes
 * are counted, then labels can be read.
 */
export class AnswerTable {
  readonly #rule: VqaRule;
  readonly #texts = new TextTable();
  /** Question id to position. */
  readonly #positions = new Map<number, number>();
  readonly #images = new NumberList();
  readonly #types = new NumberList();
  /** Of each question its first answer in `#answers`; the last entry is their number. */
  readonly #starts = new NumberList();
  readonly #answers = new NumberList();
  /** Questions whose normalised, most frequent answer this is. */
  readonly #questions = new Map<string, number>();
  #classes: ReadonlySet<number> | undefined;

  constructor(rule: VqaRule) {
    this.#rule = rule;
    this.#starts.push(0);
  }

  get size(): number {
    return this.#positions.size;
  }

  add(label: string, element: TopLevelElement): void {
    const where = `${label}, byte ${element.offset}`;
    const raw = asObject(parseElement(label, element), where);
    const id = readInteger(raw, 'question_id', where);
    if (this.#positions.has(id)) {
      throw new LxmertDataError('ERR_INPUT', { what: `question ${id} has two annotations`, where });
    }
    this.#positions.set(id, this.#positions.size);
    this.#images.push(readInteger(raw, 'image_id', where));
    this.#types.push(this.#texts.numberOf(readText(raw, 'answer_type', where)));
    this.#types.push(this.#texts.numberOf(readText(raw, 'question_type', where)));
    const { answers } = raw;
    if (!Array.isArray(answers)) throw wrongField('answers', 'a list', raw, where);
    for (const answer of answers)
      this.#answers.push(this.#texts.numberOf(readText(asObject(answer, where), 'answer', where)));
    this.#starts.push(this.#answers.length);
    const counted = this.#rule.normalise(readText(raw, 'multiple_choice_answer', where));
    this.#questions.set(counted, (this.#questions.get(counted) ?? 0) + 1);
  }

  /** Answers of enough questions; only they are in labels. */
  countClasses(): ReadonlySet<string> {
    const kept = [...this.#questions].filter(([, count]) => count >= this.#rule.leastQuestions);
    const classes = new Set(kept.map(([answer]) => answer));
    this.#classes = new Set(this.#texts.texts.flatMap((text, number) => (classes.has(text) ? [number] : [])));
    return classes;
  }

  /** Undefined for a question without annotation. Answers are compared as annotators wrote them, not normalised. */
  find(questionId: number): Annotation | undefined {
    const position = this.#positions.get(questionId);
    return position === undefined ? undefined : this.#read(position);
  }

  /** Whether some question has exactly this label. */
  hasLabel(label: Readonly<Record<string, number>>): boolean {
    const wanted = formatLabel(label);
    for (const position of this.#positions.values())
      if (formatLabel(this.#read(position).label) === wanted) return true;
    return false;
  }

  #read(position: number): Annotation {
    const classes = this.#classes;
    if (classes === undefined) throw new RangeError('the classes are not counted yet');
    const counts = new Map<number, number>();
    for (let at = this.#starts.at(position); at < this.#starts.at(position + 1); at++) {
      const answer = this.#answers.at(at);
      if (classes.has(answer)) counts.set(answer, (counts.get(answer) ?? 0) + 1);
    }
    const { texts } = this.#texts;
    return {
      imageId: this.#images.at(position),
      answerType: texts[this.#types.at(2 * position)]!,
      questionType: texts[this.#types.at(2 * position + 1)]!,
      label: Object.fromEntries(
        [...counts].map(([answer, count]) => [texts[answer]!, this.#rule.score(count)]),
      ),
    };
  }
}

/** The same text for labels with the same answers and scores. */
export function formatLabel(label: Readonly<Record<string, number>>): string {
  return JSON.stringify(Object.entries(label).sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function asObject(value: unknown, where: string): JsonObject {
  if (isJsonObject(value)) return value;
  throw new LxmertDataError('ERR_INPUT', {
    what: 'this is not an object',
    where,
    got: JSON.stringify(value).slice(0, 200),
    hint: 'is this the official file, unchanged?',
  });
}

export function readText(raw: JsonObject, field: string, where: string): string {
  const value = raw[field];
  if (typeof value === 'string') return value;
  throw wrongField(field, 'text', raw, where);
}

export function readInteger(raw: JsonObject, field: string, where: string): number {
  const value = raw[field];
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw wrongField(field, 'a whole number', raw, where);
}

function wrongField(field: string, expected: string, raw: JsonObject, where: string): LxmertDataError {
  return new LxmertDataError('ERR_INPUT', {
    what: `"${field}" is not ${expected}`,
    where,
    got: JSON.stringify(raw).slice(0, 200),
    hint: 'is this the official file, unchanged?',
  });
}
