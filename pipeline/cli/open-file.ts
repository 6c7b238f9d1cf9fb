import { spawn } from 'node:child_process';
import { platform } from 'node:os';
import { resolve } from 'node:path';

const OPENERS: Readonly<Partial<Record<NodeJS.Platform, readonly [string, ...string[]]>>> = {
  darwin: ['open'],
  win32: ['rundll32', 'url.dll,FileProtocolHandler'],
};

/** Opens a file with the program that this machine shows such files in; false where there is none. */
export async function openWithDesktop(path: string): Promise<boolean> {
  const [program, ...words] = OPENERS[platform()] ?? ['xdg-open'];
  const child = spawn(program, [...words, resolve(path)], { detached: true, stdio: 'ignore' });
  return await new Promise(done => {
    child.on('error', () => done(false));
    child.on('exit', code => done(code === 0));
    // Some openers stay for as long as the window does.
    setTimeout(() => done(true), 2000).unref();
    child.unref();
  });
}
