import { listSome } from '../show-text.ts';
import { basename } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import type { StageContext } from '../events.ts';
import { checkFreeSpace, checkNotInput, checkOutput } from '../files/checks.ts';
import { removeStalePartials } from '../files/partial-names.ts';
import type { IdRule } from '../inputs/id-rule.ts';
import {
  type FeatureDtype,
  lastFiniteBits,
  narrowFeatures,
  storedFeatureBytes,
  widenFeatures,
} from '../rows/feature-dtype.ts';
import {
  imageIdOf,
  LINE_END,
  RECORD_BYTES,
  rowCrc,
  type RowRecord,
  setImageId,
  setRowCrc,
} from '../rows/row-record.ts';
import { planDataStart } from '../store/header.ts';
import { storeBytesFor } from '../store/layout.ts';
import { type Detector, encodeProvenance, type Provenance, UNKNOWN_DETECTOR } from '../store/metadata.ts';
import { requireIntactRow, type StoredRows, StoreFile } from '../store/reader.ts';
import { SourceFormBuilder } from '../store/source-form.ts';
import { StoreWriter } from '../store/writer.ts';
import { TOOL } from '../version.ts';

export interface RewriteOptions {
  /** Read one after the other. */
  readonly stores: readonly string[];
  readonly out: string;
  /** Which rows are taken, and under which img_id. Default: all, under their own. */
  readonly ids?: IdRule | undefined;
  /** Default: that of the stores, which must then agree. */
  readonly dtype?: FeatureDtype | undefined;
  readonly force: boolean;
}

export interface RewriteResult {
  readonly out: string;
  readonly rows: number;
  readonly bytes: number;
  /** Rows of the stores that were not asked for. */
  readonly left_out: number;
}

/**
 * Makes one store of the rows of others: some of them, all of several, or all in another dtype. Every row is checked
 * against its checksum on the way. Fails with ERR_STORE, ERR_USAGE, ERR_OUTPUT_EXISTS, ERR_NO_SPACE, ERR_IO.
 */
export async function rewriteStores(options: RewriteOptions, context: StageContext): Promise<RewriteResult> {
  const { out, force, stores } = options;
  await checkOutput(out, force);
  await checkNotInput(out, stores);
  const opened: StoreFile[] = [];
  try {
    for (const path of stores) opened.push(await StoreFile.open(path));
    const { dtype, detector } = checkAgreement(opened, options.dtype);
    const rows = opened.reduce((sum, store) => sum + store.rows, 0);
    for (const name of await removeStalePartials(out)) {
      context.emit({ event: 'note', message: `removed ${name}, left by an interrupted run` });
    }
    // A selection may be much smaller, so only whole copies are held against the disk beforehand.
    if (options.ids === undefined) await checkFreeSpace(out, storeBytesFor(rows, dtype));
    const dataStart = planDataStart(
      opened.reduce((sum, { provenance }) => sum + provenanceBytes(provenance), 4096),
    );
    const writer = await StoreWriter.create(out, { dtype, dataStart, expectedRows: rows, force });
    const rewriting = new Rewriting(writer, dtype, options.ids, context);
    try {
      for (const store of opened) await rewriting.take(store);
      return await rewriting.finish(opened, detector, out);
    } catch (error) {
      await writer.abort();
      throw error;
    }
  } finally {
    for (const store of opened) await store.close();
  }
}

function provenanceBytes(provenance: Provenance): number {
  return 2 * Buffer.byteLength(JSON.stringify(encodeProvenance(provenance)));
}

/** What all stores must have in common. @throws LxmertDataError ERR_USAGE */
function checkAgreement(
  stores: readonly StoreFile[],
  asked: FeatureDtype | undefined,
): { readonly dtype: FeatureDtype; readonly detector: Detector } {
  const [first] = stores;
  if (first === undefined) throw new LxmertDataError('ERR_USAGE', { what: 'there is no store to read' });
  const { detector } = first.provenance;
  for (const store of stores) {
    const differ = (what: string, expected: string, got: string, hint?: string): never => {
      throw new LxmertDataError('ERR_USAGE', {
        what,
        where: store.path,
        expected: `${expected}, as in ${first.path}`,
        got,
        hint,
      });
    };
    const [columns, others] = [first.shape.columns.join(', '), store.shape.columns.join(', ')];
    if (columns !== others) differ('stores with different columns cannot become one', columns, others);
    const { weights } = store.provenance.detector;
    if (weights !== detector.weights)
      differ(
        'stores of different detectors cannot become one',
        `weights ${detector.weights}`,
        `weights ${weights}`,
        'their features do not mean the same; keep them apart',
      );
    if (asked === undefined && store.dtype !== first.dtype)
      differ('the stores have different dtypes', first.dtype, store.dtype, 'choose one with --dtype');
  }
  return {
    dtype: asked ?? first.dtype,
    detector: detector.weights === 'unknown' ? UNKNOWN_DETECTOR : detector,
  };
}

/** One new store on its way. */
class Rewriting {
  readonly #writer: StoreWriter;
  readonly #dtype: FeatureDtype;
  readonly #ids: IdRule | undefined;
  readonly #context: StageContext;
  readonly #form = new SourceFormBuilder();
  /** The store that each img_id came from. */
  readonly #seen = new Map<string, string>();
  readonly #taken = new Map<string, number>();
  #rows = 0;
  #leftOut = 0;

  constructor(writer: StoreWriter, dtype: FeatureDtype, ids: IdRule | undefined, context: StageContext) {
    this.#writer = writer;
    this.#dtype = dtype;
    this.#ids = ids;
    this.#context = context;
  }

  async take(store: StoreFile): Promise<void> {
    for await (const block of store.readRows()) {
      this.#context.signal.throwIfAborted();
      await this.#writeBlock(store, block);
      const done = block.begin + block.count;
      const progress = { input: store.path, done, total: store.rows, unit: 'images' } as const;
      this.#context.emit({ event: 'progress', stage: 'rewrite', ...progress });
    }
  }

  async #writeBlock(store: StoreFile, block: StoredRows): Promise<void> {
    const columns = store.shape.binaryNames;
    const from = storedFeatureBytes(store.dtype);
    const to = storedFeatureBytes(this.#dtype);
    const features: Buffer[] = [];
    const records: Buffer[] = [];
    for (const [index, record] of block.records.entries()) {
      const stored = block.features.subarray(index * from, (index + 1) * from);
      requireIntactRow(store, block.begin + index, stored, record);
      const imgId = this.#chosenId(store, imageIdOf(record));
      if (imgId === undefined) continue;
      const changed = imgId !== imageIdOf(record);
      if (changed) setImageId(record, Buffer.from(imgId));
      const kept = store.dtype === this.#dtype ? stored : changeDtype(store, record, stored, this.#dtype);
      if (changed || kept !== stored) setRowCrc(record, rowCrc(kept, record, columns));
      features.push(kept.subarray(0, to));
      records.push(record.bytes);
    }
    if (records.length === 0) return;
    for (let index = 0; index < records.length; index++)
      this.#form.setLineEnd(this.#rows + index, LINE_END.crlf);
    await this.#writer.writeRows(
      this.#rows,
      Buffer.concat(features),
      Buffer.concat(records, records.length * RECORD_BYTES),
    );
    this.#rows += records.length;
    this.#taken.set(store.path, (this.#taken.get(store.path) ?? 0) + records.length);
  }

  /** The img_id in the new store; undefined where the row is left out. */
  #chosenId(store: StoreFile, imgId: string): string | undefined {
    const chosen = this.#ids === undefined ? imgId : this.#ids.apply(imgId);
    if (chosen === undefined) {
      this.#leftOut++;
      return undefined;
    }
    const other = this.#seen.get(chosen);
    if (other !== undefined) {
      throw new LxmertDataError('ERR_STORE', {
        what: `image ${chosen} would be in the store twice`,
        where: store.path,
        got: `it came from ${other} already`,
        hint: 'take it out of one of them first: lxmert-data subset',
      });
    }
    this.#seen.set(chosen, store.path);
    return chosen;
  }

  async finish(stores: readonly StoreFile[], detector: Detector, out: string): Promise<RewriteResult> {
    this.#checkListed();
    if (this.#rows === 0) {
      throw new LxmertDataError('ERR_STORE', {
        what: 'no row was chosen, so there is no store to write',
        where: stores.map(({ path }) => path).join(', '),
        hint:
          this.#ids === undefined
            ? undefined
            : `check that ${this.#ids.name} names images as the store does: lxmert-data show STORE`,
      });
    }
    const shape = stores[0]?.shape;
    if (shape === undefined) throw new RangeError('no store was read');
    const metadata = encodeProvenance(this.#describe(stores, detector));
    this.#context.signal.throwIfAborted();
    const bytes = await this.#writer.finish({ rows: this.#rows, shape, form: this.#form, metadata });
    return { out, rows: this.#rows, bytes, left_out: this.#leftOut };
  }

  /** A listed image that no store has is an error: training would miss it without a word. */
  #checkListed(): void {
    const { wanted } = this.#ids ?? {};
    const missing = wanted?.ids.filter(id => !this.#seen.has(id)) ?? [];
    if (wanted === undefined || missing.length === 0) return;
    throw new LxmertDataError('ERR_STORE', {
      what: `${missing.length} of ${wanted.ids.length} listed images are in none of the stores`,
      where: wanted.path,
      got: listSome(missing),
      hint: 'leave them out of the list, or name the store that has them too',
    });
  }

  /** The sources of the stores stay the sources; where rows were left out, how many each store gave is kept. */
  #describe(stores: readonly StoreFile[], detector: Detector): Provenance {
    const edges = stores
      .map(({ provenance }) => provenance.detector.caffe_edge)
      .filter(edge => edge !== undefined);
    const isWhole = this.#leftOut === 0 && this.#ids === undefined;
    const [only] = stores.length === 1 && isWhole ? stores : [];
    const conversion = {
      first: null,
      skip_bad: stores.some(({ provenance }) => provenance.conversion.skip_bad === true),
      from: stores.map(({ path, rows }) => ({
        name: basename(path),
        rows,
        taken: this.#taken.get(path) ?? 0,
      })),
    };
    return {
      detector:
        isWhole && edges.length === stores.length
          ? { ...detector, caffe_edge: sumEdges(edges) }
          : withoutEdge(detector),
      sources: stores.flatMap(({ provenance }) => provenance.sources),
      conversion:
        only === undefined ? conversion : { ...conversion, first: only.provenance.conversion.first ?? null },
      tool: TOOL,
    };
  }
}

function sumEdges(edges: readonly (readonly number[])[]): [number, number] {
  const sum = (at: number): number => edges.reduce((total, edge) => total + (edge[at] ?? 0), 0);
  return [sum(0), sum(1)];
}

/** How many boxes end at Caffe's limits is known of whole stores only. */
function withoutEdge(detector: Detector): Detector {
  const entries = Object.entries(detector).filter(([key]) => key !== 'caffe_edge');
  return { ...Object.fromEntries(entries), name: detector.name, weights: detector.weights };
}

/** The features in another dtype. @throws LxmertDataError ERR_STORE where a value does not fit */
function changeDtype(store: StoreFile, record: RowRecord, stored: Buffer, dtype: FeatureDtype): Buffer {
  const aligned = Buffer.from(stored);
  const wide = widenFeatures(aligned, store.dtype);
  if (dtype === 'f32') return Buffer.from(wide.buffer, wide.byteOffset, wide.byteLength);
  const bits = new Uint32Array(wide.buffer, wide.byteOffset, wide.length);
  const limit = lastFiniteBits(dtype);
  // Negative zero is the one value with a sign that rows may have.
  if (bits.some(value => value > limit && value !== 0x80000000)) {
    throw new LxmertDataError('ERR_STORE', {
      what: `image ${imageIdOf(record)} has values that ${dtype} cannot hold`,
      where: store.path,
      hint: 'choose --dtype bf16 or f32',
    });
  }
  const narrow = new Uint16Array(bits.length);
  narrowFeatures(bits, narrow, dtype);
  return Buffer.from(narrow.buffer);
}
