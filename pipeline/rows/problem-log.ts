import type { StageContext } from '../events.ts';
import type { Problem, ProblemCode } from '../problem.ts';

/** Problems kept with their text; beyond that they are counted. */
const MAX_KEPT = 10_000;

export interface ProblemSummary {
  readonly errors: number;
  readonly warnings: number;
  readonly by_code: Readonly<Partial<Record<ProblemCode, number>>>;
  readonly problems: readonly Problem[];
  /** Problems that are only counted. */
  readonly not_listed: number;
}

/** Collects problems: exact counts, the first ones with their text. */
export class ProblemLog {
  readonly #emit: StageContext['emit'];
  readonly #kept: Problem[] = [];
  readonly #counts = new Map<ProblemCode, number>();

  constructor(emit: StageContext['emit']) {
    this.#emit = emit;
  }

  /** Adds problems whose exact counts may be higher than the texts given. */
  add(problems: readonly Problem[], counts?: Readonly<Partial<Record<ProblemCode, number>>>): void {
    const exact = counts ?? countCodes(problems);
    for (const [code, count] of Object.entries(exact)) {
      this.#counts.set(code as ProblemCode, (this.#counts.get(code as ProblemCode) ?? 0) + count);
    }
    for (const problem of problems) {
      if (this.#kept.length >= MAX_KEPT) return;
      this.#kept.push(problem);
      this.#emit({ event: 'problem', ...problem });
    }
  }

  get errors(): number {
    return this.summary().errors;
  }

  summary(): ProblemSummary {
    let total = 0;
    let warnings = 0;
    for (const [code, count] of this.#counts) {
      total += count;
      if (code === 'provenance') warnings += count;
    }
    return {
      errors: total - warnings,
      warnings,
      by_code: Object.fromEntries(this.#counts),
      problems: this.#kept,
      not_listed: total - this.#kept.length,
    };
  }
}

function countCodes(problems: readonly Problem[]): Partial<Record<ProblemCode, number>> {
  const counts: Partial<Record<ProblemCode, number>> = {};
  for (const { code } of problems) counts[code] = (counts[code] ?? 0) + 1;
  return counts;
}
