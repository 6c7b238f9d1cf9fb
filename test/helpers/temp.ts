import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';

/** A private folder that is removed when the test is over. */
export async function makeTempFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'lxmert-data-test-'));
  t.teardown(async () => {
    await rm(folder, { recursive: true, force: true });
  });
  return folder;
}
