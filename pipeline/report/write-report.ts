import { checkNotInput, checkOutput } from '../files/checks.ts';
import { type HealthReport, renderHealth } from './health-page.ts';
import { writePage, writeWhole } from './write-page.ts';

/** Fails before the work starts where the report could not be written after it, or would replace one of `files`. */
export async function checkReport(path: string | undefined, files: readonly string[]): Promise<void> {
  if (path === undefined) return;
  await checkOutput(path, true);
  await checkNotInput(path, files);
}

/** Writes an outcome as JSON, or as a page where the name ends in .html and `describe` can say it, whole or not at all; nothing where no report was asked for. */
export async function writeReport(
  path: string | undefined,
  outcome: unknown,
  describe?: () => HealthReport | Promise<HealthReport>,
): Promise<void> {
  if (path === undefined) return;
  if (describe !== undefined && path.endsWith('.html')) {
    await writePage(path, renderHealth(await describe()));
    return;
  }
  await writeWhole(path, Buffer.from(`${JSON.stringify(outcome, null, 2)}\n`));
}
