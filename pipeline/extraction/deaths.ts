import { EXTRACTOR_EXIT } from './contract.ts';
import type { ExtractorEnd } from './process.ts';

/** An image during which extractors died this often is given up. */
const MAX_OF_IMAGE = 2;
/** The same for extractors that somebody else ended. */
const MAX_OF_IMAGE_FROM_OUTSIDE = 5;
/** Deaths in a row of extractors that did not get to work. */
const MAX_AT_START = 3;
/** Deaths in a row without a row from anyone: two images and a third one, before there was any row; later more. */
const MAX_WITHOUT_ANY_ROW = 5;
const MAX_WITHOUT_ROW = 7;

/** Tells images that end extractors from causes that no image has. */
export class Deaths {
  /** One more death is expected of each further extractor when something befalls all of them. */
  readonly #others: number;
  readonly #ofImages = new Map<string, { own: number; fromOutside: number }>();
  #atStart = 0;
  #inARow = 0;
  #hasRows: boolean;

  constructor(extractors: number, hasRows: boolean) {
    this.#others = extractors - 1;
    this.#hasRows = hasRows;
  }

  /** Deaths since the last row. */
  get inARow(): number {
    return this.#inARow;
  }

  noteReady(): void {
    this.#atStart = 0;
  }

  noteRow(): void {
    this.#inARow = 0;
    this.#hasRows = true;
  }

  /** Counts a death during an image; returns how many there were where it is to be given up. */
  blame(imgId: string, { isFromOutside = false }: ExtractorEnd): number | undefined {
    const deaths = this.#ofImages.get(imgId) ?? { own: 0, fromOutside: 0 };
    this.#ofImages.set(imgId, deaths);
    deaths[isFromOutside ? 'fromOutside' : 'own']++;
    const isGivenUp = deaths.own >= MAX_OF_IMAGE || deaths.fromOutside >= MAX_OF_IMAGE_FROM_OUTSIDE;
    return isGivenUp ? deaths.own + deaths.fromOutside : undefined;
  }

  /** Counts a death; true where the extractors cannot go on. */
  count(end: ExtractorEnd, isAtStart: boolean): boolean {
    this.#inARow++;
    if (isAtStart) this.#atStart++;
    const { usage, weights, device } = EXTRACTOR_EXIT;
    if (end.isFinal === true || [usage, weights, device].some(code => code === end.code)) return true;
    const most = this.#hasRows ? MAX_WITHOUT_ROW : MAX_WITHOUT_ANY_ROW;
    return this.#atStart >= MAX_AT_START + this.#others || this.#inARow >= most + this.#others;
  }
}
