import type { ExtractorEvent } from '../contract.ts';
import type { ExtractorEnd, RunningExtractor, StartExtractor } from '../process.ts';
import type { Extractors } from '../run-extractors.ts';

type Ready = Extract<ExtractorEvent, { event: 'ready' }>;

/** An extractor without work that does not end in this time is ended. */
const END_MS = 10_000;

/** Extractors that go on from one unit to the next, since loading a network takes up to a minute. */
export interface KeptExtractors {
  /** For a run of one unit: an extractor that ends well stays, and the next run gets it. */
  readonly extractors: Extractors;
  /** Ends those that stayed. */
  close(): Promise<void>;
}

export function keepRunning(inner: Extractors): KeptExtractors {
  const slots = inner.start.map(start => new Slot(start));
  return {
    extractors: { ...inner, start: slots.map(slot => slot.start), close: () => Promise.resolve() },
    close: async () => {
      await Promise.all(slots.map(async slot => await slot.close()));
      await inner.close?.();
    },
  };
}

/** One extractor that several runs use, one after the other. */
class Slot {
  readonly #start: StartExtractor;
  #running: RunningExtractor | undefined;
  #ready: Ready | undefined;
  #onEvent: (event: ExtractorEvent) => Promise<void> = () => Promise.resolve();

  constructor(start: StartExtractor) {
    this.#start = start;
  }

  readonly start: StartExtractor = onEvent => {
    const kept = this.#running;
    const ready = this.#ready;
    // What a new one says comes by itself; of one that stayed it is known. A run is given one event at a time.
    const begun =
      kept === undefined || ready === undefined
        ? Promise.resolve()
        : Promise.resolve().then(async () => await onEvent(ready));
    this.#onEvent = async event => {
      await begun;
      await onEvent(event);
    };
    const inner = kept ?? this.#startNew();
    let leave: (end: ExtractorEnd) => void = () => undefined;
    const left = new Promise<ExtractorEnd>(resolve => (leave = resolve));
    return {
      send: batch => inner.send(batch),
      // The run has all its rows; the extractor waits for the next one.
      finish: () => leave({ code: 0, signal: null, stderrTail: '' }),
      kill: () => inner.kill(),
      ended: Promise.race([left, inner.ended]),
    };
  };

  async close(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    running.finish();
    const timer = setTimeout(() => running.kill(), END_MS);
    await running.ended.finally(() => clearTimeout(timer));
  }

  #startNew(): RunningExtractor {
    this.#ready = undefined;
    const running = this.#start(async event => {
      if (event.event === 'ready') this.#ready ??= event;
      await this.#onEvent(event);
    });
    this.#running = running;
    void running.ended.then(() => {
      if (this.#running === running) this.#running = undefined;
    });
    return running;
  }
}
