import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { checkFreeSpace } from '../files/checks.ts';
import { checkFirstBytes } from './file-shape.ts';
import { finishDownload } from './finish-download.ts';
import type { DownloadedFile } from './finish-download.ts';
import { JournalledFile } from './journalled-file.ts';
import { MirrorFault } from './mirror-fault.ts';
import { PartJournal, removeJournal } from './part-journal.ts';
import type { JournalHead, Segment } from './part-journal.ts';
import { PartialFile } from './partial-file.ts';
import { FIRST_SEGMENT_BYTES, planSegments } from './plan-segments.ts';
import { openRange, receiveBody } from './receive-range.ts';
import type { OpenedRange, WatchdogOptions } from './receive-range.ts';
import type { RemoteFile } from './remote-file.ts';
import type { RetryPolicy } from './retry-delay.ts';
import { withRetries } from './with-retries.ts';

export type { DownloadedFile } from './finish-download.ts';

export interface DownloadOptions {
  /** Where the finished file goes; `<path>.partial` and `<path>.partial-journal` lie beside it until then. */
  readonly path: string;
  readonly connections?: number | undefined;
  readonly signal: AbortSignal;
  readonly retry?: RetryPolicy | undefined;
  readonly watchdog?: WatchdogOptions | undefined;
  /** Runs each request; a per-host limit. */
  readonly limit?: (<T>(task: () => Promise<T>) => Promise<T>) | undefined;
  readonly onProgress?: ((doneBytes: number, totalBytes: number | undefined) => void) | undefined;
  /** Retries and restarts, for the user to see. */
  readonly onNote?: ((message: string) => void) | undefined;
}

/** Bytes in memory that are not yet in the journal, of all connections together: what a killed process loses. */
const UNNOTED_BYTES = 1 << 20;
/** Where the server names no version of the file, this much before the break is fetched again and compared. */
const OVERLAP_BYTES = 16 << 10;
/** Where such a file breaks on a server that cannot continue it, all of it is fetched again: worth telling. */
const NOTABLE_BYTES = 16 << 20;
const MAX_RESTARTS = 3;
const DEFAULT_WATCHDOG: WatchdogOptions = { idleMs: 60_000, minBytes: 16 << 10 };

/**
 * Fetches a file byte-exactly, going on where an earlier run stopped. Throws MirrorFault where this mirror cannot give
 * it (the partial file stays for the next run where its bytes are good), LxmertDataError for the disk.
 */
export async function downloadFile(remote: RemoteFile, options: DownloadOptions): Promise<DownloadedFile> {
  await mkdir(dirname(options.path), { recursive: true });
  for (let restart = 0; ; restart++) {
    try {
      return await new Download(remote, options).run();
    } catch (error) {
      if (!(error instanceof MirrorFault) || error.kind !== 'changed') throw error;
      await removeJournal(journalPath(options.path));
      if (restart >= MAX_RESTARTS) throw error;
      options.onNote?.(`starting over: ${error.message}`);
    }
  }
}

export function partialDownloadPath(path: string): string {
  return `${path}.partial`;
}

function journalPath(path: string): string {
  return `${path}.partial-journal`;
}

class Download {
  readonly #remote: RemoteFile;
  readonly #options: DownloadOptions;
  #connections: number;
  readonly #abort = new AbortController();
  readonly #signal: AbortSignal;
  #data!: PartialFile;
  #file: JournalledFile | undefined;
  #total: number | undefined;
  #validator: string | undefined;
  #streamedBytes = 0;

  constructor(remote: RemoteFile, options: DownloadOptions) {
    this.#remote = remote;
    this.#options = options;
    this.#connections = Math.min(Math.max(options.connections ?? 1, 1), remote.maxConnections);
    this.#signal = AbortSignal.any([options.signal, this.#abort.signal]);
  }

  async run(): Promise<DownloadedFile> {
    const { path } = this.#options;
    this.#data = await PartialFile.open(partialDownloadPath(path), this.#remote.md5 !== undefined);
    try {
      if (!(await this.#loadJournal())) {
        await this.#data.startOver();
        const position = (): number => this.#file?.doneBytes ?? 0;
        await this.#tryUntilDone(isRetry => this.#startOrGoOn(isRetry), position);
      }
      if (this.#file !== undefined) await this.#fetchSegments(this.#file);
      await this.#file?.settle();
      const facts = { path, journalPath: journalPath(path), total: this.#total!, signal: this.#signal };
      return await finishDownload(this.#remote, { data: this.#data, ...facts });
    } catch (error) {
      // Without a journal nobody can go on with what is there.
      if (this.#file === undefined) await this.#data.remove();
      throw error;
    } finally {
      this.#abort.abort();
      await this.#file?.close();
      if (this.#file?.hasLostBytes === true) await removeJournal(journalPath(this.#options.path));
      await this.#data.close();
    }
  }

  async #loadJournal(): Promise<boolean> {
    const loaded = await PartJournal.load(journalPath(this.#options.path));
    const { identity, sizeBytes } = this.#remote;
    if (loaded?.head.identity !== identity) return false;
    const { head, segments } = loaded;
    const reach = Math.max(...segments.map(({ start, done }) => (done > start ? done : 0)));
    if ((sizeBytes ?? head.total) !== head.total || (await this.#data.size()) < reach) return false;
    if (head.validator === undefined) this.#connections = 1;
    const { doneBytes } = await this.#keepJournal(head, segments);
    if (doneBytes > 0) this.#options.onNote?.(`going on at ${doneBytes} of ${head.total} bytes`);
    return true;
  }

  async #keepJournal(head: JournalHead, segments: readonly Segment[]): Promise<JournalledFile> {
    this.#total = head.total;
    this.#validator = head.validator;
    // A new journal says of all it names that it is on the disk.
    if (segments.some(({ start, done }) => done > start)) await this.#data.handle.datasync();
    const journal = await PartJournal.create(journalPath(this.#options.path), head, segments);
    return (this.#file = new JournalledFile(this.#data, journal, this.#remote.shape));
  }

  /** The first request: learns size and version, plans the segments, and fetches the first of them. */
  async #startOrGoOn(isRetry: boolean): Promise<void> {
    if (this.#file !== undefined) {
      await this.#fetchSegment(this.#file, this.#file.segments[0]!, isRetry);
      return;
    }
    if (await this.#goOnUnknown()) return;
    const wanted = this.#connections > 1 ? { start: 0, end: FIRST_SEGMENT_BYTES } : { start: 0 };
    const opened = await this.#open(wanted, isRetry);
    const { accepted } = opened;
    const total = accepted.total ?? this.#remote.sizeBytes;
    let file: JournalledFile | undefined;
    try {
      this.#checkTotal(total, opened);
      if (total !== undefined) file = await this.#plan(total, opened);
    } catch (error) {
      opened.body.destroy();
      throw error;
    }
    if (file === undefined) await this.#receiveUnknown(opened);
    else await this.#receive(opened, file, file.segments[0]!, 0);
  }

  async #plan(total: number, { accepted }: OpenedRange): Promise<JournalledFile> {
    const { identity } = this.#remote;
    const { path, onNote } = this.#options;
    await checkFreeSpace(path, total);
    // Only where the server names the version can pieces be fetched side by side: nothing else ties them together.
    if (!accepted.ranged || accepted.validator === undefined) this.#connections = 1;
    if (!accepted.ranged && total > NOTABLE_BYTES) {
      onNote?.('this server sends files only from their start: after a break all of it is fetched again');
    }
    const segments = planSegments(total, accepted.end ?? total, this.#connections);
    return this.#keepJournal({ identity, total, validator: accepted.validator }, segments);
  }

  #checkTotal(total: number | undefined, opened: OpenedRange): void {
    const expected = this.#remote.sizeBytes;
    if (total === undefined && !opened.isChunked) {
      throw new MirrorFault('unsupported', 'the server does not say how long the file is');
    }
    if (total === 0) throw new MirrorFault('wrong-size', 'the server sends an empty file');
    if (expected !== undefined && total !== undefined && total !== expected) {
      throw new MirrorFault('wrong-size', `the server has a file of ${total} bytes, expected ${expected}`);
    }
  }

  async #fetchSegments(file: JournalledFile): Promise<void> {
    const queue = file.segments.filter(segment => segment.done < segment.end);
    const work = async (): Promise<void> => {
      for (let segment = queue.shift(); segment !== undefined; segment = queue.shift()) {
        const current = segment;
        // A server may answer with less than was asked for.
        while (current.done < current.end) {
          await this.#tryUntilDone(
            isRetry => this.#fetchSegment(file, current, isRetry),
            () => current.done,
          );
        }
      }
    };
    const workers = Array.from({ length: Math.min(this.#connections, queue.length) }, work);
    try {
      await Promise.all(workers);
    } catch (error) {
      this.#abort.abort();
      await Promise.allSettled(workers);
      throw error;
    }
  }

  async #fetchSegment(file: JournalledFile, segment: Segment, isRetry: boolean): Promise<void> {
    // The break came after the last byte.
    if (segment.done === segment.end) return;
    const overlap = this.#validator === undefined ? Math.min(OVERLAP_BYTES, segment.done) : 0;
    const opened = await this.#open({ start: segment.done - overlap, end: segment.end }, isRetry);
    await this.#receive(opened, file, segment, overlap);
  }

  #open(asked: { start: number; end?: number }, fresh: boolean): Promise<OpenedRange> {
    const known = { total: this.#total, validator: this.#validator };
    return openRange(this.#remote, asked, known, { fresh, signal: this.#signal });
  }

  async #receive(
    opened: OpenedRange,
    file: JournalledFile,
    segment: Segment,
    overlap: number,
  ): Promise<void> {
    const end = Math.min(opened.accepted.end ?? segment.end, segment.end);
    const keep = file.keeper({ segment, overlap, end });
    const budgetBytes = Math.floor(UNNOTED_BYTES / this.#connections);
    await receiveBody(opened, budgetBytes, this.#watchdog, this.#signal, async (chunks, length) => {
      await keep(chunks, length);
      this.#options.onProgress?.(file.doneBytes, this.#total);
    });
    if (segment.done < end)
      throw new MirrorFault('network', `the connection ended at ${segment.done} of ${end} bytes`);
  }

  /** A body whose length only its end tells. It is not in the journal: a killed process begins it anew. */
  async #receiveUnknown(opened: OpenedRange): Promise<void> {
    this.#streamedBytes = 0;
    this.#validator = opened.accepted.validator;
    await this.#data.startOver();
    await receiveBody(opened, UNNOTED_BYTES, this.#watchdog, this.#signal, async (chunks, length) => {
      if (this.#streamedBytes === 0) checkFirstBytes(Buffer.concat(chunks), this.#remote.shape);
      await this.#data.write(chunks, this.#streamedBytes);
      this.#streamedBytes += length;
      this.#options.onProgress?.(this.#streamedBytes, undefined);
    });
    if (this.#streamedBytes === 0) throw new MirrorFault('wrong-size', 'the server sends an empty file');
    this.#total = this.#streamedBytes;
  }

  /** After a break in such a body a server may still send its rest, and then says how long it is. */
  async #goOnUnknown(): Promise<boolean> {
    const done = this.#streamedBytes;
    if (done === 0) return false;
    try {
      if (this.#validator === undefined) throw new MirrorFault('changed', 'the server names no version');
      const opened = await this.#open({ start: done }, true);
      const { total, validator } = opened.accepted;
      const head = { identity: this.#remote.identity, total: total!, validator };
      const segment = { start: 0, end: total!, done };
      this.#connections = 1;
      const file = await this.#keepJournal(head, [segment]);
      await this.#receive(opened, file, segment, 0);
      return true;
    } catch (error) {
      if (!(error instanceof MirrorFault) || error.kind !== 'changed' || this.#file !== undefined)
        throw error;
      this.#options.onNote?.(
        `this server cannot continue the file (${error.message}): all of it is fetched again`,
      );
      this.#streamedBytes = 0;
      this.#validator = undefined;
      return false;
    }
  }

  get #watchdog(): WatchdogOptions {
    return this.#options.watchdog ?? DEFAULT_WATCHDOG;
  }

  async #tryUntilDone(attempt: (isRetry: boolean) => Promise<void>, position: () => number): Promise<void> {
    const { limit, retry, onNote } = this.#options;
    const worthwhileBytes = (): number => Math.min(1 << 20, (this.#total ?? 0) / 64);
    const options = { policy: retry, signal: this.#signal, position, worthwhileBytes, onNote };
    const task = (): Promise<void> => withRetries(attempt, options);
    await (limit === undefined ? task() : limit(task));
  }
}
