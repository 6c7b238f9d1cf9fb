import type { StageContext } from '../events.ts';
import { removeStalePartials } from '../files/partial-names.ts';
import { checkFreeSpace, checkNotInput, checkOutput } from '../files/checks.ts';
import type { ExportResult } from '../export/export-result.ts';
import { LineIndex } from '../export/line-index.ts';
import { DetectorNote, detectorNotePath } from '../store/detector-note.ts';
import { StoreFile } from '../store/reader.ts';
import { typicalTsvBytes, writeTsv } from '../store/write-tsv.ts';

export interface ExportTsvOptions {
  readonly store: string;
  readonly out: string;
  readonly force?: boolean | undefined;
  /** Also writes X.lineidx beside X.tsv: where each row begins, in decimal, a line each. */
  readonly lineIndex?: boolean | undefined;
}

/** Writes a store's rows as TSV: from an f32 store the bytes it was converted from. Every row is checked against its checksum on the way. */
export async function exportTsv(options: ExportTsvOptions, context: StageContext): Promise<ExportResult> {
  const store = await StoreFile.open(options.store);
  try {
    await checkOutput(options.out, options.force === true);
    await checkNotInput(options.out, [options.store]);
    await removeStalePartials(options.out);
    const index = options.lineIndex === true ? LineIndex.plan(options.out) : undefined;
    await checkFreeSpace(options.out, typicalTsvBytes(store.rows));
    warnOfUntrained(store, options.out, context);
    const note = DetectorNote.plan(options.out, store.provenance.detector);
    const companions = [index, note].filter(companion => companion !== undefined);
    const bytes = await writeTsv(store, options.out, { companions, force: options.force }, context);
    return { ok: true, out: options.out, rows: store.rows, bytes, lossless: store.dtype === 'f32' };
  } finally {
    await store.close();
  }
}

function warnOfUntrained(store: StoreFile, out: string, context: StageContext): void {
  if (store.provenance.detector.weights !== 'untrained') return;
  const message = `${store.path}: these features come from an untrained detector, which only ${detectorNotePath(out)} says of the TSV: keep them together; they are for trying things out, not for training`;
  context.emit({ event: 'warning', message });
}
