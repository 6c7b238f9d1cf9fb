import { basename } from 'node:path';
import type { StageContext } from '../events.ts';
import { checkNotInput, checkOutput } from '../files/checks.ts';
import { namesOf } from '../inspection/describe-store.ts';
import { createPictureFinder } from '../inspection/find-pictures.ts';
import { inspectImages, type Selection, type StoreInspection } from '../inspection/inspect-images.ts';
import { type PicturedCard, readCards } from '../inspection/read-cards.ts';
import { drawContactSheet, type SheetImage } from '../report/contact-sheet.ts';
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
  const { out, png, force } = options;
  const store = await StoreFile.open(options.store);
  try {
    for (const path of [out, png]) {
      if (path === undefined) continue;
      await checkOutput(path, force);
      await checkNotInput(path, [options.store]);
    }
    const inspection = await inspectImages(store, options, context);
    const cards = new CardReader(store, inspection, context);
    const { sheet, pageBytes } = await writeOutputs(options, inspection, cards);
    const { overview, chosen, ids } = inspection;
    return {
      ok: overview.invalid === 0,
      images: store.rows,
      surveyed: overview.surveyed,
      invalid: overview.invalid,
      outliers: overview.outliers,
      shown: chosen.map(({ row, reasons }) => ({ img_id: ids[row]!, row, reasons })),
      pictures: cards.pictures,
      page_bytes: pageBytes,
      lettered: sheet?.lettered,
    };
  } finally {
    await store.close();
  }
}

async function writeOutputs(
  { out, png, images }: InspectOptions,
  inspection: StoreInspection,
  cards: CardReader,
): Promise<{ readonly sheet?: { readonly lettered: boolean }; readonly pageBytes: number | undefined }> {
  const kept: SheetImage[] = [];
  const all = cards.read(images, png === undefined ? undefined : kept);
  let pageBytes: number | undefined;
  if (out === undefined) while ((await all.next()).done !== true);
  else pageBytes = await writePage(out, renderStorePage(inspection, all));
  if (png === undefined) return { pageBytes };
  const sheet = await drawContactSheet(kept, {
    objectNames: namesOf(inspection.survey.objects, inspection.vocabulary?.objects),
    title: `${basename(inspection.path)}: ${kept.length} of ${inspection.rows} images`,
  });
  await writeWhole(png, sheet.png);
  return { sheet, pageBytes };
}

/** Reads the cards of the chosen images once, counting pictures and keeping those of the sheet. */
class CardReader {
  pictures = 0;
  readonly #store: StoreFile;
  readonly #inspection: StoreInspection;
  readonly #context: StageContext;

  constructor(store: StoreFile, inspection: StoreInspection, context: StageContext) {
    this.#store = store;
    this.#inspection = inspection;
    this.#context = context;
  }

  async *read(
    images: string | undefined,
    keep: SheetImage[] | undefined,
  ): AsyncGenerator<PicturedCard, void> {
    const { chosen, path } = this.#inspection;
    const pictures = await createPictureFinder(images);
    let done = 0;
    for await (const card of readCards(this.#store, chosen, pictures)) {
      this.#context.signal.throwIfAborted();
      if (card.jpeg !== undefined) this.pictures++;
      keep?.push({ data: card.data, jpeg: card.jpeg });
      yield card;
      done++;
      const total = chosen.length;
      this.#context.emit({ event: 'progress', stage: 'inspect', input: path, unit: 'images', done, total });
    }
  }
}
