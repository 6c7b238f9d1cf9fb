import { rename, rm, writeFile } from 'node:fs/promises';
import { checkOutput, describeWriteFailure, partialPath } from '../files.ts';

/** Fails before the work starts where the report could not be written after it. */
export async function checkReport(path: string | undefined): Promise<void> {
  if (path !== undefined) await checkOutput(path, true);
}

/** Writes an outcome as JSON, whole or not at all; nothing where no report was asked for. */
export async function writeReport(path: string | undefined, outcome: unknown): Promise<void> {
  if (path === undefined) return;
  const partial = partialPath(path, 'report');
  try {
    await writeFile(partial, `${JSON.stringify(outcome, null, 2)}\n`);
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw await describeWriteFailure(path, 0, error);
  }
}
