import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/* Files in the form of VQA 2.0's official ones, with answers that try every step of the rule. */

export interface VqaSizes {
  readonly train2014: number;
  readonly val2014: number;
  readonly test2015: number;
}

/** Answers whose normalised form differs, and what is near them. */
const DIFFICULT = [
  'black, white', 'black,white', 'A dog', 'the  dog', 'an', 'a', '', ' ', 'None', 'two dogs', 'ten', 'Yes', 'yes.',
  '1,000', '1,000 - 2', 'a/b', 'a / b', 'x-ray', 'x - ray', '3.5', '3.', '.5', 'p.m.', '....................................x',
  'dont know', "don't know", 'somebody\'d', "yall'd've", 'what\'s "this"?', '[no] {way} (ok)', 'a_b=c+d\\e', '<x>@y`z',
  'caf\u00e9', '\u0130stanbul', 'line\u2028break', 'tab\there', 'nbsp\u00a0here', '\ufefffeff', '\u{1f600}', 'one,two', '1,2,three',
  '__proto__', 'constructor', 'oclock', '5 oclock', 'Im', 'ow\'s\'at', '50%', '$5', '#1', "'", ', ', '!', '? !',
]; // prettier-ignore

/** Numbers from 0 to 1, the same for the same seed. */
export function makeRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

export interface OfficialOptions {
  readonly sizes: VqaSizes;
  readonly seed?: number;
  /** Answers that come often; those that try the rule are added. */
  readonly answers?: readonly string[];
  /** So many of the first questions of val are on these images, which no other question is on. */
  readonly minival?: { readonly images: readonly number[]; readonly questions: number };
  /** The last questions of val. */
  readonly known?: readonly { readonly questionId: number; readonly answers: readonly string[] }[];
  /** Leave out answers that try the rule. */
  readonly plain?: boolean;
}

/** Writes all five files' JSON to a folder: about 800 bytes a question. */
export function writeOfficialVqa(folder: string, options: OfficialOptions): void {
  const {
    sizes,
    seed = 1,
    answers = ['yes', 'no', 'red', '2', 'dog'],
    minival = { images: [], questions: 0 },
    known = [],
  } = options;
  const random = makeRandom(seed);
  const pool = options.plain === true ? answers : [...answers, ...DIFFICULT];
  for (const split of ['train2014', 'val2014', 'test2015'] as const) {
    const questions = new ListFile(join(folder, `v2_OpenEnded_mscoco_${split}_questions.json`), 'questions');
    const annotations =
      split === 'test2015'
        ? undefined
        : new ListFile(join(folder, `v2_mscoco_${split}_annotations.json`), 'annotations');
    for (let index = 0; index < sizes[split]; index++) {
      const fixed = split === 'val2014' ? known[index - sizes.val2014 + known.length] : undefined;
      const isMinival = split === 'val2014' && index < minival.questions;
      const image = isMinival
        ? minival.images[index % minival.images.length]!
        : Math.floor((fixed?.questionId ?? (600_000 + Math.floor(index / 5)) * 1000) / 1000);
      const nth = isMinival ? Math.floor(index / minival.images.length) : index % 5;
      const questionId = fixed?.questionId ?? image * 1000 + nth + (split === 'val2014' ? 500 : 0);
      // Every answer comes often enough before chance decides.
      const pick = (): string => pool[Math.floor(random() ** 2 * pool.length)]!;
      const common = pool[index % pool.length]!;
      const given =
        fixed?.answers ??
        Array.from({ length: 10 }, (_, n) => (n < 4 ? common : n < 7 ? pick() : `${pick()}s`));
      questions.add({
        image_id: image,
        question: `What is "this" \u2014 ${index}?`,
        question_id: questionId,
      });
      annotations?.add({
        question_type: ['what is', 'is the', 'none of the above'][index % 3],
        multiple_choice_answer: fixed === undefined ? common : given[0],
        answers: given.map((answer, n) => ({ answer, answer_confidence: 'yes', answer_id: n + 1 })),
        image_id: image,
        answer_type: ['other', 'yes/no', 'number'][index % 3],
        question_id: questionId,
      });
    }
    questions.close();
    annotations?.close();
  }
}

/** `{"info": …, LIST: […], "license": …}`, written in pieces. */
class ListFile {
  readonly #file: number;
  #pending: string;
  #count = 0;

  constructor(path: string, list: string) {
    this.#file = openSync(path, 'wx');
    this.#pending = `{"info": {"${list}": [1, "]"], "version": "2.0"}, "${list}": [`;
  }

  add(entry: unknown): void {
    this.#pending += `${this.#count++ === 0 ? '' : ', '}${JSON.stringify(entry)}`;
    if (this.#pending.length > 1 << 22) this.#flush();
  }

  close(): void {
    this.#pending += '], "data_type": "mscoco", "license": {"name": "x\\"}"}}';
    this.#flush();
    closeSync(this.#file);
  }

  #flush(): void {
    writeSync(this.#file, this.#pending);
    this.#pending = '';
  }
}
