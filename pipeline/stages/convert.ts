import { basename, dirname, join } from 'node:path';
import type { StageContext } from '../events.ts';
import { checkNotInput, checkOutput } from '../files/checks.ts';
import type { ByteSource } from '../inputs/byte-source.ts';
import { openRowSource } from '../inputs/open-source.ts';
import type { IdRule } from '../inputs/id-rule.ts';
import type { PinnedIds } from '../inputs/pinned-ids.ts';
import { type ExpectedRows, loadExpectedRows } from '../manifest/expected-rows.ts';
import type { FeatureDtype } from '../rows/feature-dtype.ts';
import { buildStore, type BuildResult } from '../store/build-store.ts';
import { readDetectorNotes } from '../store/detector-note.ts';
import type { Detector } from '../store/metadata.ts';

export interface ConvertOptions {
  /** .tsv or .zip files; all of them become one store, in this order. */
  readonly files: readonly string[];
  /** Default: the first input with the ending .safetensors, beside it. */
  readonly out?: string | undefined;
  /** Default: f32, which is lossless. */
  readonly dtype?: FeatureDtype | undefined;
  /** Ids whose rows come first, from `readPinnedIds`. */
  readonly pinned?: PinnedIds | undefined;
  /** Which rows are taken, and under which img_id, from `readIdRule`. */
  readonly ids?: IdRule | undefined;
  /** Leave invalid rows out, list them, and return `ok: false`. */
  readonly skipBad?: boolean | undefined;
  /** Replace an existing store. */
  readonly force?: boolean | undefined;
  /** The TSV to read inside zips that hold several. */
  readonly member?: string | undefined;
  readonly threads?: number | undefined;
  /** Default: what the notes beside the TSVs say, or else unknown. */
  readonly detector?: Detector | undefined;
  /** Rows that files must have, by name. Default: those of the manifest that comes with this package. */
  readonly expectedRows?: ExpectedRows | undefined;
  /** Files may have fewer rows: they are parts, as the user says. */
  readonly subset?: boolean | undefined;
}

export type ConvertResult = BuildResult;

/** The store that `convert` makes of `input` where no output is named. */
export function defaultStorePath(input: string): string {
  return join(dirname(input), `${basename(input).replace(/\.(tsv|zip)$/, '')}.safetensors`);
}

/**
 * Turns feature TSVs into a store, checking each row, in one pass over the input. Publishes nothing if a row is invalid,
 * unless `skipBad` is set. Fails with ERR_USAGE without files, ERR_INPUT, ERR_ZIP, ERR_OUTPUT_EXISTS, ERR_NO_SPACE, ERR_IO.
 */
export async function convert(options: ConvertOptions, context: StageContext): Promise<ConvertResult> {
  const { files, member, skipBad = false, force = false } = options;
  const out = options.out ?? defaultStorePath(files[0] ?? '');
  await checkOutput(out, force);
  await checkNotInput(out, files);
  const sources: ByteSource[] = [];
  try {
    // All inputs are opened before work starts, so that a wrong name shows at once and not after an hour.
    for (const file of files) sources.push(await openRowSource(file, member));
    const { dtype = 'f32', pinned, ids, threads, subset } = options;
    const detector = options.detector ?? (await readDetectorNotes(files, context.emit));
    const expectedRows = options.expectedRows ?? (await loadExpectedRows());
    const plan = { out, dtype, pinned, ids, skipBad, force, threads, detector, expectedRows, subset };
    return await buildStore(sources, plan, context);
  } finally {
    await Promise.all(sources.map(async source => await source.close()));
  }
}
