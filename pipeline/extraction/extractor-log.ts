import type { Emit } from '../events.ts';

/** Messages of one extractor that are shown. */
const MAX_MESSAGES = 200;

/** Passes on what an extractor says, up to a limit. */
export class ExtractorLog {
  readonly #emit: Emit;
  #messages = 0;

  constructor(emit: Emit) {
    this.#emit = emit;
  }

  /** False where the message is beyond the limit and is left out. */
  take(message: string): boolean {
    this.#messages++;
    if (this.#messages <= MAX_MESSAGES) this.#emit({ event: 'note', message: `extractor: ${message}` });
    if (this.#messages === MAX_MESSAGES + 1) {
      const rest = `the extractor wrote more than ${MAX_MESSAGES} messages; the others are left out`;
      this.#emit({ event: 'warning', message: rest });
    }
    return this.#messages <= MAX_MESSAGES;
  }
}
