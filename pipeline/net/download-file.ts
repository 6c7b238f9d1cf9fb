import { dirname } from 'node:path';
import { checkFreeSpace } from '../files/checks.ts';
import { DownloadSession, journalPath, partialDownloadPath } from './download-session.ts';
import type { DownloadOptions } from './download-session.ts';
import { fetchSegment, fetchSegments } from './fetch-segments.ts';
import { finishDownload } from './finish-download.ts';
import type { DownloadedFile } from './finish-download.ts';
import type { JournalledFile } from './journalled-file.ts';
import { MirrorFault } from './mirror-fault.ts';
import { PartJournal, removeJournal } from './part-journal.ts';
import { PartialFile } from './partial-file.ts';
import { FIRST_SEGMENT_BYTES, planSegments } from './plan-segments.ts';
import type { OpenedRange } from './receive-range.ts';
import type { RemoteFile } from './remote-file.ts';
import { UnknownLengthBody } from './unknown-length.ts';
import { makeFolder } from '../files/make-folder.ts';

export { partialDownloadPath } from './download-session.ts';
export type { DownloadOptions } from './download-session.ts';
export type { DownloadedFile } from './finish-download.ts';

/** From this size on users are warned that a server sends files from their start only: a break costs all of it. */
const NOTABLE_BYTES = 16 << 20;
const MAX_RESTARTS = 3;

/**
 * Fetches a file byte-exactly, going on where an earlier run stopped. Throws MirrorFault where this mirror cannot give
 * it (the partial file stays for the next run where its bytes are good), LxmertDataError for the disk.
 */
export async function downloadFile(remote: RemoteFile, options: DownloadOptions): Promise<DownloadedFile> {
  await makeFolder(dirname(options.path));
  for (let restart = 0; ; restart++) {
    try {
      return await downloadOnce(remote, options);
    } catch (error) {
      if (!(error instanceof MirrorFault) || error.kind !== 'changed') throw error;
      await removeJournal(journalPath(options.path));
      if (restart >= MAX_RESTARTS) throw error;
      options.onNote?.(`starting over: ${error.message}`);
    }
  }
}

async function downloadOnce(remote: RemoteFile, options: DownloadOptions): Promise<DownloadedFile> {
  const journal = journalPath(options.path);
  const data = await PartialFile.open(partialDownloadPath(options.path), remote.md5 !== undefined);
  const session = new DownloadSession(remote, options, data);
  try {
    if (!(await resumeFromJournal(session))) {
      await data.startOver();
      await fetchFromStart(session);
    }
    if (session.file !== undefined) await fetchSegments(session, session.file);
    await session.file?.settle();
    const { total = 0, signal } = session;
    return await finishDownload(remote, { data, path: options.path, journalPath: journal, total, signal });
  } catch (error) {
    // Without a journal no later run can go on with these bytes.
    if (session.file === undefined) await data.remove();
    throw error;
  } finally {
    session.stop();
    await session.file?.close();
    if (session.file?.hasLostBytes === true) await removeJournal(journal);
    await data.close();
  }
}

/** Takes up what an earlier run left of the same file; false where there is nothing, or nothing that fits. */
async function resumeFromJournal(session: DownloadSession): Promise<boolean> {
  const { remote, options, data } = session;
  const loaded = await PartJournal.load(journalPath(options.path));
  if (loaded?.head.identity !== remote.identity) return false;
  const { head, segments } = loaded;
  const reach = segments.reduce((most, { start, done }) => (done > start ? Math.max(most, done) : most), 0);
  if ((remote.sizeBytes ?? head.total) !== head.total || (await data.size()) < reach) return false;
  if (head.validator === undefined) session.connections = 1;
  const { doneBytes } = await session.begin(head, segments);
  if (doneBytes > 0) options.onNote?.(`going on at ${doneBytes} of ${head.total} bytes`);
  return true;
}

/** The first request, until it works: it gives the size and version of the file and its first segment. */
async function fetchFromStart(session: DownloadSession): Promise<void> {
  const unknown = new UnknownLengthBody(session);
  const attempt = async (isRetry: boolean): Promise<void> => {
    if (session.file !== undefined) {
      await fetchSegment(session, session.file, session.file.segments[0]!, isRetry);
    } else if (!(await unknown.resume())) {
      const opened = await openFirst(session, isRetry);
      const file = await planFile(session, opened);
      if (file === undefined) await unknown.receive(opened);
      else await session.receiveSegment(opened, file, file.segments[0]!, 0);
    }
  };
  await session.retry(attempt, () => session.file?.doneBytes ?? 0);
}

async function openFirst(session: DownloadSession, isRetry: boolean): Promise<OpenedRange> {
  const asked = session.connections > 1 ? { start: 0, end: FIRST_SEGMENT_BYTES } : { start: 0 };
  return await session.open(asked, isRetry);
}

/** Plans the segments of a file of known size; undefined where its size is known only at the end of the body. */
async function planFile(session: DownloadSession, opened: OpenedRange): Promise<JournalledFile | undefined> {
  const { remote, options } = session;
  const { total = remote.sizeBytes, ranged, validator, end } = opened.accepted;
  try {
    checkTotal(total, opened, remote.sizeBytes);
    if (total === undefined) return undefined;
    await checkFreeSpace(options.path, total);
    // Only where the server names the version can pieces be fetched side by side: nothing else ties them together.
    if (!ranged || validator === undefined) session.connections = 1;
    if (!ranged && total > NOTABLE_BYTES) {
      options.onNote?.(
        'this server sends files only from their start: after a break all of it is fetched again',
      );
    }
    const segments = planSegments(total, end ?? total, session.connections);
    return await session.begin({ identity: remote.identity, total, validator }, segments);
  } catch (error) {
    opened.body.destroy();
    throw error;
  }
}

function checkTotal(total: number | undefined, opened: OpenedRange, expected: number | undefined): void {
  if (total === undefined && !opened.isChunked) {
    throw new MirrorFault('unsupported', 'the server does not say how long the file is');
  }
  if (total === 0) throw new MirrorFault('wrong-size', 'the server sends an empty file');
  if (expected !== undefined && total !== undefined && total !== expected) {
    throw new MirrorFault('wrong-size', `the server has a file of ${total} bytes, expected ${expected}`);
  }
}
