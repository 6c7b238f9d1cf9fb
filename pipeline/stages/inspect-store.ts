import type { StageContext } from '../events.ts';
import { checkNotInput, checkOutput } from '../files/checks.ts';
import { createPictureFinder } from '../inspection/find-pictures.ts';
import { inspectImages, type Selection } from '../inspection/inspect-images.ts';
import { readCards } from '../inspection/read-cards.ts';
import { drawContactSheet } from '../report/contact-sheet.ts';
import { renderStorePage } from '../report/store-page.ts';
import { writePage, writeWhole } from '../report/write-page.ts';
import { StoreFile } from '../store/reader.ts';

export interface InspectOptions extends Selection {
  readonly store: string;
  /** Folder of the images themselves. */
  readonly images?: string | undefined;
  /** HTML page to write, PNG sheet, or both. */
  readonly out?: string | undefined;
  readonly png?: string | undefined;
  /** Replace existing outputs. */
  readonly force: boolean;
}

export interface ShownImage {
  readonly img_id: string;
  readonly row: number;
  readonly reasons: readonly string[];
}

export interface InspectResult {
  /** Whether no image that was read is invalid. */
  readonly ok: boolean;
  readonly images: number;
  readonly surveyed: number;
  readonly invalid: number;
  readonly outliers: number;
  readonly shown: readonly ShownImage[];
  /** Shown images whose picture was found. */
  readonly pictures: number;
  readonly page_bytes: number | undefined;
  /** Whether the sheet has text: that needs a font on this machine. */
  readonly lettered: boolean | undefined;
}

/** Makes a page, a contact sheet, or both, of a store: the store as a whole and its worst or named images. */
export async function inspectStore(options: InspectOptions, context: StageContext): Promise<InspectResult> {
  const { out, png, force, images } = options;
  const store = await StoreFile.open(options.store);
  try {
    const ids = await store.readImageIds();
    for (const path of [out, png]) {
      if (path === undefined) continue;
      await checkOutput(path, force);
      await checkNotInput(path, [options.store]);
    }
    const inspection = await inspectImages(store, ids, options, context);
    const { overview, chosen } = inspection;
    const pictures = await createPictureFinder(images);
    const cards = readCards(store, chosen, pictures, context);
    // A sheet needs all images at once; a page alone is written as they are read.
    const kept = png === undefined ? undefined : await Array.fromAsync(cards);
    const sheet = kept === undefined ? undefined : await drawContactSheet(kept, inspection);
    const page = renderStorePage(inspection, kept ?? cards);
    const pageBytes = out === undefined ? undefined : await writePage(out, page, { force });
    if (png !== undefined && sheet !== undefined) await writeWhole(png, sheet.png, { force });
    return {
      ok: overview.invalid === 0,
      images: store.rows,
      surveyed: overview.surveyed,
      invalid: overview.invalid,
      outliers: overview.outliers,
      shown: chosen.map(({ row, reasons }) => ({ img_id: ids[row]!, row, reasons })),
      pictures: pictures.found(),
      page_bytes: pageBytes,
      lettered: sheet?.lettered,
    };
  } finally {
    await store.close();
  }
}
