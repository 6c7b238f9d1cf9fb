import { LxmertDataError } from '../errors.ts';
import { showAll } from '../show-text.ts';
import { describeDetector } from '../store/metadata.ts';
import { StoreFile } from '../store/reader.ts';
import { requireImages } from './choose-images.ts';
import { matchRows, type MatchedRows } from './match-boxes.ts';
import { readStoredRow, type StoredRow } from './stored-row.ts';

/** Row indices of one image in two stores. */
export type RowPair = readonly [first: number, second: number];

/** One image read from both stores, its boxes matched. */
export interface MatchedPair {
  readonly first: StoredRow;
  readonly second: StoredRow;
  readonly matched: MatchedRows;
}

/** Two open stores and the images that both have. */
export class StorePair {
  readonly paths: readonly [string, string];
  /** Images of both stores, in the order of the first. */
  readonly common: readonly RowPair[];
  readonly onlyFirst: number;
  readonly onlySecond: number;
  readonly #first: StoreFile;
  readonly #second: StoreFile;
  readonly #rowsOfFirst: ReadonlyMap<string, number>;
  readonly #rowsOfSecond: ReadonlyMap<string, number>;

  private constructor(
    first: StoreFile,
    second: StoreFile,
    ids: readonly [first: readonly string[], second: readonly string[]],
  ) {
    this.paths = [first.path, second.path];
    this.#first = first;
    this.#second = second;
    const rowsOf = (list: readonly string[]): ReadonlyMap<string, number> =>
      new Map(list.map((id, row) => [id, row]));
    const [firstRows, secondRows] = [rowsOf(ids[0]), rowsOf(ids[1])];
    this.#rowsOfFirst = firstRows;
    this.#rowsOfSecond = secondRows;
    this.common = ids[0].flatMap((id, row) => {
      const other = secondRows.get(id);
      return other === undefined ? [] : [[row, other] as const];
    });
    this.onlyFirst = first.rows - this.common.length;
    this.onlySecond = second.rows - this.common.length;
  }

  /** Opens two stores. Fails with ERR_STORE where one cannot be opened, with ERR_INPUT where they share no image. */
  static async open(paths: readonly [string, string]): Promise<StorePair> {
    const first = await StoreFile.open(paths[0]);
    let second: StoreFile | undefined;
    try {
      second = await StoreFile.open(paths[1]);
      const ids = [await first.readImageIds(), await second.readImageIds()] as const;
      const pair = new StorePair(first, second, ids);
      if (pair.common.length > 0) return pair;
      throw new LxmertDataError('ERR_INPUT', {
        what: 'the stores have no image in common',
        where: paths.join(' and '),
        got: `${showAll(ids[0][0] ?? '')}, … and ${showAll(ids[1][0] ?? '')}, …`,
      });
    } catch (error) {
      await first.close();
      await second?.close();
      throw error;
    }
  }

  /** Whether both stores have object and attribute classes. */
  get haveClasses(): boolean {
    return [this.#first, this.#second].every(store => store.shape.name === 'obj36');
  }

  /** Name and weights of the detectors. */
  get detectors(): readonly [string, string] {
    return [
      describeDetector(this.#first.provenance.detector),
      describeDetector(this.#second.provenance.detector),
    ];
  }

  /** Row indices of named images. Fails with ERR_INPUT where a store lacks one. */
  findRows(imgIds: readonly string[]): readonly RowPair[] {
    const first = requireImages(this.#rowsOfFirst, imgIds, this.paths[0]);
    const second = requireImages(this.#rowsOfSecond, imgIds, this.paths[1]);
    return first.map((row, index) => [row, second[index]!]);
  }

  async read([row, other]: RowPair): Promise<MatchedPair> {
    const [first, second] = await Promise.all([
      readStoredRow(this.#first, row),
      readStoredRow(this.#second, other),
    ]);
    return { first, second, matched: matchRows(first, second) };
  }

  async close(): Promise<void> {
    await Promise.all([this.#first.close(), this.#second.close()]);
  }
}
