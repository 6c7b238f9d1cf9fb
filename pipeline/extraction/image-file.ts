import { basename, join } from 'node:path';

/** An image as it is listed; its id is the file name up to its first dot, as the published extraction has it. */
export interface ListedImage {
  readonly img_id: string;
  readonly path: string;
}

/**
 * An image that holds its name alone, and shares the rest of its path with its neighbours: a list may have ten million. Spread
 * syntax takes neither `img_id` nor `path` from it.
 */
export class ImageFile implements ListedImage {
  readonly name: string;
  /** What comes before the name in the path. */
  readonly #prefix: string;

  constructor(prefix: string, name: string) {
    this.#prefix = prefix;
    this.name = name;
  }

  get img_id(): string {
    return this.name.slice(0, this.name.indexOf('.'));
  }

  get path(): string {
    return this.#prefix + this.name;
  }
}

/** What paths of files of a folder have before their names. */
export function prefixOf(folder: string): string {
  return join(folder, 'x').slice(0, -1);
}

/** Cuts paths into prefix and name, and keeps equal prefixes of neighbours once. */
export class PathCutter {
  #prefix = '';

  cut(path: string): { readonly prefix: string; readonly name: string } {
    const name = basename(path);
    const prefix = path.slice(0, path.length - name.length);
    if (prefix !== this.#prefix) this.#prefix = prefix;
    // A copy: a part of a string keeps the whole of it, here a block of the list.
    return { prefix: this.#prefix, name: Buffer.from(name).toString() };
  }
}

/** By name first, then by folder: the order does not depend on how images are spread over folders. */
export function compareFiles(a: ImageFile, b: ImageFile): number {
  return compareText(a.name, b.name) || compareText(a.path, b.path);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
