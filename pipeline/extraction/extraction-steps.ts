import type { ExtractorStep } from './contract.ts';

const IMAGE_STEPS = { decoded: 'decoded', proposed: 'with proposals', classified: 'classified' } as const;

/** What extractors are doing between two rows, which take seconds on a CPU: for progress only, nothing depends on it. */
export class ExtractionSteps {
  /** Of each extractor: what it does before it is ready. */
  readonly #preparing = new Map<number, string>();
  /** The last step of each image under way. */
  readonly #images = new Map<string, keyof typeof IMAGE_STEPS>();

  /** Notes that an extractor was started, and again when it is ready. */
  setReady(worker: number, isReady: boolean): void {
    if (isReady) this.#preparing.delete(worker);
    else this.#preparing.set(worker, 'starting the network');
  }

  take(worker: number, { step, img_id: imgId, done, total }: ExtractorStep): void {
    if (step in IMAGE_STEPS) {
      if (imgId !== undefined) this.#images.set(imgId, step as keyof typeof IMAGE_STEPS);
      return;
    }
    const share = done === undefined || total === undefined ? '' : ` ${Math.floor((done / total) * 100)} %`;
    this.#preparing.set(worker, step === 'converting' ? `converting model${share}` : 'loading the network');
  }

  /** An image has its row, or will have none. */
  forget(imgId: string): void {
    this.#images.delete(imgId);
  }

  /** All of it in a few words; undefined where nothing is known. */
  describe(): string | undefined {
    const [preparing] = this.#preparing.values();
    const counts = Object.entries(IMAGE_STEPS).flatMap(([step, name]) => {
      const count = [...this.#images.values()].filter(value => value === step).length;
      return count === 0 ? [] : [`${count} ${name}`];
    });
    return counts.length > 0 ? counts.join(' + ') : preparing;
  }
}
