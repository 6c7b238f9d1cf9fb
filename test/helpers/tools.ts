import { spawnSync } from 'node:child_process';
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

/** Whether the command docker reaches an engine for Linux on this machine. */
export function hasLinuxEngine(): boolean {
  const answer = spawnSync('docker', ['version', '--format', '{{.Server.Os}}'], { encoding: 'utf8' });
  return process.platform === 'linux' && answer.status === 0 && answer.stdout.trim() === 'linux';
}

/** A test that runs other programs: skipped by name where one is missing, and a failure in CI, which installs them. */
export function testWithTools(title: string, tools: readonly string[], body: Implementation<[]>): void {
  const missing = tools.filter(tool => !hasTool(tool));
  if (missing.length === 0) test.serial(title, body);
  else if (process.env['CI'] === 'true') test(title, t => t.fail(`missing: ${missing.join(', ')}`));
  else test.skip(`${title} (needs ${missing.join(' and ')})`, body);
}
