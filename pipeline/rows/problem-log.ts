import type { StageContext } from '../events.ts';
import { type Problem, PROBLEM_KINDS, type ProblemCode } from '../problem.ts';

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

/** Collects problems: exact counts, and the text of the first 10,000. */
export class ProblemLog {
  readonly #emit: StageContext['emit'];
  readonly #kept: Problem[] = [];
  readonly #counts = new Map<ProblemCode, number>();

  constructor(emit: StageContext['emit']) {
    this.#emit = emit;
  }

  /** Adds problems. `counts` replaces their own number where some came without their text. */
  add(problems: readonly Problem[], counts?: ReadonlyMap<ProblemCode, number>): void {
    for (const [code, count] of counts ?? countCodes(problems)) {
      this.#counts.set(code, (this.#counts.get(code) ?? 0) + count);
    }
    for (const problem of problems) {
      if (this.#kept.length >= MAX_KEPT) return;
      this.#kept.push(problem);
      this.#emit({ event: 'problem', ...problem });
    }
  }

  get errors(): number {
    return this.#count('error');
  }

  summary(): ProblemSummary {
    const errors = this.#count('error');
    const warnings = this.#count('warning');
    return {
      errors,
      warnings,
      by_code: Object.fromEntries(this.#counts),
      problems: this.#kept,
      not_listed: errors + warnings - this.#kept.length,
    };
  }

  #count(severity: 'error' | 'warning'): number {
    let total = 0;
    for (const [code, count] of this.#counts) {
      if (PROBLEM_KINDS[code].severity === severity) total += count;
    }
    return total;
  }
}

function countCodes(problems: readonly Problem[]): ReadonlyMap<ProblemCode, number> {
  const counts = new Map<ProblemCode, number>();
  for (const { code } of problems) counts.set(code, (counts.get(code) ?? 0) + 1);
  return counts;
}
