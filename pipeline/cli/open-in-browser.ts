import { spawn } from 'node:child_process';
import { platform } from 'node:os';
import { resolve } from 'node:path';

const OPENERS: Readonly<Partial<Record<NodeJS.Platform, readonly [string, ...string[]]>>> = {
  darwin: ['open'],
  win32: ['rundll32', 'url.dll,FileProtocolHandler'],
};

const PATIENCE_MS = 2000;

/** Opens a file with the program that this machine shows such files in; false if there is no such program. */
export async function openWithDesktop(path: string): Promise<boolean> {
  const [program, ...args] = OPENERS[platform()] ?? ['xdg-open'];
  const child = spawn(program, [...args, resolve(path)], { detached: true, stdio: 'ignore' });
  const opened = await new Promise<boolean>(done => {
    // Some openers stay for as long as the window does.
    const timer = setTimeout(() => done(true), PATIENCE_MS);
    child.on('error', () => {
      clearTimeout(timer);
      done(false);
    });
    child.on('exit', code => {
      clearTimeout(timer);
      done(code === 0);
    });
  });
  child.unref();
  return opened;
}
