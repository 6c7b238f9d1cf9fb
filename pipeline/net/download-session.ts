import { JournalledFile } from './journalled-file.ts';
import { MirrorFault } from './mirror-fault.ts';
import { PartJournal } from './part-journal.ts';
import type { JournalHead, Segment } from './part-journal.ts';
import type { PartialFile } from './partial-file.ts';
import { openRange, receiveBody } from './receive-range.ts';
import type { OpenedRange, WatchdogOptions } from './receive-range.ts';
import type { AskedRange } from './check-response.ts';
import type { RemoteFile } from './remote-file.ts';
import type { RetryPolicy } from './retry-delay.ts';
import { withRetries } from './with-retries.ts';

export interface DownloadOptions {
  /** Where the finished file goes; `<path>.partial` and `<path>.partial-journal` are beside it until then. */
  readonly path: string;
  readonly connections?: number | undefined;
  readonly signal: AbortSignal;
  readonly retry?: RetryPolicy | undefined;
  readonly watchdog?: WatchdogOptions | undefined;
  /** Runs each request, such as a limit of requests at a time for each host. Not held while a retry waits. */
  readonly limit?: (<T>(task: () => Promise<T>) => Promise<T>) | undefined;
  readonly onProgress?: ((doneBytes: number, totalBytes: number | undefined) => void) | undefined;
  /** Retries and restarts, for the user to see. */
  readonly onNote?: ((message: string) => void) | undefined;
}

/** Bytes in memory that are not yet in the journal, of all connections together: what a killed process loses. */
const UNNOTED_BYTES = 1 << 20;
const DEFAULT_WATCHDOG: WatchdogOptions = { idleMs: 60_000, minBytes: 16 << 10 };

/** One run of one download: what is known of the file by now, its partial file, and how requests are made and received. */
export class DownloadSession {
  readonly remote: RemoteFile;
  readonly options: DownloadOptions;
  readonly data: PartialFile;
  readonly signal: AbortSignal;
  /** Requests at a time; 1 where pieces cannot be fetched side by side. */
  connections: number;
  /** Size of the file, once known. */
  total: number | undefined;
  /** The server's name for this version of the file. */
  validator: string | undefined;
  /** From when the size is known on. */
  file: JournalledFile | undefined;
  readonly #abort = new AbortController();

  constructor(remote: RemoteFile, options: DownloadOptions, data: PartialFile) {
    this.remote = remote;
    this.options = options;
    this.data = data;
    this.connections = Math.min(Math.max(options.connections ?? 1, 1), remote.maxConnections);
    this.signal = AbortSignal.any([options.signal, this.#abort.signal]);
  }

  /** Ends all requests of this run. */
  stop(): void {
    this.#abort.abort();
  }

  /** Begins a journal for a file of known size; bytes that `segments` count as done must be in the partial file. */
  async begin(head: JournalHead, segments: readonly Segment[]): Promise<JournalledFile> {
    this.total = head.total;
    this.validator = head.validator;
    // A new journal says of all it names that it is on the disk.
    if (segments.some(({ start, done }) => done > start)) await this.data.handle.datasync();
    const journal = await PartJournal.create(journalPath(this.options.path), head, segments);
    return (this.file = new JournalledFile(this.data, journal, this.remote.shape));
  }

  /** Asks for a range; `isFresh` where the last try failed, so that no link is used again that may have expired. */
  async open(asked: AskedRange, isFresh: boolean): Promise<OpenedRange> {
    const known = { total: this.total, validator: this.validator };
    return await openRange(this.remote, asked, known, { fresh: isFresh, signal: this.signal });
  }

  /** Receives a body; `take` gets each piece, and memory for `connections` bodies at a time is bounded. */
  async receive(
    opened: OpenedRange,
    connections: number,
    take: (chunks: readonly Buffer[], length: number) => Promise<void>,
  ): Promise<void> {
    const watchdog = this.options.watchdog ?? DEFAULT_WATCHDOG;
    const budgetBytes = Math.floor(UNNOTED_BYTES / connections);
    await receiveBody(opened, { budgetBytes, watchdog, signal: this.signal }, take);
  }

  /** Receives bytes of a segment, of which the first `overlap` are there already and must be the same. */
  async receiveSegment(
    opened: OpenedRange,
    file: JournalledFile,
    segment: Segment,
    overlap: number,
  ): Promise<void> {
    const end = Math.min(opened.accepted.end ?? segment.end, segment.end);
    const keep = file.keeper({ segment, overlap, end });
    await this.receive(opened, this.connections, async (chunks, length) => {
      await keep(chunks, length);
      this.options.onProgress?.(file.doneBytes, this.total);
    });
    if (segment.done < end)
      throw new MirrorFault('network', `the connection ended at ${segment.done} of ${end} bytes`);
  }

  /** Repeats `attempt` until it works or there is no hope; `position` is how far it got. */
  async retry(attempt: (isRetry: boolean) => Promise<void>, position: () => number): Promise<void> {
    const { limit = runAtOnce, retry, onNote } = this.options;
    const worthwhileBytes = (): number => Math.min(1 << 20, (this.total ?? 0) / 64);
    await withRetries(isRetry => limit(() => attempt(isRetry)), {
      policy: retry,
      signal: this.signal,
      position,
      worthwhileBytes,
      onNote,
    });
  }
}

export function partialDownloadPath(path: string): string {
  return `${path}.partial`;
}

export function journalPath(path: string): string {
  return `${path}.partial-journal`;
}

async function runAtOnce<T>(task: () => Promise<T>): Promise<T> {
  return await task();
}
