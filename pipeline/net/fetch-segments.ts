import type { DownloadSession } from './download-session.ts';
import type { JournalledFile } from './journalled-file.ts';
import type { Segment } from './part-journal.ts';

/** Where the server names no version of the file, this much before a break is fetched again and compared. */
const OVERLAP_BYTES = 16 << 10;

/** Fetches what is missing of a file of known size, several segments at a time. */
export async function fetchSegments(session: DownloadSession, file: JournalledFile): Promise<void> {
  const queue = file.segments.filter(segment => segment.done < segment.end);
  const work = async (): Promise<void> => {
    for (let segment = queue.shift(); segment !== undefined; segment = queue.shift()) {
      await fetchWholeSegment(session, file, segment);
    }
  };
  const workers = Array.from({ length: Math.min(session.connections, queue.length) }, work);
  try {
    await Promise.all(workers);
  } catch (error) {
    session.stop();
    await Promise.allSettled(workers);
    throw error;
  }
}

async function fetchWholeSegment(
  session: DownloadSession,
  file: JournalledFile,
  segment: Segment,
): Promise<void> {
  // A server may send less than it was asked for.
  while (segment.done < segment.end) {
    await session.retry(
      isRetry => fetchSegment(session, file, segment, isRetry),
      () => segment.done,
    );
  }
}

/** One request for the rest of a segment. */
export async function fetchSegment(
  session: DownloadSession,
  file: JournalledFile,
  segment: Segment,
  isRetry: boolean,
): Promise<void> {
  // The connection broke after the last byte.
  if (segment.done === segment.end) return;
  const overlap = session.validator === undefined ? Math.min(OVERLAP_BYTES, segment.done) : 0;
  const opened = await session.open({ start: segment.done - overlap, end: segment.end }, isRetry);
  await session.receiveSegment(opened, file, segment, overlap);
}
