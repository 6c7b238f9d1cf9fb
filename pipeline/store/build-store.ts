import { listSome } from '../show-text.ts';
import { basename } from 'node:path';
import type { StageContext } from '../events.ts';
import { removeStalePartials } from '../files/partial-names.ts';
import { checkFreeSpace, checkOutput } from '../files/checks.ts';
import type { ByteSource } from '../inputs/byte-source.ts';
import type { IdRule } from '../inputs/id-rule.ts';
import type { PinnedIds } from '../inputs/pinned-ids.ts';
import { fileProblem } from '../problem.ts';
import type { ExpectedRows } from '../manifest/expected-rows.ts';
import { RowDecoder } from '../rows/decoder/row-decoder.ts';
import type { FeatureDtype } from '../rows/feature-dtype.ts';
import { ProblemLog, type ProblemSummary } from '../rows/problem-log.ts';
import { RECORD_BYTES } from '../rows/row-record.ts';
import { OBJ36, type RowShape, typicalRowBytes } from '../rows/row-shape.ts';
import { RowScanner, type SourceSummary, withoutShape } from '../rows/scan-rows.ts';
import { TOOL } from '../version.ts';
import { planDataStart } from './header.ts';
import { storeBytesFor } from './layout.ts';
import { type Detector, encodeProvenance, type Provenance, UNKNOWN_DETECTOR } from './metadata.ts';
import { RowPlacement } from './row-placement.ts';
import { StoreFiller } from './store-filler.ts';
import { StoreWriter } from './writer.ts';

/** What to build and where; the inputs are already open. */
export interface BuildPlan {
  readonly out: string;
  readonly dtype: FeatureDtype;
  /** Ids whose rows come first, in their order. */
  readonly pinned?: PinnedIds | undefined;
  /** Which rows are taken, and under which img_id. */
  readonly ids?: IdRule | undefined;
  /** Leave invalid rows out instead of publishing nothing. */
  readonly skipBad: boolean;
  /** Replace an existing store. */
  readonly force: boolean;
  /** Decoding threads; a default for this machine where not given. */
  readonly threads?: number | undefined;
  readonly detector?: Detector | undefined;
  /** Rows that each source must have; undefined where the caller decides how many there are. */
  readonly expectedRows?: ExpectedRows | undefined;
  /** Sources may have fewer rows. */
  readonly subset?: boolean | undefined;
}

export interface BuildResult extends ProblemSummary {
  /** False where rows were left out or nothing was published. */
  readonly ok: boolean;
  /** The published store; null where problems prevented it. */
  readonly store: string | null;
  readonly rows: number;
  readonly bytes: number;
  readonly sources: readonly Omit<SourceSummary, 'shape'>[];
}

/**
 * Turns the rows of open sources into one store at `plan.out`, checking each row, in one pass. Publishes nothing if a row
 * is invalid, unless `skipBad` leaves such rows out. The caller closes the sources.
 */
export async function buildStore(
  sources: readonly ByteSource[],
  plan: BuildPlan,
  context: StageContext,
): Promise<BuildResult> {
  for (const name of await removeStalePartials(plan.out)) {
    context.emit({ event: 'note', message: `removed ${name}, left by an interrupted run` });
  }
  const builder = await StoreBuilder.start(sources, plan, context);
  try {
    const summaries: SourceSummary[] = [];
    for (const source of sources) summaries.push(await builder.take(source));
    return await builder.finish(summaries);
  } catch (error) {
    await builder.abort();
    throw error;
  } finally {
    await builder.close();
  }
}

class StoreBuilder {
  readonly #plan: BuildPlan;
  readonly #context: StageContext;
  readonly #log: ProblemLog;
  readonly #writer: StoreWriter;
  readonly #decoder: RowDecoder;
  readonly #placement: RowPlacement;
  readonly #filler: StoreFiller;
  readonly #scanner: RowScanner;

  private constructor(writer: StoreWriter, plan: BuildPlan, context: StageContext) {
    this.#plan = plan;
    this.#context = context;
    this.#writer = writer;
    this.#log = new ProblemLog(context.emit);
    this.#decoder = new RowDecoder({
      dtype: plan.dtype,
      threads: plan.threads,
      align: memory => writer.align(memory),
    });
    this.#placement = new RowPlacement(plan.pinned?.ids ?? []);
    this.#filler = new StoreFiller(writer, this.#placement);
    this.#scanner = new RowScanner(this.#decoder, this.#log, context, {
      stage: 'convert',
      expectedRows: plan.expectedRows,
      subset: plan.subset,
      ids: plan.ids,
    });
  }

  static async start(
    sources: readonly ByteSource[],
    plan: BuildPlan,
    context: StageContext,
  ): Promise<StoreBuilder> {
    const { out, dtype, force } = plan;
    const bytes = sources.reduce((sum, source) => sum + source.size, 0);
    const expectedRows = Math.ceil(bytes / typicalRowBytes(OBJ36));
    // Records are on the disk twice for a while: in a file of their own and in the store.
    await checkFreeSpace(out, storeBytesFor(expectedRows, dtype) + expectedRows * RECORD_BYTES);
    const dataStart = planDataStart(sources.reduce((sum, source) => sum + 512 + 8 * source.name.length, 0));
    const writer = await StoreWriter.create(out, { dtype, dataStart, expectedRows, force });
    return new StoreBuilder(writer, plan, context);
  }

  /** Reads one source to its end. */
  async take(source: ByteSource): Promise<SourceSummary> {
    const summary = await this.#scanner.scan(source, (block, accepted) => {
      if (this.#log.errors === 0 || this.#plan.skipBad) {
        this.#filler.take(block, accepted);
        return;
      }
      // Nothing will be published, but reading goes on so that every problem is reported.
      for (const [index, { imgId }] of block.lines.entries()) {
        if (accepted[index] === true && imgId !== null) this.#placement.indexFor(imgId);
      }
      block.release();
    });
    this.#filler.endSource();
    return summary;
  }

  /** Publishes the store, or nothing where problems forbid it. */
  async finish(summaries: readonly SourceSummary[]): Promise<BuildResult> {
    await this.#filler.settle();
    this.#reportMissing(this.#plan.pinned, 'ids that come first');
    this.#reportMissing(this.#plan.ids?.wanted, 'listed ids');
    const shape = this.#publishableShape(summaries);
    const sources = summaries.map(withoutShape);
    if (shape === undefined) {
      await this.#writer.abort();
      return { ok: false, store: null, rows: 0, bytes: 0, sources, ...this.#log.summary() };
    }
    await this.#closeGaps();
    this.#context.signal.throwIfAborted();
    const { out, force } = this.#plan;
    // Another process may have created it in the meantime.
    await checkOutput(out, force);
    const { rows } = this.#placement;
    const metadata = encodeProvenance(this.#describeProvenance(summaries));
    const bytes = await this.#writer.finish({ rows, shape, form: this.#filler.form, metadata });
    const problems = this.#log.summary();
    return { ok: problems.errors === 0, store: out, rows, bytes, sources, ...problems };
  }

  async abort(): Promise<void> {
    await this.#writer.abort();
  }

  async close(): Promise<void> {
    await this.#decoder.close();
  }

  /** Ids of a list that no row has. */
  #reportMissing(list: PinnedIds | undefined, what: string): void {
    if (list === undefined) return;
    const missing = list.ids.filter(id => !this.#scanner.has(id));
    if (missing.length === 0) return;
    this.#log.add([
      fileProblem('rows', list.path, {
        expected: `a row for each of the ${list.ids.length} ${what}`,
        got: `no row for ${missing.length}: ${listSome(missing)}`,
      }),
    ]);
  }

  #publishableShape(summaries: readonly SourceSummary[]): RowShape | undefined {
    if (this.#log.errors > 0 && !this.#plan.skipBad) return undefined;
    if (this.#placement.rows === 0) return undefined;
    return summaries.find(summary => summary.rows > 0)?.shape;
  }

  /** Moves rows down over the indices of pinned ids that no row had. */
  async #closeGaps(): Promise<void> {
    for (const { from, to, count } of this.#placement.closeGaps()) {
      await this.#writer.moveRows(from, to, count);
      for (let row = 0; row < count; row++) this.#filler.form.move(from + row, to + row);
    }
  }

  #describeProvenance(summaries: readonly SourceSummary[]): Provenance {
    const { pinned, ids, detector = UNKNOWN_DETECTOR, skipBad } = this.#plan;
    const sum = (count: (summary: SourceSummary) => number): number =>
      summaries.reduce((total, summary) => total + count(summary), 0);
    return {
      detector: { ...detector, caffe_edge: [sum(s => s.edge_exact), sum(s => s.rows)] },
      sources: summaries.map(summary => ({
        name: summary.name,
        size: summary.size,
        sha256: summary.sha256,
        rows: summary.rows,
        rejected: summary.rejected,
      })),
      conversion: {
        first: pinned === undefined ? null : { count: pinned.ids.length, sha256: pinned.sha256 },
        skip_bad: skipBad,
        ...(ids === undefined
          ? {}
          : {
              ids: { rule: basename(ids.name), renamed: sum(s => s.renamed), left_out: sum(s => s.left_out) },
            }),
      },
      tool: TOOL,
    };
  }
}
