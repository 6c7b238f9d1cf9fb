import type { ListedImage } from './list-images.ts';

/** Images of a batch: few, so that a slow device does not delay the end, and the same for any number of devices. */
const BATCH_IMAGES = 8;

/** Images that no extractor has. */
export class ImageQueue {
  readonly #images: ListedImage[];
  readonly #places: number;

  /** `places` is how many batches can be out at a time. */
  constructor(images: readonly ListedImage[], places: number) {
    this.#images = [...images];
    this.#places = places;
  }

  get size(): number {
    return this.#images.length;
  }

  /** The next images. Towards the end batches get smaller, so that all extractors have work until the end. */
  takeBatch(): readonly ListedImage[] {
    const share = Math.ceil(this.#images.length / this.#places);
    return this.#images.splice(0, Math.min(BATCH_IMAGES, share));
  }

  putBack(images: readonly ListedImage[]): void {
    this.#images.unshift(...images);
  }

  /** False where it is not here. */
  remove(image: ListedImage): boolean {
    const at = this.#images.indexOf(image);
    if (at >= 0) this.#images.splice(at, 1);
    return at >= 0;
  }
}
