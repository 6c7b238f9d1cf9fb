import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkFreeSpace, publish } from '../../files.ts';
import { checkFirstBytes, SHAPE_BYTES } from './file-shape.ts';
import { MirrorFault } from './mirror-fault.ts';
import { PartJournal, removeJournal } from './part-journal.ts';
import type { Segment } from './part-journal.ts';
import { PartialFile } from './partial-file.ts';
import { openRange, receiveBody } from './receive-range.ts';
import type { OpenedRange, WatchdogOptions } from './receive-range.ts';
import type { RemoteFile } from './remote-file.ts';
import { calculateRetryDelay, DEFAULT_RETRY } from './retry-delay.ts';
import type { RetryPolicy } from './retry-delay.ts';
import { planSegments, FIRST_SEGMENT_BYTES } from './plan-segments.ts';

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

export interface DownloadedFile {
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** Bytes in memory that are not yet in the journal, of all connections together: what a killed process loses. */
const UNNOTED_BYTES = 1 << 20;
/** Where the server names no version of the file, this much before the break is fetched again and compared. */
const OVERLAP_BYTES = 16 << 10;
const SYNC_EVERY_BYTES = 64 << 20;
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
  #journal: PartJournal | undefined;
  #total: number | undefined;
  #validator: string | undefined;
  #unsyncedBytes = 0;
  #syncing: Promise<void> | undefined;
  #streamedBytes = 0;

  constructor(remote: RemoteFile, options: DownloadOptions) {
    this.#remote = remote;
    this.#options = options;
    this.#connections = Math.min(Math.max(options.connections ?? 1, 1), remote.maxConnections);
    this.#signal = AbortSignal.any([options.signal, this.#abort.signal]);
  }

  async run(): Promise<DownloadedFile> {
    this.#data = await PartialFile.open(
      partialDownloadPath(this.#options.path),
      this.#remote.md5 !== undefined,
    );
    try {
      if (!(await this.#loadJournal())) {
        await this.#data.startOver();
        await this.#limit(() =>
          this.#withRetries(
            isRetry => this.#startOrGoOn(isRetry),
            () => this.#doneBytes(),
          ),
        );
      }
      const journal = this.#journal;
      if (journal !== undefined) await this.#fetchSegments(journal);
      await this.#syncing;
      return await this.#finish();
    } catch (error) {
      // Without a journal nobody can go on with what is there.
      if (this.#journal === undefined) await this.#data.remove();
      throw error;
    } finally {
      this.#abort.abort();
      await this.#syncing?.catch(() => undefined);
      await this.#journal?.close();
      await this.#data.close();
    }
  }

  async #loadJournal(): Promise<boolean> {
    const path = journalPath(this.#options.path);
    const loaded = await PartJournal.load(path);
    const { identity, sizeBytes } = this.#remote;
    if (loaded?.head.identity !== identity) return false;
    const { head, segments } = loaded;
    const reach = Math.max(...segments.map(({ start, done }) => (done > start ? done : 0)));
    if ((sizeBytes ?? head.total) !== head.total || (await this.#data.size()) < reach) return false;
    this.#total = head.total;
    this.#validator = head.validator;
    if (head.validator === undefined) this.#connections = 1;
    this.#journal = await PartJournal.create(path, head, segments);
    const done = this.#doneBytes();
    if (done > 0) this.#options.onNote?.(`going on at ${done} of ${head.total} bytes`);
    return true;
  }

  /** The first request: learns size and version, plans the segments, and fetches the first of them. */
  async #startOrGoOn(isRetry: boolean): Promise<void> {
    if (this.#journal !== undefined) {
      await this.#fetchSegment(this.#journal, this.#journal.segments[0]!, isRetry);
      return;
    }
    const wanted = this.#connections > 1 ? { start: 0, end: FIRST_SEGMENT_BYTES } : { start: 0 };
    const opened = await this.#open(wanted, isRetry);
    const { accepted } = opened;
    const total = accepted.total ?? this.#remote.sizeBytes;
    try {
      this.#checkTotal(total, opened);
      if (total !== undefined) {
        await checkFreeSpace(this.#options.path, total);
        this.#total = total;
        this.#validator = accepted.validator;
        const end = accepted.end ?? total;
        // Only where the server names the version can pieces be fetched side by side: nothing else ties them together.
        const isTied = accepted.ranged && accepted.validator !== undefined;
        if (!isTied) this.#connections = 1;
        const segments = planSegments(total, end, this.#connections);
        const head = { identity: this.#remote.identity, total, validator: accepted.validator };
        this.#journal = await PartJournal.create(journalPath(this.#options.path), head, segments);
      }
    } catch (error) {
      opened.body.destroy();
      throw error;
    }
    if (this.#journal === undefined) await this.#receiveUnknown(opened);
    else await this.#receive(opened, this.#journal, this.#journal.segments[0]!, 0);
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

  async #fetchSegments(journal: PartJournal): Promise<void> {
    const queue = journal.segments.filter(segment => segment.done < segment.end);
    const work = async (): Promise<void> => {
      for (let segment = queue.shift(); segment !== undefined; segment = queue.shift()) {
        const current = segment;
        // A server may answer with less than was asked for.
        while (current.done < current.end) {
          await this.#limit(() =>
            this.#withRetries(
              isRetry => this.#fetchSegment(journal, current, isRetry),
              () => current.done,
            ),
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

  async #fetchSegment(journal: PartJournal, segment: Segment, isRetry: boolean): Promise<void> {
    const overlap = this.#validator === undefined ? Math.min(OVERLAP_BYTES, segment.done) : 0;
    const start = segment.done - overlap;
    const opened = await this.#open({ start, end: segment.end }, isRetry);
    await this.#receive(opened, journal, segment, overlap);
  }

  #open(asked: { start: number; end?: number }, fresh: boolean): Promise<OpenedRange> {
    const known = { total: this.#total, validator: this.#validator };
    return openRange(this.#remote, asked, known, { fresh, signal: this.#signal });
  }

  async #receive(
    opened: OpenedRange,
    journal: PartJournal,
    segment: Segment,
    overlap: number,
  ): Promise<void> {
    const end = Math.min(opened.accepted.end ?? segment.end, segment.end);
    let toCompare = overlap;
    const budgetBytes = Math.floor(UNNOTED_BYTES / this.#connections);
    await receiveBody(opened, budgetBytes, this.#watchdog, this.#signal, async (chunks, length) => {
      let rest = chunks;
      let size = length;
      if (toCompare > 0) {
        const bytes = Buffer.concat(chunks);
        const before = bytes.subarray(0, toCompare);
        const own = await this.#data.read(segment.done - toCompare, segment.done - toCompare + before.length);
        if (!own.equals(before))
          throw new MirrorFault('changed', 'the file on the server has other bytes now');
        toCompare -= before.length;
        rest = [bytes.subarray(before.length)];
        size -= before.length;
        if (size === 0) return;
      }
      if (segment.done + size > end)
        throw new MirrorFault('network', 'the server sends more than it announced');
      if (segment.done === 0) {
        const bytes = Buffer.concat(rest);
        // A break in the first bytes: too little to judge, so nothing is kept.
        if (bytes.length < Math.min(SHAPE_BYTES, journal.head.total)) return;
        checkFirstBytes(bytes, this.#remote.shape);
      }
      await this.#data.write(rest, segment.done);
      journal.note(segment, segment.done + size);
      this.#noteProgress(size, journal);
    });
    if (segment.done < end)
      throw new MirrorFault('network', `the connection ended at ${segment.done} of ${end} bytes`);
  }

  /** A body whose length only its end tells: it cannot be continued, so a break loses it. */
  async #receiveUnknown(opened: OpenedRange): Promise<void> {
    this.#streamedBytes = 0;
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

  #noteProgress(size: number, journal: PartJournal): void {
    this.#options.onProgress?.(this.#doneBytes(), this.#total);
    // Segments follow each other without holes, so the first unfinished one ends what is there from the start.
    const unfinished = journal.segments.find(({ done, end }) => done < end);
    this.#data.advanceTo(unfinished?.done ?? journal.head.total);
    this.#unsyncedBytes += size;
    if (this.#unsyncedBytes < SYNC_EVERY_BYTES || this.#syncing !== undefined) return;
    this.#unsyncedBytes = 0;
    this.#syncing = journal.sync(this.#data.handle).finally(() => (this.#syncing = undefined));
    this.#syncing.catch(() => undefined);
  }

  #doneBytes(): number {
    if (this.#journal === undefined) return 0;
    return this.#journal.segments.reduce((sum, { start, done }) => sum + done - start, 0);
  }

  get #watchdog(): WatchdogOptions {
    return this.#options.watchdog ?? DEFAULT_WATCHDOG;
  }

  #limit<T>(task: () => Promise<T>): Promise<T> {
    return this.#options.limit === undefined ? task() : this.#options.limit(task);
  }

  /** Tries until it works or there is no hope; progress in between makes the count begin anew. */
  async #withRetries(attempt: (isRetry: boolean) => Promise<void>, position: () => number): Promise<void> {
    const policy = this.#options.retry ?? DEFAULT_RETRY;
    for (let failures = 0; ;) {
      const before = position();
      try {
        await attempt(failures > 0);
        return;
      } catch (error) {
        if (!(error instanceof MirrorFault)) throw error;
        if (position() - before >= Math.min(1 << 20, (this.#total ?? 0) / 64) && position() > before)
          failures = 0;
        failures++;
        const delayMs = calculateRetryDelay(error, failures, policy, Math.random());
        if (delayMs === undefined) throw error;
        this.#options.onNote?.(`${error.message}; trying again in ${(delayMs / 1000).toFixed(1)} s`);
        await sleep(delayMs, undefined, { signal: this.#signal });
      }
    }
  }

  async #finish(): Promise<DownloadedFile> {
    const { path } = this.#options;
    const total = this.#total!;
    if ((await this.#data.size()) !== total) {
      throw new MirrorFault(
        'wrong-size',
        `the partial file has ${await this.#data.size()} bytes, expected ${total}`,
      );
    }
    const digests = await this.#data.digest(total, this.#signal);
    const { sha256, md5, sizeBytes } = this.#remote;
    const wrong = [
      sizeBytes !== undefined && sizeBytes !== total ? `${total} bytes, expected ${sizeBytes}` : undefined,
      sha256 !== undefined && sha256 !== digests.sha256
        ? `sha256 ${digests.sha256}, expected ${sha256}`
        : undefined,
      md5 !== undefined && md5 !== digests.md5 ? `md5 ${digests.md5 ?? ''}, expected ${md5}` : undefined,
    ].find(text => text !== undefined);
    if (wrong !== undefined) {
      await this.#data.remove();
      await removeJournal(journalPath(path));
      throw new MirrorFault('wrong-hash', `the file that came is another one: ${wrong}`);
    }
    await this.#data.handle.sync();
    await publish(partialDownloadPath(path), path);
    await removeJournal(journalPath(path));
    return { sizeBytes: total, sha256: digests.sha256 };
  }
}
