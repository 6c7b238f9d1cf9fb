import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { v } from '../schema.ts';
import { formatPythonString } from './python-json.ts';

const RULE = fileURLToPath(new URL('../../manifests/vqa-rule.json', import.meta.url));

const label = v.record(v.string(), v.number());
const ruleSchema = v.strictObject({
  rule_version: v.literal(1),
  note: v.string(),
  least_questions: v.number(),
  scores: v.pipe(v.array(v.number()), v.minLength(1)),
  marks: v.array(v.string()),
  most_full_stops: v.number(),
  articles: v.array(v.string()),
  numbers: v.record(v.string(), v.string()),
  contractions: v.record(v.string(), v.array(v.string())),
  checks: v.strictObject({
    answers: v.number(),
    answers_sha256: v.string(),
    labels: v.array(v.strictObject({ question_id: v.optional(v.number()), label })),
  }),
});

/** What the made files must turn out as; absent where the input is not the whole official set. */
export type VqaChecks = v.InferOutput<typeof ruleSchema>['checks'];

export interface VqaRule {
  /** Answers of fewer questions are no classes. */
  readonly leastQuestions: number;
  readonly checks: VqaChecks;
  /** An annotator's answer as classes are counted. */
  readonly normalise: (answer: string) => string;
  /** Of an answer that so many annotators gave, 1 or more. */
  readonly score: (annotators: number) => number;
}

/** The rule of `manifests/vqa-rule.json`, with what depends on nothing else prepared. */
export async function loadVqaRule(): Promise<VqaRule> {
  const rule = v.parse(ruleSchema, JSON.parse(await readFile(RULE, 'utf8')));
  const contractions = new Map(
    Object.entries(rule.contractions).flatMap(([right, wrong]) => wrong.map(word => [word, right] as const)),
  );
  const numbers = new Map(Object.entries(rule.numbers));
  const known = new Map<string, string>();
  const normalise = (answer: string): string => {
    const words = splitWords(stripMarks(answer, rule).toLowerCase())
      .map(word => numbers.get(word) ?? word)
      .filter(word => !rule.articles.includes(word))
      .map(word => contractions.get(word) ?? word);
    return words.join(' ').replaceAll(',', '');
  };
  return {
    leastQuestions: rule.least_questions,
    checks: rule.checks,
    normalise(answer) {
      const found = known.get(answer) ?? normalise(answer);
      known.set(answer, found);
      return found;
    },
    score: annotators => rule.scores[Math.min(annotators, rule.scores.length) - 1]!,
  };
}

/**
 * A mark is removed where it stands beside a space anywhere in the answer, or where the answer has a comma between
 * digits; elsewhere it becomes a space. A full stop goes unless a digit follows, up to a number that the original
 * passes by mistake in place of a flag.
 */
function stripMarks(answer: string, rule: v.InferOutput<typeof ruleSchema>): string {
  const hasDigitComma = /[0-9],[0-9]/.test(answer);
  let text = answer;
  for (const mark of rule.marks) {
    const isRemoved = hasDigitComma || answer.includes(`${mark} `) || answer.includes(` ${mark}`);
    text = text.replaceAll(mark, isRemoved ? '' : ' ');
  }
  let removed = 0;
  return text.replace(/\.(?![0-9])/g, stop => (++removed > rule.most_full_stops ? stop : ''));
}

/** As Python splits text: at its white space, which has U+001C to U+001F and U+0085 and not U+FEFF. */
function splitWords(text: string): string[] {
  return text
    .split(/[\t-\r\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/)
    .filter(word => word !== '');
}

/** sha256 of the sorted answers as a JSON list of Python's, for comparing two sets of answers. */
export function hashAnswers(answers: Iterable<string>): string {
  const sorted = [...answers].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return createHash('sha256')
    .update(`[${sorted.map(formatPythonString).join(', ')}]`)
    .digest('hex');
}
