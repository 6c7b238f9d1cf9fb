import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test, { type Implementation } from 'ava';

const SHARED = join(import.meta.dirname, '..', '..', '..', 'shared');

/** Path below the folder of real data that may stand beside the project. */
export function sharedPath(...parts: readonly string[]): string {
  return join(SHARED, ...parts);
}

/** A test that reads real data; reported as skipped, by name, where that is missing. */
export function testWithShared(title: string, parts: readonly string[], body: Implementation<[]>): void {
  if (existsSync(sharedPath(...parts))) test(title, body);
  else test.skip(`${title} (needs ../shared/${parts.join('/')})`, body);
}
