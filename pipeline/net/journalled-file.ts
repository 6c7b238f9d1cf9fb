import { describeWriteFailure } from '../files/checks.ts';
import { checkFirstBytes, SHAPE_BYTES } from './file-shape.ts';
import type { FileShape } from './file-shape.ts';
import { MirrorFault } from './mirror-fault.ts';
import type { PartialFile } from './partial-file.ts';
import type { PartJournal, Segment } from './part-journal.ts';

const SYNC_EVERY_BYTES = 64 << 20;

export interface KeepOptions {
  readonly segment: Segment;
  /** Bytes of the answer that are there already and are compared instead of written. */
  readonly overlap: number;
  /** Exclusive; more than this must not come. */
  readonly end: number;
}

/** A partial file and its journal: received bytes are checked, written, noted, and synced now and then. */
export class JournalledFile {
  readonly #data: PartialFile;
  readonly #journal: PartJournal;
  readonly #shape: FileShape;
  #unsyncedBytes = 0;
  #syncing: Promise<void> | undefined;
  #failure: unknown;

  constructor(data: PartialFile, journal: PartJournal, shape: FileShape) {
    this.#data = data;
    this.#journal = journal;
    this.#shape = shape;
  }

  get segments(): readonly Segment[] {
    return this.#journal.segments;
  }

  get doneBytes(): number {
    return this.segments.reduce((sum, { start, done }) => sum + done - start, 0);
  }

  /** Returns a function that takes the pieces of one answer in their order. Throws MirrorFault where they do not fit. */
  keeper({
    segment,
    overlap,
    end,
  }: KeepOptions): (chunks: readonly Buffer[], length: number) => Promise<void> {
    let toCompare = overlap;
    return async (chunks, length) => {
      let rest = chunks;
      let size = length;
      if (toCompare > 0) {
        const bytes = Buffer.concat(chunks);
        const compared = Math.min(toCompare, bytes.length);
        await this.#compare(bytes.subarray(0, compared), segment.done - toCompare);
        toCompare -= compared;
        rest = [bytes.subarray(compared)];
        size -= compared;
        if (size === 0) return;
      }
      if (segment.done + size > end) {
        throw new MirrorFault('network', 'the server sends more than it announced');
      }
      if (segment.done === 0) {
        const bytes = Buffer.concat(rest);
        // A break in the first bytes: too little to judge, so nothing is kept.
        if (bytes.length < Math.min(SHAPE_BYTES, this.#journal.head.total)) return;
        checkFirstBytes(bytes, this.#shape);
      }
      await this.#data.write(rest, segment.done);
      this.#journal.note(segment, segment.done + size);
      this.#advance(size);
    };
  }

  async #compare(bytes: Buffer, position: number): Promise<void> {
    const own = await this.#data.read(position, position + bytes.length);
    if (!own.equals(bytes)) throw new MirrorFault('changed', 'the file on the server has other bytes now');
  }

  #advance(size: number): void {
    // Segments follow each other without holes, so the first unfinished one ends what is there from the start.
    const unfinished = this.segments.find(({ done, end }) => done < end);
    this.#data.advanceTo(unfinished?.done ?? this.#journal.head.total);
    this.#unsyncedBytes += size;
    if (this.#unsyncedBytes < SYNC_EVERY_BYTES || this.#syncing !== undefined) return;
    this.#unsyncedBytes = 0;
    // The system reports bytes that it could not write only once: a later sync would find nothing wrong.
    this.#syncing = this.#journal
      .sync(this.#data.handle)
      .catch((error: unknown) => void (this.#failure ??= error))
      .finally(() => (this.#syncing = undefined));
  }

  /** Whether bytes that the journal names may not be on the disk. */
  get hasLostBytes(): boolean {
    return this.#failure !== undefined;
  }

  /** Waits for a sync under way; throws what any of them met. */
  async settle(): Promise<void> {
    await this.#syncing;
    if (this.#failure !== undefined) throw await describeWriteFailure(this.#data.path, 0, this.#failure);
  }

  async close(): Promise<void> {
    await this.#syncing;
    await this.#journal.close();
  }
}
