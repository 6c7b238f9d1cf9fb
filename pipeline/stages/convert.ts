import { basename, dirname, join } from 'node:path';
import type { StageContext } from '../events.ts';
import { removeStalePartials } from '../files/partial-names.ts';
import { checkFreeSpace, checkNotInput, checkOutput } from '../files/checks.ts';
import type { FeatureDtype } from '../rows/feature-dtype.ts';
import { RowDecoder } from '../rows/decoder/row-decoder.ts';
import { RECORD_BYTES } from '../rows/row-record.ts';
import type { RowShape } from '../rows/row-shape.ts';
import { planDataStart, type StoreMetadata } from '../store/header.ts';
import { storeBytesFor } from '../store/layout.ts';
import { StoreWriter } from '../store/writer.ts';
import type { ByteSource } from '../inputs/byte-source.ts';
import { openRowSource } from '../inputs/open-source.ts';
import { TOOL } from '../version.ts';
import { type FirstIds, readFirstIds } from '../inputs/pinned-ids.ts';
import { ProblemLog, type ProblemSummary } from '../rows/problem-log.ts';
import { RowPlacement } from '../store/row-placement.ts';
import { RowScanner, type SourceSummary, withoutShape } from '../rows/scan-rows.ts';
import { StoreFiller } from '../store/fill-store.ts';
import { checkReport, writeReport } from '../report/write-report.ts';

/** Typical bytes of a row, for estimates only. */
const ROW_BYTES = { ten: 395_182, six: 394_016 };

/** Which detector made the rows; `weights` is its sha256, `unknown` or `untrained`. */
export interface Detector {
  readonly name: string;
  readonly weights: string;
  readonly [detail: string]: unknown;
}

export interface ConvertOptions {
  /** .tsv or .zip files; all of them become one store, in this order. */
  readonly files: readonly string[];
  /** Default: the first input with the ending .safetensors, beside it. */
  readonly out?: string | undefined;
  readonly dtype?: FeatureDtype | undefined;
  /** File with ids whose rows come first. */
  readonly first?: string | undefined;
  readonly skipBad?: boolean | undefined;
  readonly force?: boolean | undefined;
  readonly member?: string | undefined;
  readonly report?: string | undefined;
  readonly threads?: number | undefined;
  readonly detector?: Detector | undefined;
}

export interface ConvertResult extends ProblemSummary {
  /** False where rows were left out or nothing was published. */
  readonly ok: boolean;
  /** The published store; null where problems forbade it. */
  readonly store: string | null;
  readonly rows: number;
  readonly bytes: number;
  readonly sources: readonly Omit<SourceSummary, 'shape'>[];
}

export function defaultStorePath(input: string): string {
  return join(dirname(input), `${basename(input).replace(/\.(tsv|zip)$/, '')}.safetensors`);
}

/** Turns rows into a store, checking each, in one pass over the input. Publishes nothing if a row is bad, unless told to skip such rows. */
export async function convert(options: ConvertOptions, context: StageContext): Promise<ConvertResult> {
  const path = options.out ?? defaultStorePath(options.files[0]!);
  await checkOutput(path, options.force === true);
  await checkNotInput(path, options.files);
  await checkReport(options.report, [...options.files, path]);
  const first = options.first === undefined ? undefined : await readFirstIds(options.first);
  for (const name of await removeStalePartials(path)) {
    context.emit({ event: 'note', message: `removed ${name}, which an interrupted run had left` });
  }
  const sources: ByteSource[] = [];
  try {
    // All inputs are opened before work starts, so that a wrong name does not show after an hour.
    for (const file of options.files) sources.push(await openRowSource(file, options.member));
    const result = await convertSources(sources, path, { ...options, firstIds: first }, context);
    await writeReport(options.report, result);
    return result;
  } finally {
    await Promise.all(sources.map(async source => await source.close()));
  }
}

/** Turns open sources into a store at `path`, as `convert` does. The caller closes them. */
export async function convertSources(
  sources: readonly ByteSource[],
  path: string,
  options: Omit<ConvertOptions, 'files' | 'out'> & {
    readonly firstIds?: FirstIds | undefined;
    /** False where the caller knows better than the manifest how many rows there should be. */
    readonly countRows?: boolean;
  },
  context: StageContext,
): Promise<ConvertResult> {
  const first = options.firstIds;
  const dtype = options.dtype ?? 'f32';
  const expectedRows = Math.ceil(sources.reduce((sum, source) => sum + source.size, 0) / ROW_BYTES.ten);
  // Records stand on the disk twice for a while: in their own file and in the store.
  await checkFreeSpace(path, storeBytesFor(expectedRows, dtype) + expectedRows * RECORD_BYTES);
  const log = new ProblemLog(context.emit);
  const dataStart = planDataStart(sources.reduce((sum, source) => sum + 512 + 8 * source.name.length, 0));
  const writer = await StoreWriter.create(path, { dtype, dataStart, expectedRows, force: options.force });
  let decoder: RowDecoder | undefined;
  try {
    decoder = new RowDecoder({ dtype, threads: options.threads, align: memory => writer.align(memory) });
    const placement = new RowPlacement(first?.ids ?? []);
    const filler = new StoreFiller(writer, placement);
    const scanner = new RowScanner(decoder, log, context, 'convert', options.countRows);
    const summaries: SourceSummary[] = [];
    for (const source of sources) {
      const summary = await scanner.scan(source, (block, accepted) => {
        // Without --skip-bad nothing will be published after the first problem; reading goes on to report all of them.
        if (log.errors > 0 && options.skipBad !== true) {
          for (const [index, line] of block.lines.entries())
            if (accepted[index] === true) placement.place(line.imgId!);
          block.release();
        } else filler.take(block, accepted);
      });
      filler.endSource();
      summaries.push(summary);
    }
    await filler.settle();
    const shape = checkOutcome(placement, first, summaries, log, options);
    const listed = summaries.map(withoutShape);
    const problems = log.summary();
    if (shape === undefined) {
      await writer.abort();
      return { ok: false, store: null, rows: 0, bytes: 0, sources: listed, ...problems };
    }
    for (const move of placement.closeGaps()) {
      await writer.moveRows(move.from, move.to, move.count);
      for (let row = 0; row < move.count; row++) filler.form.move(move.from + row, move.to + row);
    }
    context.signal.throwIfAborted();
    // Somebody else may have made it in the meantime.
    await checkOutput(path, options.force === true);
    const metadata = describeOrigin(summaries, first, options);
    const bytes = await writer.finish({ rows: placement.rows, shape, form: filler.form, metadata });
    return {
      ok: problems.errors === 0,
      store: path,
      rows: placement.rows,
      bytes,
      sources: listed,
      ...problems,
    };
  } catch (error) {
    await writer.abort();
    throw error;
  } finally {
    await decoder?.close();
  }
}

/** The shape of the store's rows, or undefined where problems forbid to publish one. */
function checkOutcome(
  placement: RowPlacement,
  first: FirstIds | undefined,
  summaries: readonly SourceSummary[],
  log: ProblemLog,
  options: Pick<ConvertOptions, 'first' | 'skipBad'>,
): RowShape | undefined {
  const { missing } = placement;
  if (missing.length > 0) {
    log.add([
      {
        code: 'rows',
        severity: 'error',
        source: options.first!,
        line: 0,
        offset: 0,
        img_id: null,
        column: null,
        expected: `a row for each of the ${first!.ids.length} ids that come first`,
        got: `none for ${missing.length}: ${missing.slice(0, 5).join(', ')}${missing.length > 5 ? ', …' : ''}`,
      },
    ]);
  }
  if (log.errors > 0 && options.skipBad !== true) return undefined;
  return placement.rows === 0 ? undefined : summaries.find(summary => summary.rows > 0)?.shape;
}

function describeOrigin(
  summaries: readonly SourceSummary[],
  first: FirstIds | undefined,
  options: Pick<ConvertOptions, 'detector' | 'skipBad'>,
): StoreMetadata {
  const rows = summaries.reduce((sum, summary) => sum + summary.rows, 0);
  const exact = summaries.reduce((sum, summary) => sum + summary.edge_exact, 0);
  const detector = options.detector ?? { name: 'unknown', weights: 'unknown' };
  return {
    detector: JSON.stringify({ ...detector, caffe_edge: [exact, rows] }),
    sources: JSON.stringify(
      summaries.map(({ name, size, sha256, rows: taken, rejected }) => ({
        name,
        size,
        sha256,
        rows: taken,
        rejected,
      })),
    ),
    conversion: JSON.stringify({
      first: first === undefined ? null : { count: first.ids.length, sha256: first.sha256 },
      skip_bad: options.skipBad === true,
    }),
    tool: TOOL,
  };
}
