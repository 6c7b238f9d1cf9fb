/** Pixels that are decoded at a time, whatever the number of threads: about 0.5 GB where each takes 3 to 4 bytes. */
const PIXELS_AT_A_TIME = 2 ** 27;

/**
 * Keeps the images that are decoded at a time to a number of pixels. An image that has more than that is decoded while
 * no other is.
 */
export class PixelBudget {
  readonly #most: number;
  #used = 0;
  readonly #waiting: { readonly pixels: number; readonly go: () => void }[] = [];

  constructor(most = PIXELS_AT_A_TIME) {
    this.#most = most;
  }

  /** Runs `work` when there is room for so many pixels; in the order of the calls. */
  async run<Result>(pixels: number, work: () => Promise<Result>): Promise<Result> {
    const held = Math.min(pixels, this.#most);
    await new Promise<void>(go => {
      this.#waiting.push({ pixels: held, go: () => go() });
      this.#next();
    });
    try {
      return await work();
    } finally {
      this.#used -= held;
      this.#next();
    }
  }

  #next(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (this.#used + first.pixels > this.#most) return;
      this.#waiting.shift();
      this.#used += first.pixels;
      first.go();
    }
  }
}
