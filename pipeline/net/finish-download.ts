import { moveAtomically } from '../files/atomic.ts';
import { describeWriteFailure } from '../files/checks.ts';
import { MirrorFault } from './mirror-fault.ts';
import { removeJournal } from './part-journal.ts';
import type { PartialFile } from './partial-file.ts';
import type { RemoteFile } from './remote-file.ts';

export interface DownloadedFile {
  readonly sizeBytes: number;
  readonly sha256: string;
}

interface FinishOptions {
  readonly data: PartialFile;
  readonly total: number;
  readonly path: string;
  readonly journalPath: string;
  readonly signal: AbortSignal;
}

/** Checks a complete partial file against all that is known of it, and gives it its name. Throws MirrorFault. */
export async function finishDownload(
  remote: RemoteFile,
  { data, total, path, journalPath, signal }: FinishOptions,
): Promise<DownloadedFile> {
  const size = await data.size();
  if (size !== total) {
    throw new MirrorFault('wrong-size', `the partial file has ${size} bytes, expected ${total}`);
  }
  const { sha256, md5 } = await data.digest(total, signal);
  const facts = [
    ['size', remote.sizeBytes, total],
    ['sha256', remote.sha256, sha256],
    ['md5', remote.md5, md5],
  ] as const;
  const wrong = facts.find(([, expected, got]) => expected !== undefined && expected !== got);
  if (wrong !== undefined) {
    const [what, expected, got] = wrong;
    await data.remove();
    await removeJournal(journalPath);
    throw new MirrorFault(
      'wrong-hash',
      `the file that came is another one: ${what} ${got ?? ''}, expected ${expected ?? ''}`,
    );
  }
  try {
    await data.handle.sync();
  } catch (error) {
    // A second sync would find nothing wrong, so no later run may continue from these bytes.
    await removeJournal(journalPath);
    throw await describeWriteFailure(data.path, 0, error);
  }
  await moveAtomically(data.path, path, { handle: data.handle, force: true });
  await removeJournal(journalPath);
  return { sizeBytes: total, sha256 };
}
