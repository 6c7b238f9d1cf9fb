import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import test, { type Implementation } from 'ava';

/** Whether a program is on the PATH. */
export function hasTool(name: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some(folder => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** A test that runs other programs: skipped by name where one is missing, and a failure in CI, which installs them. */
export function testWithTools(title: string, tools: readonly string[], body: Implementation<[]>): void {
  const missing = tools.filter(tool => !hasTool(tool));
  if (missing.length === 0) test.serial(title, body);
  else if (process.env['CI'] === 'true') test(title, t => t.fail(`missing: ${missing.join(', ')}`));
  else test.skip(`${title} (needs ${missing.join(' and ')})`, body);
}
